"""The key of the first administrator: made at the first start, told once, to a terminal only."""

from __future__ import annotations

import time
from typing import TextIO

from storage.ledger.keys import first_admin_key, has_admin_key
from storage.ledger.migrations import Ledger

HOW = "govsense keys create --role admin --name NAME"


def tell_first_key(ledger: Ledger, terminal: TextIO) -> str:
    """Make and show the first key, if there is none yet and somebody sits at the terminal.

    Returns what is to be logged where nobody does, else "": a log would keep the key.
    """
    if has_admin_key(ledger):
        return ""
    if not terminal.isatty():
        return f"nobody can call the API yet; make a key at a terminal: {HOW}"
    made = first_admin_key(ledger, now_ms=time.time_ns() // 1_000_000, by="first start")
    if made is not None:
        print(
            "\nThe key of the first administrator, shown this once; it is not in any log:\n"
            f"\n    {made.text}\n\n"
            f"Lost it? {HOW}\n",
            file=terminal,
            flush=True,
        )
    return ""
