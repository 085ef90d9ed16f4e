"""What no schema can say of the API: Schemathesis loads this and drops failures that are none.

Every check stays on for every operation. Dropped is only valid data that was refused for what it is
together with other data or with what is stored, as the problem's own words say.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

KEY = "GOVSENSE_TEST_KEY"  # in the environment: the key of the run, "" for none
PUBLIC = ("/api/v1/health", "/api/v1/ready", "/api/v1/live", "/public/v1/status")
BEFORE_WHO = (405, 413, 415)  # is no such route, or what is sent no request of ours, whoever asks

# Of a field of a problem: how the reasons begin that are no matter of the field's own schema.
RELATIONS: dict[str, tuple[str, ...]] = {
    # A cursor is made by an answer, for the same question.
    "cursor": ("was not made for this question", "is for pages"),
    "limit": ("is for pages",),
    # Two parameters of which one takes the other's place, or is about the other.
    "bom": ("is for CSV",),
    "agg": ("needs a bucket",),
    "period": ("is given beside from and to", "is not in the calendar"),
    # A range, times how finely it is asked for.
    "from": ("is missing", "makes the range too long"),
    "to": ("is missing", "is before from", "is not after its start", "is more than 366 days",
           "is not at a whole five minutes"),
    "bucket": ("is too short for this range", "would be made from too many"),
    "points": ("takes the place of bucket", "are too many for", "would be made from too many"),
    # What is registered, and what it has.
    "device": ("is not registered", "has too few or too many"),
    "metric": ("is unknown",),
    "scope.id": ("is unknown", "names nothing in a country"),
    "site": ("does not fit",),
    # A window begins about now and is not endless.
    "start": ("is past", "is too far away"),
    "end": ("is not after the start", "makes a"),
    # It is in quotes; of the coverage phase comes one without them that is said to fit the pattern.
    "if-match": ("is not a revision in quotes",),
    # The same key was sent with something else before.
    "Idempotency-Key": ("has come with another request",),
}  # fmt: skip


@schemathesis.hook
def filter_failure(
    context: Any, failure: Exception, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Whether it is one."""
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        errors = response.json()["errors"]
        return not errors or not all(_is_relation(error) for error in errors)
    # A header that we do not know is no error: any proxy adds some.
    return not (
        isinstance(failure, AcceptedNegativeData)
        and "in header - object with unexpected properties" in str(failure)
    )


@schemathesis.check
def nothing_without_a_key(
    ctx: CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Whoever has none, or one that does not hold, gets a 401 from all but the public routes.

    These ask nobody for a key.
    """
    sent = response.request.headers
    credentials = [*str(sent.get("Authorization")).split(), str(sent.get("X-API-Key"))]
    path = case.operation.path
    if path.startswith(PUBLIC):
        assert response.status_code != 401, "a public route asks for a key"
    elif os.environ[KEY] not in credentials:
        assert response.status_code in (401, *BEFORE_WHO), f"{response.status_code} without a key"


def _is_relation(error: dict[str, str]) -> bool:
    return error["reason"].startswith(RELATIONS.get(error["field"], ()))
