"""Tags and compression: what was sent is not sent again, and text is sent small."""

from __future__ import annotations

import gzip

import httpx
import pytest

from devices.readings import Readings
from tests.api.world import NOW_MS, RTT, World

PAST = "from=2026-10-05T00:00:00Z&to=2026-10-05T01:00:00Z"
TAGGED = [
    "/sites",
    "/sites?format=geojson",
    "/sites?format=csv",
    "/sites/office",
    "/devices",
    "/devices/p0",
    "/devices/p0/latest",
    "/telemetry/latest",
    "/telemetry/latest?format=csv",
    f"/devices/p0/telemetry?{PAST}",
    f"/telemetry?device=p0&{PAST}&bucket=5m&format=parquet",
]
LONG = f"/devices/p0/telemetry?{PAST}"


def get(world: World, path: str, **headers: str) -> httpx.Response:
    """The answer to a GET that takes no compression unless it says so."""
    sent = {"Accept-Encoding": "identity"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    return world.client.get(f"/api/v1{path}", headers=sent)


@pytest.mark.parametrize("path", TAGGED)
def test_what_is_known_is_not_sent_again(world: World, path: str) -> None:
    """304 without a body, with the headers that RFC 9110 asks for; another tag gets all."""
    first = get(world, path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "private, no-cache"
    for named in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(world, path, If_None_Match=named)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "private, no-cache"
        vary = {*again.headers["vary"].split(", ")}
        assert vary >= {*first.headers.get("vary", "").split(", ")} - {""}
        assert "content-type" not in again.headers
    other = get(world, path, If_None_Match='"other"')
    assert (other.status_code, other.content) == (200, first.content)


def test_formats_have_tags_of_their_own(world: World) -> None:
    """A cache that asks with the tag of the CSV is not told that the JSON is known."""
    tag = get(world, "/sites?format=csv").headers["etag"]
    assert get(world, "/sites", If_None_Match=tag).status_code == 200


def test_late_data_change_the_tag_of_the_past(own_world: World) -> None:
    """A reading that comes late is seen by whoever asks again."""
    tag = get(own_world, LONG).headers["etag"]
    assert get(own_world, LONG, If_None_Match=tag).status_code == 304
    at_ms = NOW_MS - 5_400_001
    own_world.series.write(Readings.of([RTT], [at_ms], [at_ms], [1.0]), first=240, last=241)
    assert get(own_world, LONG, If_None_Match=tag).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/devices/p0/telemetry", "/devices/p0/telemetry?to=2026-10-05T02:00:00.001Z", "/alerts",
     "/stats"],
)  # fmt: skip
def test_what_goes_on_has_no_tag(world: World, path: str) -> None:
    """A range that reaches into the future, and everything else, is not kept anywhere."""
    answer = get(world, path)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [LONG, f"{LONG}&format=csv", "/openapi.json", "/kinds"])
def test_long_text_is_compressed_for_who_takes_it(world: World, path: str) -> None:
    """gzip, a weak tag for its bytes, and Vary, so that no cache gives it to somebody else."""
    plain = get(world, path)
    assert len(plain.content) > 1024
    assert "content-encoding" not in plain.headers
    with world.client.stream(
        "GET", f"/api/v1{path}", headers={"Accept-Encoding": "br;q=1, gzip"}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    for one in (plain, answer):
        assert "Accept-Encoding" in one.headers["vary"]
    if "etag" in plain.headers:
        assert answer.headers["etag"] == f"W/{plain.headers['etag']}"
        again = get(world, path, If_None_Match=answer.headers["etag"], Accept_Encoding="gzip")
        assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        (f"{LONG}&format=parquet", "gzip"),
        (LONG, "gzip;q=0"),
        (LONG, "gzip; q=0.0, *;q=0"),
        ("/health", "gzip"),
    ],
)
def test_some_answers_are_not_compressed(world: World, path: str, accepted: str) -> None:
    """Parquet is compressed in itself, short text gains nothing, and some refuse it."""
    answer = get(world, path, Accept_Encoding=accepted)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


def test_the_event_stream_is_not_compressed(world: World) -> None:
    """Its events leave when they happen."""
    headers = {"Accept-Encoding": "gzip"}
    with world.client.stream("GET", "/api/v1/events?after=0", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_lines())


def test_the_page_is_the_same_each_time(world: World) -> None:
    """Its files are answered from memory, compressed or not, in any order."""
    plain = world.client.get("/page/page.js", headers={"Accept-Encoding": "identity"})
    for accepted in ("gzip", "gzip", "identity"):
        answer = world.client.get("/page/page.js", headers={"Accept-Encoding": accepted})
        assert answer.text == plain.text
