"""/kinds: what devices measure."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.documentation import documented
from api.pages import Page
from devices.kinds import KINDS, Kind, Metric

router = APIRouter(tags=["reference"])


Pair = Annotated[list[float], Field(min_length=2, max_length=2)]  # lowest and highest value


class MetricOut(BaseModel):
    """One measured quantity. Outside `hard` is refused, outside `plausible` is flagged."""

    metric: str
    unit: str
    hard: Pair
    plausible: Pair | None
    max_rate_per_min: float | None
    resolution: float
    meaning: str


class KindOut(BaseModel):
    """A kind of device and its metrics."""

    kind: str
    metrics: list[MetricOut]


EXAMPLE = {
    "items": [
        {
            "kind": "cold-chain",
            "metrics": [
                {
                    "metric": "temperature_c",
                    "unit": "Cel",
                    "hard": [-90, 60],
                    "plausible": [2, 8],
                    "max_rate_per_min": 2,
                    "resolution": 0.1,
                    "meaning": "air temperature in the box",
                }
            ],
        }
    ],
    "next": None,
}


@router.get("/kinds", response_model=Page[KindOut], responses=documented(EXAMPLE))
def list_kinds() -> dict[str, Any]:
    """Every kind of device with its metrics, all on one page."""
    return {"items": [_kind(kind) for kind in KINDS.values()], "next": None}


def _kind(kind: Kind) -> dict[str, Any]:
    return {"kind": kind.name, "metrics": [_metric(m) for m in kind.metrics.values()]}


def _metric(metric: Metric) -> dict[str, Any]:
    known = metric.plausible_min is not None and metric.plausible_max is not None
    return {
        "metric": metric.name,
        "unit": metric.unit,
        "hard": (metric.hard_min, metric.hard_max),
        "plausible": (metric.plausible_min, metric.plausible_max) if known else None,
        "max_rate_per_min": metric.max_rate_per_min,
        "resolution": metric.resolution,
        "meaning": metric.meaning,
    }
