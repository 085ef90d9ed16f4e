"""/devices/{id}/sequences: by the device's own numbering, what came and what is missing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.documentation import documented
from api.platform import PlatformNow, find_device
from storage.ledger.sequences import device_sequences

router = APIRouter(tags=["accounting"])


class Range(BaseModel):
    """First and last number, both included."""

    first: int
    last: int


class BootOut(BaseModel):
    """One run of the device since a restart.

    highest: the highest number that came. waiting: missing, asked for again. lost: missing, no
    longer waited for; what comes after all is lost no more.
    """

    boot: str
    highest: int
    waiting: list[Range]
    lost: list[Range]


class SequencesOut(BaseModel):
    """Every boot of the device that numbered its rounds."""

    device: str
    boots: list[BootOut]


EXAMPLE = {
    "device": "probe-0042",
    "boots": [
        {
            "boot": "9f2c",
            "highest": 4711,
            "waiting": [{"first": 4600, "last": 4655}],
            "lost": [{"first": 17, "last": 19}],
        }
    ],
}


@router.get(
    "/devices/{device}/sequences",
    response_model=SequencesOut,
    responses=documented(EXAMPLE, 404),
)
def sequences(platform: PlatformNow, device: str) -> dict[str, Any]:
    """What of each boot has not come; ingest brings it up to date every ten seconds."""
    row = find_device(platform, device)
    return {
        "device": row.device,
        "boots": [
            {
                "boot": boot.boot,
                "highest": boot.highest,
                "waiting": _ranges(boot.waiting),
                "lost": _ranges(boot.lost),
            }
            for boot in device_sequences(platform.ledger, row.device)
        ],
    }


def _ranges(ranges: list[tuple[int, int]]) -> list[dict[str, int]]:
    return [{"first": first, "last": last} for first, last in ranges]
