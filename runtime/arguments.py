"""Values of the command line that several commands take."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MOST_DIGITS = 18


def whole_number(least: int, most: int, called: str) -> Callable[[str], int]:
    """An argparse type: digits alone, of a number from least to most.

    called: what the error says that the text is not.
    """

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
        if not (is_number and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not {called}")
        return int(text)

    return read
