"""A typed client of the API: needs httpx and msgspec, and nothing of the platform.

    with Client("https://govsense.example.org", key_file="govsense.key") as client:
        for alert in client.alerts(state="open", province="LA-LP"):
            print(alert.severity, alert.text_en)

Lists are iterators that fetch page after page. What fails raises an ApiError that says what to
do (api/client_errors.py). Only reads are tried again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from api import answers
from api.answers import Answer
from api.client_errors import AwayError, error_of
from api.client_events import read_events
from api.client_key import key_from, may_carry

T = TypeVar("T", bound=Answer)

URL = "http://127.0.0.1:8080"
URL_VARIABLE = "GOVSENSE_URL"
TRIES = 5
LONGEST_WAIT_S = 30.0
PASSING = (429, 502, 503, 504)  # the same request may succeed later


class Client:
    """A connection to one platform. Close it, or use it in a `with`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        key_file: str | Path | None = None,
        timeout_s: float = 30.0,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
        trust_env: bool = True,
    ) -> None:
        """url: else GOVSENSE_URL, else this machine. key: else key_file, GOVSENSE_KEY or the file
        GOVSENSE_KEY_FILE; without any no key is sent. tries: of each read. trust_env: use the
        proxy that the environment names. Raises ValueError where a key would leave this machine
        without TLS.
        """
        address = url or os.environ.get(URL_VARIABLE) or URL
        found = key_from(key, key_file)
        if found and not may_carry(address):
            raise ValueError(f"{address}: a key goes by https only, or stays on this machine")
        headers = {"Authorization": f"Bearer {found}"} if found else {}
        self._http = httpx.Client(
            base_url=address, headers=headers, timeout=timeout_s, trust_env=trust_env
        )
        self._tries = tries
        self._sleep = sleep

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # What there is

    def stats(self) -> answers.Stats:
        """Totals, latencies, open alerts."""
        return self.get("/stats", answers.Stats)

    def kinds(self) -> Iterator[answers.Kind]:
        """Kinds of devices with their metrics."""
        return self.pages("/kinds", answers.Kind)

    def provinces(self) -> Iterator[answers.Province]:
        """Provinces with sites, devices by lifecycle and open alerts."""
        return self.pages("/provinces", answers.Province)

    def districts(self, **filters: Any) -> Iterator[answers.District]:
        """Districts; filter province."""
        return self.pages("/districts", answers.District, **filters)

    def sites(self, **filters: Any) -> Iterator[answers.Site]:
        """Sites; filters province, district, class_, agency."""
        return self.pages("/sites", answers.Site, **filters)

    def site(self, site: str) -> answers.Site:
        """One site with its devices."""
        return self.get(f"/sites/{_part(site)}", answers.Site)

    def devices(self, **filters: Any) -> Iterator[answers.Device]:
        """Devices; filters province, district, site, kind, lifecycle."""
        return self.pages("/devices", answers.Device, **filters)

    def device(self, device: str) -> answers.Device:
        """One device with its parameters and its last status."""
        return self.get(f"/devices/{_part(device)}", answers.Device)

    # What was measured

    def latest(self, device: str) -> answers.Latest:
        """The newest reading of each metric."""
        return self.get(f"/devices/{_part(device)}/latest", answers.Latest)

    def telemetry(self, device: str, **question: Any) -> Iterator[answers.Point]:
        """Readings, or buckets of them: from_, to, metric, bucket, agg."""
        return self.pages(f"/devices/{_part(device)}/telemetry", answers.Point, **question)

    def hours(self, device: str, **question: Any) -> Iterator[answers.Hour]:
        """What of a device was expected, came and is missing, by hour: from_, to."""
        return self.pages(f"/devices/{_part(device)}/accounting", answers.Hour, **question)

    def accounting(self, **question: Any) -> answers.Accounting:
        """The same, summed over all devices or a province: from_, to, province."""
        return self.get("/accounting", answers.Accounting, **question)

    def availability(self, site: str, **question: Any) -> answers.Availability:
        """How long a site was reachable, with bounds and outages: from_, to."""
        return self.get(f"/sites/{_part(site)}/availability", answers.Availability, **question)

    # What is wrong

    def alerts(self, **filters: Any) -> Iterator[answers.Alert]:
        """Alerts, the newest first: state, severity, province, site, device, kind, from_, to."""
        return self.pages("/alerts", answers.Alert, **filters)

    def alert(self, alert: str) -> answers.Alert:
        """One alert."""
        return self.get(f"/alerts/{_part(alert)}", answers.Alert)

    def acknowledge(self, alert: str, *, by: str, comment: str) -> answers.Alert:
        """Say that somebody has seen an alert that fires. Raises StateError for any other."""
        body = {"by": by, "comment": comment}
        return self.post(f"/alerts/{_part(alert)}/acknowledge", body, answers.Alert)

    def incidents(self, **filters: Any) -> Iterator[answers.Incident]:
        """Incidents, the newest first: state, cause, scope, from_, to."""
        return self.pages("/incidents", answers.Incident, **filters)

    def incident(self, incident: str) -> answers.Incident:
        """One incident with its changes."""
        return self.get(f"/incidents/{_part(incident)}", answers.Incident)

    def events(self, *, after: int | None = None) -> Iterator[answers.Event]:
        """Changes as they happen, for ever; after: the id of the last one that is known.

        A connection that breaks is made again and goes on behind the last event. Raises AwayError
        when that fails several times in a row.
        """
        return read_events(self._http, after=after, tries=self._tries, wait=self._wait)

    # What was refused, and who is new

    def quarantine(self, **filters: Any) -> Iterator[answers.Quarantined]:
        """Refused messages, the newest first: reason, device, state."""
        return self.pages("/quarantine", answers.Quarantined, **filters)

    def quarantined(self, number: int) -> answers.Quarantined:
        """One refused message with its payload."""
        return self.get(f"/quarantine/{number}", answers.Quarantined)

    def enrolment(self, **filters: Any) -> Iterator[answers.Newcomer]:
        """Devices that send without being registered: state, province."""
        return self.pages("/enrolment", answers.Newcomer, **filters)

    def newcomer(self, device: str) -> answers.Newcomer:
        """One of them with its newest message."""
        return self.get(f"/enrolment/{_part(device)}", answers.Newcomer)

    def accept(
        self,
        device: str,
        *,
        site: str,
        kind: str,
        interval_s: float,
        uplink: int = 1,
        params: Mapping[str, Any] | None = None,
    ) -> answers.Accepted:
        """Register one of them; all that is held of it is replayed."""
        body = {"site": site, "kind": kind, "interval_s": interval_s, "uplink": uplink}
        body["params"] = dict(params or {})
        return self.post(f"/enrolment/{_part(device)}/accept", body, answers.Accepted)

    def refuse(self, device: str, *, reason: str, days: int = 30) -> answers.Newcomer:
        """Show one of them no more until it sends something when the days are over."""
        body = {"reason": reason, "days": days}
        return self.post(f"/enrolment/{_part(device)}/refuse", body, answers.Newcomer)

    def public_status(self) -> answers.PublicStatus:
        """What everybody may know."""
        return msgspec.json.decode(self._read("/public/v1/status", {}), type=answers.PublicStatus)

    # Any route

    def get(self, path: str, kind: type[T], /, **question: Any) -> T:
        """The answer of a path below /api/v1; a name's trailing _ is left out (from_, class_)."""
        return msgspec.json.decode(self._read(f"/api/v1{path}", question), type=kind)

    def pages(self, path: str, kind: type[T], /, **question: Any) -> Iterator[T]:
        """The items of all pages, each fetched when it is needed."""
        cursor: str | None = None
        while True:
            body = self._read(f"/api/v1{path}", {**question, "cursor": cursor})
            page = msgspec.json.decode(body, type=_Page)
            yield from (msgspec.convert(item, type=kind) for item in page.items)
            cursor = page.next
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any], kind: type[T]) -> T:
        """The answer to a POST, which is made once: nobody knows what became of one that broke."""
        try:
            answer = self._http.post(f"/api/v1{path}", json=body)
        except httpx.TransportError as exc:
            raise AwayError(0, f"{self._http.base_url} {exc or type(exc).__name__}") from exc
        return msgspec.json.decode(_body(answer), type=kind)

    def _read(self, path: str, question: Mapping[str, Any]) -> bytes:
        asked = {name.rstrip("_"): _text(v) for name, v in question.items() if v is not None}
        for tried in range(1, self._tries + 1):
            try:
                answer = self._http.get(path, params=asked)
            except httpx.TransportError as exc:
                if tried == self._tries:
                    raise AwayError(
                        0, f"{self._http.base_url} {exc or type(exc).__name__}"
                    ) from exc
                self._wait(tried, None)
                continue
            if answer.status_code not in PASSING or tried == self._tries:
                break
            self._wait(tried, answer.headers.get("retry-after"))
        return _body(answer)

    def _wait(self, tried: int, retry_after: str | None) -> None:
        """Before the next try: as long as the answer says, else twice as long each time."""
        wait_s = random.uniform(0.5, 1.0) * 0.5 * 2**tried
        if retry_after is not None and retry_after.isdecimal():
            wait_s = float(retry_after)
        self._sleep(min(wait_s, LONGEST_WAIT_S))


class _Page(msgspec.Struct):
    items: list[Any]
    next: str | None


def _body(answer: httpx.Response) -> bytes:
    if answer.status_code == 200:
        return answer.content
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    raise error_of(answer.status_code, problem)


def _part(name: str) -> str:
    return quote(name, safe="")


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no zone: use datetime(..., tzinfo=UTC)")
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return str(value)
