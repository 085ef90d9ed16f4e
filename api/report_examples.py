"""Examples of the answers of /reports, for OpenAPI."""

from __future__ import annotations

from typing import Any

SPEED = {
    "tests": 120, "judged": 120, "met": 111, "enough": True, "share": 0.925,
    "down_p50_mbps": 46.2, "up_p50_mbps": 23.1, "rtt_p50_ms": 14.0, "loss_pct": 0.1,
}  # fmt: skip
FIGURES: dict[str, Any] = {
    "sites": 1,
    "minutes": {
        "up": 42900, "degraded": 60, "down": 120, "unknown": 60, "excluded": 60, "on_backup": 0,
        "not_started": 0,
    },
    "excluded_by_reason": {"mast repair": 60},
    "excluded_share": 0.001389,
    "availability": 0.997214,
    "lower": 0.995829,
    "upper": 0.997219,
    "coverage": 0.998609,
    "sufficient": True,
    "quality_ok": 0.998603,
    "outages": 2,
    "outages_open": 0,
    "mttr_minutes": 60.0,
    "mtbf_minutes": 21480.0,
    "saifi": 2.0,
    "saidi_minutes": 120.0,
    "speed": SPEED,
}  # fmt: skip
LP = {"name_en": "Luang Prabang", "name_lo": "ຫຼວງພະບາງ"}
PERIOD = {
    "name": "2026-09",
    "start": "2026-08-31T17:00:00.000Z",
    "end": "2026-09-30T17:00:00.000Z",
}
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SITE = {
    "id": "lp-health-01", "name_en": "Health office", "name_lo": "ຫ້ອງການສາທາລະນະສຸກ",
    "province": "LA-LP", "district": "luangprabang", "agency": "Health", "provider": "LTC",
}  # fmt: skip
OUTAGE = {
    "site": "lp-health-01", "start": "2026-09-05T01:30:00.000Z", "end": "2026-09-05T03:00:00.000Z",
    "minutes": 90, "open": False,
}  # fmt: skip
CONNECTIVITY: dict[str, Any] = {
    "kind": "connectivity",
    "schema": 1,
    "status": "final",
    "revision": 1,
    "as_of": "2026-10-05T02:00:00.000Z",
    "digest": DIGEST,
    "scope": {"site": "lp-health-01"},
    "period": PERIOD,
    "calendar": {"name": "24x7", "zone": "Asia/Vientiane", "minutes_so_far": 43200},
    "data_until": PERIOD["end"],
    "rules": {
        "bin_minutes": 5, "coverage_needed": 0.9, "contracted_floor_pct": 80.0, "least_tests": 10,
        "settling_hours": 48.0,
    },
    "total": FIGURES,
    "provinces": [{"id": "LA-LP", **LP, **FIGURES}],
    "districts": [{"id": "LA-LP/luangprabang", **LP, **FIGURES}],
    "agencies": [{"id": "Health", "name_en": "Health", "name_lo": "Health", **FIGURES}],
    "providers": [{"id": "LTC", "name_en": "LTC", "name_lo": "LTC", **FIGURES}],
    "sites": [{**SITE, **FIGURES}],
    "worst_sites": [{"site": "lp-health-01", "availability": 0.997214, "coverage": 0.998609}],
    "outages": {"count": 2, "longest": [OUTAGE]},
    "planned_work": [
        {
            "window": "w4c1b2a9f00d3e57", "kind": "maintenance",
            "scope": {"type": "site", "id": "lp-health-01"},
            "start": "2026-09-12T01:00:00.000Z", "end": "2026-09-12T02:00:00.000Z",
            "late": False, "withdrawn": False, "reason": "mast repair", "sites": 1, "minutes": 60,
        }
    ],
    "data": {"bins": DIGEST, "speed_tests": DIGEST, "left_out": DIGEST},
}  # fmt: skip
OTHER_FORMATS = {
    "text/csv": "govsense-report,...\r\nlevel,id,name_en,name_lo,sites,up_minutes,...\r\n",
    "text/html": "<!doctype html>...",
}
REVISION = {"revision": 1, "issued_at": "2026-10-05T02:00:00.000Z", "digest": DIGEST}
CAN = {"can": 1, "cannot": 0, "unknown": 1, "share": 1.0}
CANNOT = {"can": 0, "cannot": 1, "unknown": 1, "share": 0.0}
COUNTS: dict[str, Any] = {
    "sites": 2,
    "meets": 0,
    "misses": 1,
    "unknown": 1,
    "share": 0.0,
    "services": {"web": CAN, "video-meeting": CANNOT, "backup": CANNOT},
}
LINK = {name: SPEED[name] for name in SPEED if name not in ("judged", "met", "share")}
ROLLOUT: dict[str, Any] = {
    "period": PERIOD,
    "scope": {"province": "LA-LP"},
    "target": {"down_mbps": 50.0, "up_mbps": 25.0, "rtt_ms": 100.0, "least_tests": 10},
    "services": [
        {
            "service": "web", "name_en": "web", "name_lo": "ເວັບ", "down_mbps": 10.0,
            "up_mbps": 10.0, "rtt_ms": 100.0, "loss_pct": 1.0,
            "source": "M-Lab IQB: web browsing",
        }
    ],
    "total": COUNTS,
    "agencies": [{"agency": "Health", **COUNTS}],
    "provinces": [{"province": "LA-LP", **COUNTS}],
    "agencies_by_province": [{"agency": "Health", "province": "LA-LP", **COUNTS}],
    "sites": [
        {
            "site": "lp-health-01", "name_en": "Health office", "name_lo": "ຫ້ອງການສາທາລະນະສຸກ",
            "agency": "Health", "province": "LA-LP", "meets": False,
            "services": {"web": True, "video-meeting": False, "backup": False}, "links": [LINK],
        }
    ],
}  # fmt: skip
