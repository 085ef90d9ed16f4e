"""A small country with a past, in real stores, and the API over them on a real port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uvicorn

from api.app import create_app
from api.callers import ROLES, Role
from api.feed import Feed
from api.limits import Limits
from api.tokens import Issuer
from detection.alerts import AlertChange
from detection.incidents.changes import IncidentChange, IncidentState, Scope
from detection.outages import BIN_MS, Bin, BinState
from devices.readings import Readings
from devices.registry import Device, Registry, Site, Uplink
from devices.wire.message import Refusal
from storage.ledger import stats
from storage.ledger.actions import Deed
from storage.ledger.facts import DeviceSeen, Facts, Quarantined, commit
from storage.ledger.keys import create_key
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.series import add_series
from storage.ledger.windows import Plan, Terms, propose
from storage.series.sqlite import SqliteSeries
from storage.series.store import SeriesStore

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOW_MS = 1_791_165_600_000  # 2026-10-05T02:00:00Z, a Monday
NOW = "2026-10-05T02:00:00.000Z"
UNLIMITED = Limits(requests_per_minute=10**9)
RTT, DNS, BOX = 0, 1, 2  # series numbers
# Of an office in the last hour: 7 up, 1 degraded, 2 down, 1 unknown, 1 excluded.
BIN_STATES: tuple[BinState, ...] = (
    *("UP", "UP", "DOWN", "DOWN", "UNKNOWN", "DEGRADED"),
    *("EXCLUDED", "UP", "UP", "UP", "UP", "UP"),
)


class Somebody(NamedTuple):
    """Who calls, as their key says. provinces, agencies: that they may see; None: all."""

    name: str
    role: Role = "operator"
    provinces: tuple[str, ...] | None = None
    agencies: tuple[str, ...] | None = None


@dataclass
class World:
    """Open stores, a clock that stands still unless moved, and a client of the API over them."""

    ledger: Ledger
    series: SeriesStore
    now_ms: int = NOW_MS
    client: httpx.Client = field(default_factory=httpx.Client)
    feed: Feed | None = None
    machine_ms: int = NOW_MS  # by which keys end
    limits: dict[Role, Limits] = field(default_factory=lambda: dict.fromkeys(ROLES, UNLIMITED))
    issuer: Issuer | None = None
    allowed_origins: str = ""
    _keys: dict[Somebody, str] = field(default_factory=dict)

    def become(self, caller: Somebody) -> None:
        """Call with a key of somebody from now on."""
        if caller not in self._keys:
            self._keys[caller] = self.key(
                caller.role, name=caller.name, provinces=caller.provinces, agencies=caller.agencies
            )
        self.client.headers["Authorization"] = f"Bearer {self._keys[caller]}"

    def key(self, role: Role = "admin", **facts: Any) -> str:
        """The text of a new key; facts as of storage.ledger.keys.create_key."""
        usual = {"name": role, "role": role, "days": 1, "now_ms": self.machine_ms, "by": "test"}
        return create_key(self.ledger, **{**usual, **facts}).text

    @contextmanager
    def calling(self, key: str) -> Iterator[httpx.Client]:
        """A client with a key, or with none at all where it is empty."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = self.client.base_url
        with httpx.Client(base_url=url, timeout=10, trust_env=False, headers=headers) as client:
            yield client

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET below /api/v1 that succeeds; `from_` is sent as `from`."""
        answer = self.client.get(f"/api/v1{path}", params=_named(parameters))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All items of all pages."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **parameters, **cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON below /api/v1; `if_match` is sent as If-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/api/v1{path}", json=body, headers=named)

    def done(self, path: str, body: Any, **headers: str) -> Any:
        """The JSON of a POST that succeeds."""
        answer = self.post(path, body, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def problem(self, status: int, path: str, **parameters: Any) -> dict[str, Any]:
        """The problem object of a GET that fails with this status."""
        return problem_of(self.client.get(f"/api/v1{path}", params=_named(parameters)), status)


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem object of an answer, with the members that RFC 9457 and docs/api.md ask for."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "instance", "errors"} <= set(problem)
    for error in problem["errors"]:
        assert set(error) == {"field", "reason", "got", "allowed"}
    return problem


@contextmanager
def world_in(directory: Path) -> Iterator[World]:
    """The world's stores, filled, with the API running."""
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    series = SqliteSeries.open(directory / "series.db")
    fill(ledger, series)
    world = World(ledger, series)
    with serving(world):
        yield world
    series.close()
    ledger.close()


