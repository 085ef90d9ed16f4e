"""Days of bins: what `bins` holds, a character a bin, so that a month of a country can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

from sqlalchemy import Connection, func, select, tuple_

from detection.outages import BIN_MS, LETTERS, NO_BIN, Bin
from storage.ledger.schema import bin_days, bins
from storage.ledger.upsert import upsert

DAY_MS = 86_400_000
LOCAL_MS = 7 * 3_600_000  # Asia/Vientiane is UTC+7, without daylight saving time
BINS_A_DAY = DAY_MS // BIN_MS
AT_ONCE = 400  # days that are asked for in one statement

Key = tuple[int, str]


def day_of(at_ms: int) -> int:
    """The local midnight at or before a time, in milliseconds since 1970 UTC."""
    return (at_ms + LOCAL_MS) // DAY_MS * DAY_MS - LOCAL_MS


def letter_of(one: Bin) -> str:
    """The character of a bin."""
    letter = LETTERS[one.state]
    return letter.lower() if one.on_backup else letter


def put_days(connection: Connection, changed: Iterable[Bin]) -> None:
    """Have the days of these bins say what they say; each bin may be given once."""
    fresh: dict[Key, dict[int, str]] = {}
    for one in changed:
        day_ms = day_of(one.start_ms)
        place = (one.start_ms - day_ms) // BIN_MS
        fresh.setdefault((day_ms, one.site), {})[place] = letter_of(one)
    keys = iter(sorted(fresh))
    while some := list(islice(keys, AT_ONCE)):
        known = _known(connection, some)
        rows = [
            {"day_ms": key[0], "site": key[1], "states": _with(known.get(key, ""), fresh[key])}
            for key in some
        ]
        upsert(connection, bin_days, rows)


def fill_days(connection: Connection) -> None:
    """Make every day anew from the bins."""
    first, last = connection.execute(
        select(func.min(bins.c.start_ms), func.max(bins.c.start_ms))
    ).one()
    if first is None:
        return
    for day_ms in range(day_of(first), last + 1, DAY_MS):
        put_days(connection, _bins_between(connection, day_ms, day_ms + DAY_MS))


def days_in_bins(connection: Connection, site: str, from_ms: int, to_ms: int) -> dict[int, str]:
    """The days of a site counted from its bins within [from_ms, to_ms), not from the days kept."""
    query = (
        select(bins)
        .where(bins.c.site == site, bins.c.start_ms >= from_ms, bins.c.start_ms < to_ms)
        .order_by(bins.c.start_ms)
    )
    rows = (Bin(*row) for row in connection.execute(query))
    return {
        day_ms: _with("", {(one.start_ms - day_ms) // BIN_MS: letter_of(one) for one in some})
        for day_ms, some in groupby(rows, lambda one: day_of(one.start_ms))
    }


def _bins_between(connection: Connection, from_ms: int, to_ms: int) -> Iterator[Bin]:
    query = select(bins).where(bins.c.start_ms >= from_ms, bins.c.start_ms < to_ms)
    return (Bin(*row) for row in connection.execute(query))


def _known(connection: Connection, keys: Sequence[Key]) -> dict[Key, str]:
    """States by day, locked in PostgreSQL, so that two writers do not undo each other."""
    query = (
        select(bin_days)
        .where(tuple_(bin_days.c.day_ms, bin_days.c.site).in_(keys))
        .order_by(bin_days.c.day_ms, bin_days.c.site)
        .with_for_update()
    )
    return {(day_ms, site): states for day_ms, site, states in connection.execute(query)}


def _with(states: str, letters: dict[int, str]) -> str:
    out = list(states or NO_BIN * BINS_A_DAY)
    for place, letter in letters.items():
        out[place] = letter
    return "".join(out)
