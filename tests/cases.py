"""How many cases a property is tried on: some seconds' worth, or as many as it is promised for."""

from __future__ import annotations

import os

PROFILE = "HYPOTHESIS_PROFILE"
LONGEST_S = 1800  # of a test on a slow and busy machine, when it is thorough


def cases(usual: int, thorough: int = 10_000) -> int:
    """`usual`, or `thorough` where HYPOTHESIS_PROFILE=thorough asks for it."""
    return thorough if os.environ.get(PROFILE) == "thorough" else usual
