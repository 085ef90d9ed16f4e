"""One text for one report: sorted keys, six decimals, no spaces; and the digests of it."""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring
from typing import Any


def canonical(value: Any) -> str:
    """JSON in which every value has one form only.

    Keys are sorted by code point, strings are unescaped UTF-8 where JSON allows it, fractions have
    six decimals, there is no white space. Whole numbers are integers.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    if value is True or value is False or value is None:
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, dict):
        inside = (f"{encode_basestring(key)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(inside) + "}"
    return "[" + ",".join(map(canonical, value)) + "]"


def digest_of(value: Any) -> str:
    """SHA-256, in hexadecimal, of the canonical text."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
