"""Where the client has its key from, and over what it may send it."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import httpx

VARIABLE, FILE_VARIABLE = "GOVSENSE_KEY", "GOVSENSE_KEY_FILE"


def key_from(key: str | None, file: str | Path | None) -> str:
    """The key that is given, else of the file, else of the environment; "" where there is none."""
    if key is not None:
        return key
    named = file or (None if VARIABLE in os.environ else os.environ.get(FILE_VARIABLE))
    if named:
        return Path(named).read_text(encoding="utf-8").strip()
    return os.environ.get(VARIABLE, "")


def may_carry(address: str) -> bool:
    """Whether a key may be sent there: by TLS, or without leaving this machine."""
    url = httpx.URL(address)
    if url.scheme == "https" or url.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return False
