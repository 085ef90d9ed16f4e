"""What is wrong with a value, in plain words, where the validation speaks to programmers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Text on lines, nothing that moves a terminal; something in it is to be seen.
PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x08\x0b-\x1f\x7f]*$"
ON_A_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
REVISION = r'^"[0-9]{1,9}"$'

_WHOLE = ("is not a whole number", "a whole number")
_NUMBER = ("is not a number", "a number")
_OBJECT = ("is not an object", "a JSON object")
_TEXT = ("is not text", "text")
_BOOLEAN = ("is neither true nor false", "true or false")

# By the type of pydantic's error: why, with what its context holds, and what may be.
_REASONS: dict[str, tuple[str, str | None]] = {
    "missing": ("is missing", None),
    "extra_forbidden": ("is not known here; check its spelling", None),
    "string_too_short": ("is too short", "at least {min_length} characters"),
    "string_too_long": ("is too long", "at most {max_length} characters"),
    "string_pattern_mismatch": ("is not written as it must be", "text like {pattern}"),
    "literal_error": ("must be {expected}", "{expected}"),
    "enum": ("must be {expected}", "{expected}"),
    "greater_than_equal": ("must be at least {ge}", "at least {ge}"),
    "greater_than": ("must be above {gt}", "above {gt}"),
    "less_than_equal": ("must be at most {le}", "at most {le}"),
    "less_than": ("must be below {lt}", "below {lt}"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "string_type": _TEXT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": ("is not a list", "a JSON list"),
}
_PATTERNS = {  # those of free text say themselves what is wrong with it
    PLAIN: ("holds a control character", "text without control characters"),
    REVISION: ("is not a revision in quotes", 'like "3", with its quotes'),
    ON_A_LINE: ("holds a line break or another control character", "text on one line"),
}


def plain(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """Why a value is refused, and what is allowed (None: the reason says it all).

    Of a kind of error that we have no words for, the words of the validation.
    """
    context = error.get("ctx", {})
    if _is_blank(error):
        return "is empty", "text with something to be seen in it"
    if error["type"] == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    reason, allowed = _REASONS.get(error["type"], (str(error["msg"]), context.get("allowed")))
    if error["type"] not in _REASONS:
        return reason, allowed
    return reason.format_map(context), allowed and allowed.format_map(context)


def _is_blank(error: Mapping[str, Any]) -> bool:
    value = error.get("input")
    is_of_text = error["type"] in ("string_too_short", "string_pattern_mismatch")
    return is_of_text and isinstance(value, str) and not value.strip()