@contextmanager
def serving(world: World, *, port: int = 0, disks: tuple[Path, ...] = ()) -> Iterator[int]:
    """The API over a world's stores, on a port of the loopback interface, 0 for any."""
    app = create_app(
        ledger=world.ledger,
        series=world.series,
        now_ms=lambda: world.now_ms,
        allowed_hosts="localhost,127.0.0.1,[::1]",
        disks=disks,
        issuer=world.issuer,
        limits=world.limits,
        allowed_origins=world.allowed_origins,
        machine_ms=lambda: world.machine_ms,
    )
    world.feed = app.state.feed
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            headers = {"Authorization": f"Bearer {world.key()}"}
            with httpx.Client(
                base_url=url, timeout=10, trust_env=False, headers=headers
            ) as world.client:
                yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def registry() -> Registry:
    """Two sites and five devices: p0 active, c0 silent, old abandoned, n0 and n1 never heard."""
    uplink = Uplink("LTC", "fibre", 50.0, 25.0)
    office = Site(
        "office",
        "Office",
        "ຫ້ອງການ",
        "office",
        "LA-LP",
        "luangprabang",
        19.9,
        102.1,
        "Interior",
        (uplink,),
        "F1",
        "normal",
    )
    clinic = Site(
        "clinic",
        "Clinic",
        "",
        "hospital",
        "LA-VT",
        "chanthabuly",
        18.0,
        102.6,
        "Health",
        (uplink,),
        "",
        "critical",
    )
    devices = [
        Device("p0", "office", "connectivity-probe", 60.0, 1, {}),
        Device("n0", "office", "connectivity-probe", 60.0, 1, {}),
        Device("c0", "clinic", "cold-chain", 300.0, 1, {}),
        Device("n1", "clinic", "environment", 60.0, 1, {}),
        Device("old", "clinic", "environment", 60.0, 1, {}),
    ]
    return Registry({s.site: s for s in (office, clinic)}, {d.device: d for d in devices})


def fill(ledger: Ledger, *stores: SeriesStore) -> None:
    """Two hours of minutes of p0, the latest readings, alerts, quarantine, totals, a heartbeat."""
    add_registry(ledger, registry())
    add_series(
        ledger,
        [(RTT, "p0", "nat_rtt_p50_ms"), (DNS, "p0", "dns_ms"), (BOX, "c0", "temperature_c")],
    )
    for series in stores:
        series.write(_readings(), first=0, last=240)
    commit(ledger, _facts(), now_ms=NOW_MS)
    gauges = {
        "messages_received": 250,
        "broker_connected": True,
        "series": 3,
        "resident_bytes": 5e7,
    }
    plan = Plan("silence", "site", "clinic", None, NOW_MS + HOUR_MS, "The fridge is moved.")
    propose(ledger, plan, Terms("LA-VT", "Health", NOW_MS, False, False), Deed("s", "S", NOW_MS))
    stats.beat(ledger, "ingest", NOW_MS - 500, gauges | _latencies())


def change(number: int, **facts: Any) -> AlertChange:
    """The firing of an alert number n, n minutes ago, on p0."""
    at_ms = NOW_MS - number * MINUTE_MS
    usual: dict[str, Any] = {
        "alert": f"a{number:03d}",
        "state": "firing",
        "device": "p0",
        "site": "office",
        "metric": "nat_rtt_p50_ms",
        "rule": f"rule-{number}",
        "nature": "connectivity",
        "severity": "warning",
        "event_ms": at_ms - 1000,
        "at_ms": at_ms,
        "value": 300.0,
        "expected": (0.0, 200.0),
        "text_en": "too slow",
        "text_lo": "ຊ້າເກີນໄປ",
    }
    return AlertChange(**{**usual, **facts})


