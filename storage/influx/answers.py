"""What InfluxDB's answers to a write mean: the table that the drainer follows."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from enum import Enum

from storage.influx.server import NO_ANSWER, Answer

LONGEST_WAIT_S = 60.0


class Meaning(Enum):
    """What to do next, by consequence."""

    STORED = "go on"
    AGAIN = "the same lines again later, for ever"
    FAILED = "as AGAIN; but where others are stored meanwhile, it is these lines: as REFUSED"
    REFUSED = "halve until the lines that are refused stand alone"
    TOO_LARGE = "halve"
    MISCONFIGURED = "stop and tell the operator, keep everything"


# https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/
# https://docs.influxdata.com/influxdb/v1/tools/api/#status-codes-and-responses-2
MEANINGS = {
    NO_ANSWER: Meaning.AGAIN,
    400: Meaning.REFUSED,
    401: Meaning.MISCONFIGURED,
    403: Meaning.MISCONFIGURED,
    404: Meaning.MISCONFIGURED,
    408: Meaning.AGAIN,
    413: Meaning.TOO_LARGE,
    422: Meaning.REFUSED,
    425: Meaning.AGAIN,
    429: Meaning.AGAIN,
    500: Meaning.FAILED,
}

# 500 that tells of the server, whichever lines it was given. 1.6.7 was seen to give the first for a
# shard whose disk was full, until it is restarted, while it takes lines of other shards. The others
# were not seen: words of the same kind, for which waiting costs less than giving up good lines.
_ILL = re.compile(r"no space left on device|timeout|engine is closed|shard is disabled")

# 1.x and 2.x store the rest of a batch and say how many lines they did not take.
_DROPPED = re.compile(r"partial write: .*\bdropped=(\d+)", re.DOTALL)


def meaning_of(answer: Answer) -> Meaning:
    """What an answer means; one that no server should give is a fault of the address."""
    if 200 <= answer.status < 300:
        return Meaning.STORED
    if answer.status > 500 or (answer.status == 500 and _ILL.search(answer.text)):
        return Meaning.AGAIN
    return MEANINGS.get(answer.status, Meaning.MISCONFIGURED)


def refuses_all(answer: Answer, lines: int) -> bool:
    """Whether the server says that it took none of so many lines."""
    found = _DROPPED.search(answer.text)
    return found is not None and int(found[1]) == lines


def asked_wait_s(answer: Answer, now_s: float) -> float | None:
    """Seconds that Retry-After (RFC 9110, 10.2.3) asks for, at most 60; None without one.

    now_s: seconds since 1970, for the form that is a date.
    """
    stated = answer.retry_after
    if stated is None:
        return None
    try:
        wait_s = float(stated) if stated.strip().isdecimal() else _until(stated) - now_s
    except ValueError:
        return None
    return min(LONGEST_WAIT_S, max(0.0, wait_s))


def _until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()
