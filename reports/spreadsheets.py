"""CSV for spreadsheets: a mark by which they know UTF-8, and no text that they would run."""

from __future__ import annotations

BOM = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet may run a text that begins so


def safe_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula: where it begins like one, ' comes first."""
    return f"'{text}" if text.startswith(FORMULA) else text