def incident(name: str, state: IncidentState, **facts: Any) -> IncidentChange:
    """A change of an incident of province LA-LP that opened five minutes before now."""
    first: dict[str, Any] = {
        "at_ms": NOW_MS - 5 * MINUTE_MS,
        "scope": Scope("province", "LA-LP"),
        "cause": "unknown",
        "phase": "provisional",
        "confidence": 0.5,
        "started_ms": NOW_MS - 9 * MINUTE_MS,
        "ended_ms": None,
        "sites": ("clinic", "office"),
        "devices": ("p0",),
        "evidence": ("2 of 2 sites of province LA-LP failed within 1 min.",),
        "evidence_lo": ("2 ໃນ 2 ສະຖານທີ່ ຂອງແຂວງ LA-LP ຂັດຂ້ອງພາຍໃນ 1 ນາທີ.",),
    }
    return IncidentChange(incident=name, state=state, **{**first, **facts})


def _readings() -> Readings:
    minutes = range(-120, 0)
    at_ms = [NOW_MS + minute * MINUTE_MS for minute in minutes]
    return Readings.of(
        [RTT] * 120 + [DNS] * 120,
        at_ms * 2,
        [at + 250 for at in at_ms * 2],
        [float(n % 10) for n in range(120)] + [100.0] * 120,
    )


def _facts() -> Facts:
    heard = {
        "p0": DeviceSeen(
            "p0",
            NOW_MS - MINUTE_MS,
            {"nat_rtt_p50_ms": (NOW_MS - MINUTE_MS, 9.0), "dns_ms": (NOW_MS - MINUTE_MS, 100.0)},
            {"state": "online", "fw": "1.4.2"},
        ),
        "c0": DeviceSeen(
            "c0", NOW_MS - 1_000_000, {"temperature_c": (NOW_MS - 1_000_000, 4.5)}, None
        ),
        "old": DeviceSeen("old", NOW_MS - 100 * DAY_MS, {}, None),
    }
    two_hours_ago, an_hour_ago = NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS
    return Facts(
        position=249,
        alert_changes=[
            change(1, severity="critical"),
            change(2),
            change(3, device="c0", site="clinic", metric="", rule="silence", expected=None),
            change(4, state="pending"),
            change(5),
            change(5, state="resolved"),
        ],
        incident_changes=[
            incident("i1", "open"),
            incident("i1", "updated", at_ms=NOW_MS - 4 * MINUTE_MS, cause="backbone"),
            incident("i2", "open", scope=Scope("site", "clinic")),
            incident("i2", "resolved", scope=Scope("site", "clinic"), phase="final"),
        ],
        bins=[
            Bin("office", NOW_MS - HOUR_MS + n * BIN_MS, state, False, 1)
            for n, state in enumerate(BIN_STATES)
        ],
        quarantined=[
            Quarantined(
                NOW_MS - 5000,
                "gov/v1/LA-LP/p0/telemetry",
                "p0",
                b'{"v":9}',
                [Refusal("bad-version", "v", "9 is not 1")],
                True,
            ),
            Quarantined(
                NOW_MS - 4000,
                "gov/v1/LA-LP/ghost/telemetry",
                "ghost",
                b"\xff\x00",
                [Refusal("bad-utf8", "", "byte 0")],
                True,
            ),
        ],
        device_seen=list(heard.values()),
        accounting={
            ("p0", two_hours_ago): (60, 2, 1, 0),
            ("p0", an_hour_ago): (70, 0, 0, 1),
            ("c0", an_hour_ago): (3, 0, 0, 0),
        },
        totals={
            "messages_stored": 240,
            "messages_duplicate": 7,
            "messages_quarantined": 2,
            "readings_stored": 240,
            "readings_duplicate": 14,
            "refused_bad-version": 1,
        },
    )


def _latencies() -> dict[str, Any]:
    span = {"p50": 10.0, "p99": 100.0, "count": 3, "sum": 120.0}
    buckets = {"bounds": [1.0, 10.0, 100.0], "buckets": [0, 2, 1, 0]}
    return {"event_to_stored_ms": span | buckets, "event_to_alert_ms": span | buckets}


def _named(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in parameters.items()}
