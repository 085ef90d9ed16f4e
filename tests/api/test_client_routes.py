"""The client has a method for every route and format of the OpenAPI, and leaves out no member."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from api.client import Client
from api.client_connection import Connection, Download
from api.client_errors import ApiError
from detection.incidents.changes import Scope
from devices.wire.message import Refusal
from storage.ledger.facts import Facts, Quarantined, commit
from tests.api.world import NOW_MS, World, incident

END = datetime(2026, 10, 5, 3, tzinfo=UTC)
STREAM = "/api/v1/events"


class Recording(httpx.BaseTransport):
    """A transport that keeps what was asked and with what it was answered."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.seen: list[tuple[str, str, str]] = []  # method, path, media type
        self.bodies: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        media_type = answer.headers["content-type"].partition(";")[0]
        self.seen.append((request.method, request.url.path, media_type))
        if request.url.path != STREAM:
            answer.read()
            self.bodies.append(answer.content)
        return answer

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def transport() -> Recording:
    return Recording()


@pytest.fixture
def clients(own_world: World, transport: Recording) -> Iterator[tuple[Client, Client]]:
    """Two administrators of a world with an incident of one site, and two devices that are new."""
    unknown = Refusal("unknown-device", "topic", "is not registered")
    held = [
        Quarantined(NOW_MS, f"gov/v1/LA-LP/{name}/telemetry", name, b"{}", [unknown], True)
        for name in ("new-1", "new-2")
    ]
    opened = incident("i3", "open", scope=Scope("site", "office"), sites=("office",))
    facts = Facts(position=250, quarantined=held, incident_changes=[opened])
    commit(own_world.ledger, facts, now_ms=NOW_MS)
    url = str(own_world.client.base_url)
    with (
        Client(url, key=own_world.key(name="Noy"), transport=transport, tries=1) as noy,
        Client(url, key=own_world.key(name="Phom"), transport=transport, tries=1) as phom,
    ):
        yield noy, phom


def calls(noy: Client, phom: Client) -> dict[str, list[Callable[[], Any]]]:
    """What is called of every method, in an order in which each succeeds."""
    proposed: list[str] = []

    def propose() -> Any:
        window = noy.propose_window("silence", "country", end=END, reason="An exercise.")
        proposed.append(window.window)
        return window

    devices = ["p0", "c0"]
    return {
        "health": [noy.health],
        "live": [noy.live],
        "ready": [noy.ready],
        "me": [noy.me],
        "stats": [noy.stats],
        "metrics": [noy.metrics],
        "public_status": [noy.public_status],
        "public_feed": [noy.public_feed],
        "kinds": [noy.kinds],
        "provinces": [noy.provinces],
        "districts": [lambda: noy.districts(province="LA-LP")],
        "sites": [lambda: noy.sites(class_="office")],
        "site": [lambda: noy.site("office")],
        "sites_map": [lambda: noy.sites_map(limit=1)],
        "sites_file": [lambda: noy.sites_file(bom=True)],
        "devices": [noy.devices],
        "device": [lambda: noy.device("p0")],
        "latest": [lambda: noy.latest("p0")],
        "latest_of": [lambda: noy.latest_of(province="LA-LP")],
        "latest_file": [
            lambda: noy.latest_file(province="LA-LP"),
            lambda: noy.latest_file("parquet"),
        ],
        "telemetry": [
            lambda: noy.telemetry("p0", metric="dns_ms", bucket="1h", agg=["mean", "p95"]),
            lambda: noy.telemetry(devices, from_=END - timedelta(hours=2), to=END),
        ],
        "chart": [
            lambda: noy.chart("p0", points=4, metric="dns_ms"),
            lambda: noy.chart(devices, points=4),
        ],
        "telemetry_file": [
            lambda: noy.telemetry_file("p0", bom=True),
            lambda: noy.telemetry_file("p0", "parquet"),
            lambda: noy.telemetry_file(devices),
            lambda: noy.telemetry_file(devices, "parquet"),
        ],
        "hours": [lambda: noy.hours("p0")],
        "accounting": [noy.accounting],
        "sequences": [lambda: noy.sequences("p0")],
        "availability": [lambda: noy.availability("office")],
        "alerts": [lambda: noy.alerts(state="open")],
        "alert": [lambda: noy.alert("a001")],
        "acknowledge": [lambda: noy.acknowledge("a001", comment="seen", if_match=0)],
        "unacknowledge": [lambda: noy.unacknowledge("a001", text="not yet")],
        "comment_alert": [lambda: noy.comment_alert("a001", text="x", idempotency_key="k")],
        "assign_alert": [lambda: noy.assign_alert("a001", to="K. Phom")],
        "close_alert": [lambda: noy.close_alert("a001", reason="known-problem", text="x")],
        "incidents": [lambda: noy.incidents(state="open")],
        "incident": [lambda: noy.incident("i3")],
        "comment_incident": [lambda: noy.comment_incident("i3", text="x")],
        "assign_incident": [lambda: noy.assign_incident("i3", to=None, text="x")],
        "close_incident": [lambda: noy.close_incident("i3", reason="other", text="x")],
        "propose_window": [propose],
        "approve_window": [lambda: phom.approve_window(proposed[0], text="x")],
        "end_window": [lambda: noy.end_window(proposed[0], text="x")],
        "windows": [lambda: noy.windows(kind="silence")],
        "window": [lambda: noy.window(proposed[0])],
        "connectivity": [lambda: noy.connectivity(period="2026-09", province="LA-LP")],
        "connectivity_file": [
            lambda: noy.connectivity_file(period="2026-09"),
            lambda: noy.connectivity_file("csv", period="2026-09", bom=True),
            lambda: noy.connectivity_file("html", period="2026-09", lang="lo"),
        ],
        "connectivity_revisions": [lambda: noy.connectivity_revisions(period="2026-09")],
        "rollout": [lambda: noy.rollout(period="2026-09")],
        "quarantine": [noy.quarantine],
        "quarantined": [lambda: noy.quarantined(1)],
        "enrolment": [noy.enrolment],
        "newcomer": [lambda: noy.newcomer("new-1")],
        "accept": [lambda: noy.accept("new-1", site="office", kind="solar", interval_s=60)],
        "refuse": [lambda: noy.refuse("new-2", reason="a trial")],
        "audit": [noy.audit],
        "events": [lambda: next(noy.events(after=0))],
    }


