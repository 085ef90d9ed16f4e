"""Cursors: what was made is read back, and nothing else is."""

from __future__ import annotations

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api import cursors
from api.problems import ProblemError


def asking(query: str = "", path: str = "/api/v1/devices") -> Request:
    """A request for a path."""
    return Request({"type": "http", "path": path, "query_string": query.encode(), "headers": []})


@given(st.integers(-(2**45), 2**45), st.from_regex(r"[ -~]{0,60}", fullmatch=True))
def test_a_position_comes_back(number: int, text: str) -> None:
    """Under the same question, whatever the page size."""
    cursor = cursors.encode(asking("limit=5&kind=solar"), (number, text))
    found = cursors.decode(asking(f"kind=solar&limit=9&cursor={cursor}"), cursor, (int, str))
    assert found == (number, text)


@pytest.mark.parametrize(
    "position",
    [(), (1, 2), ("1",), (2**63,), (-(2**63),), (1.5,), (True,), (None,), ([1],), ({},)],
)
def test_a_position_of_another_shape_is_refused(position: tuple[int | str, ...]) -> None:
    """Also when its digest is right: whoever makes one gets a 422, not an error of ours."""
    cursor = cursors.encode(asking(), position)
    with pytest.raises(ProblemError) as refused:
        cursors.decode(asking(), cursor, (int,))
    assert refused.value.status == 422


@pytest.mark.parametrize("text", ["\x00", "\ud800", "ກ", "a\n"])
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    """Ids are printable ASCII."""
    cursor = cursors.encode(asking(), (text,))
    with pytest.raises(ProblemError):
        cursors.decode(asking(), cursor, (str,))


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,80}", fullmatch=True))
def test_any_text_is_a_cursor_or_a_problem(text: str) -> None:
    """Nothing else is raised."""
    with pytest.raises(ProblemError):
        cursors.decode(asking(), text, (int,))
