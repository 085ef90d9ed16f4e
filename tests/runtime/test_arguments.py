"""Values of the command line: numbers within bounds, and nothing else."""

from __future__ import annotations

import argparse

import pytest

from runtime.arguments import whole_number

port = whole_number(0, 65535, "a port, 0 to 65535")


@pytest.mark.parametrize("text", ["0", "8080", "65535", "0000080"])
def test_a_number_within_its_bounds(text: str) -> None:
    """Both bounds belong to it, and zeros before it say nothing."""
    assert port(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "65536", "0000080000", "1.5", "+1", "1_0", "٣", "9" * 99]
)
def test_anything_else_is_refused_in_words(text: str) -> None:
    """The text says what was given and what is allowed."""
    with pytest.raises(argparse.ArgumentTypeError, match="is not a port, 0 to 65535"):
        port(text)