def members_left_out(body: Any, read: Any, where: str = "") -> list[str]:
    """Members of an answer that its typed form does not have."""
    if isinstance(body, list):
        pairs = zip(body, read, strict=True)
        return [name for one, two in pairs for name in members_left_out(one, two, where)]
    if not isinstance(body, dict):
        return []
    missing = [f"{where}.{name}" for name in body if name not in read]
    for name in body.keys() & read.keys():
        missing += members_left_out(body[name], read[name], f"{where}.{name}")
    return missing


def test_every_route_and_format_has_a_method(
    clients: tuple[Client, Client], own_world: World, transport: Recording, tmp_path: Path
) -> None:
    """All methods are called; what the OpenAPI has beside what they asked is not in the client."""
    table = calls(*clients)
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction)}
    public = {name for name in methods if not name.startswith("_")}
    assert public - set(dir(Connection)) == set(table)
    for name, each in table.items():
        for call in each:
            del transport.bodies[:]
            read = call()
            if isinstance(read, Iterator):
                read = list(read)
            if isinstance(read, Download):
                assert read.save(tmp_path / "file").read_bytes() == read.read() != b""
            elif not isinstance(read, (str, dict)) and transport.bodies:
                items = [msgspec.json.decode(body) for body in transport.bodies]
                if isinstance(read, list):
                    items = [item for body in items for item in body["items"]]
                whole = read if isinstance(read, list) else [read]
                assert members_left_out(items, msgspec.to_builtins(whole), name) == []

    document = own_world.get("/openapi.json")
    missing = []
    for path, operations in document["paths"].items():
        form = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for method, operation in operations.items():
            for media_type in operation["responses"]["200"]["content"]:
                missing += [(method, path, media_type)] * (not any(
                    asked == method.upper() and form.fullmatch(of) and media_type == got
                    for asked, of, got in transport.seen
                ))  # fmt: skip
    assert missing == []


def test_a_file_is_there_only_when_it_is_whole(
    clients: tuple[Client, Client], tmp_path: Path
) -> None:
    """What is refused leaves neither a file nor a part of one, and an older file as it was."""
    file = tmp_path / "files" / "readings.csv"
    file.parent.mkdir()
    file.write_text("older")
    with pytest.raises(ApiError, match="nobody"):
        clients[0].telemetry_file("nobody").save(file)
    assert [one.name for one in file.parent.iterdir()] == ["readings.csv"]
    assert file.read_text() == "older"
    clients[0].telemetry_file(["p0"], metric="dns_ms", bom=True).save(file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbfdevice,metric,at")
    assert file.read_text().count("\n") == 61
