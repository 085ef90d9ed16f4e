"""The public status as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from api.public.status import ClassStatus, ProvinceStatus, PublicIncident, PublicStatus
from api.public.texts import TEXTS, class_name
from api.times import iso, iso_or_none

UNTOLD = {"sites": None, "reachable": None, "in_trouble": None, "not_known": None}


def render(status: PublicStatus, *, age_s: int, is_stale: bool) -> bytes:
    """The body. age_s: of the figures; is_stale: newer ones could not be computed."""
    return msgspec.json.encode(
        {
            "computed_at": iso(status.computed_ms),
            "age_s": age_s,
            "stale": is_stale,
            "known_until": iso_or_none(status.known_ms),
            "provinces": [_province(province) for province in status.provinces],
            "incidents": [_incident(one) for one in status.incidents if not one.is_over],
        }
    )


def _province(status: ProvinceStatus) -> dict[str, Any]:
    words = TEXTS[f"state.{status.state}"]
    return {
        "province": status.province.code,
        "name_en": status.province.name_en,
        "name_lo": status.province.name_lo,
        "state": status.state,
        "state_en": words.en,
        "state_lo": words.lo,
        "classes": [_class(one) for one in status.classes],
    }


def _class(status: ClassStatus) -> dict[str, Any]:
    name = class_name(status.site_class)
    counts = status.counts
    told = UNTOLD if counts is None else {"sites": counts.sites, **counts._asdict()}
    return {"class": status.site_class, "name_en": name.en, "name_lo": name.lo, **told}


def _incident(incident: PublicIncident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "started_at": iso(incident.started_ms),
        "changed_at": iso(incident.changed_ms),
        "cause": incident.cause,
        "cause_final": incident.is_final,
        "provinces": incident.provinces,
        "text_en": incident.text.en,
        "text_lo": incident.text.lo,
    }
