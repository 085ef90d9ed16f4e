"""The OpenAPI document: an example for every route, true to its schema and to the real answer."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.api.world import World

STREAMS = ("/api/v1/events", "/metrics", "/public/v1/status.atom")  # no JSON
ELSEWHERE = ("/api/v1/enrolment/{device}",)  # tests/api/test_enrolment.py checks its answer
PLACES = {"device": "p0", "site": "office", "alert": "a001", "incident": "i1", "id": "1"}
NEEDED = {"/api/v1/telemetry": {"device": "p0"}}


@pytest.fixture(scope="module")
def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get("/openapi.json")
    return found


@pytest.fixture(scope="module")
def places(world: World) -> dict[str, str]:
    """An id of each thing that a path may name."""
    return {**PLACES, "window": world.items("/windows")[0]["window"]}


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of every route."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def check(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Validate a value against a schema of the document."""
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
        value
    )


def test_every_route_is_described_with_an_example(document: dict[str, Any]) -> None:
    """Every operation has a summary of what it does, and every answer an example that fits."""
    for path, method, operation in operations(document):
        assert operation["description"], (method, path)
        for status, response in operation["responses"].items():
            for media in response.get("content", {}).values():
                assert "example" in media, (method, path, status)
                if path not in STREAMS or status != "200":
                    check(media["example"], media["schema"], document)
        if "requestBody" in operation:
            (body,) = operation["requestBody"]["content"].values()
            name = body["schema"]["$ref"].rpartition("/")[2]
            schema = document["components"]["schemas"][name]
            assert schema["examples"]
            check(schema["examples"][0], schema, document)


def test_real_answers_fit_their_schema(
    world: World, document: dict[str, Any], places: dict[str, str]
) -> None:
    """What a GET answers is what the document says."""
    for path, method, operation in operations(document):
        if method == "get" and path not in STREAMS + ELSEWHERE:
            answer = world.client.get(path.format(**places), params=NEEDED.get(path))
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            check(answer.json(), schema, document)


def test_errors_are_documented_as_problems(document: dict[str, Any]) -> None:
    """Every status that is not 200 has the type of RFC 9457; a 304 has no content."""
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status == "304":
                assert "content" not in response
            elif status != "200":
                assert list(response["content"]) == ["application/problem+json"], (method, path)
