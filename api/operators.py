"""What the routes of operators' actions share: who acts, their words, the history, the refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Annotated, Any, Literal

from fastapi import Depends, Header
from pydantic import BaseModel, ConfigDict, StringConstraints

from api.callers import CallerNow
from api.plain_words import ON_A_LINE, PLAIN, REVISION
from api.platform import PlatformNow
from api.problems import ProblemError, invalid, not_found
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger.actions import Action, Deed, KeyReusedError, StaleError, Subject
from storage.ledger.handling import NotPossibleError, TakenError

MOST_ACTIONS = 500  # of a history that is shown at once

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=100, pattern=ON_A_LINE),
]
Comment = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=PLAIN),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,100}$",
        description="the same key with the same request once more changes nothing",
        examples=["5f0c1d3a-seen"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        pattern=REVISION,
        description="the `revision` that was seen, in quotes: 412 if it is another by now",
        examples=['"3"'],
    ),
]


# Why something is put away that goes on. None of them says that it was repaired: that shows itself.
CloseReason = Literal[
    "false-alarm", "known-problem", "planned-work", "not-our-duty", "decommissioned", "duplicate",
    "other",
]  # fmt: skip


class Remark(BaseModel):
    """What somebody says."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "The provider was called."}]}
    )

    text: Comment


class Assignment(BaseModel):
    """Into whose hands something goes; null: into nobody's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"to": "K. Phom", "text": "Has the key of the site."}]},
    )

    to: Name | None
    text: Comment | None = None


class Closing(BaseModel):
    """Why something is put away, in a word and in a sentence."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"reason": "known-problem", "text": "The sensor is on order."}]
        },
    )

    reason: CloseReason
    text: Comment


class ActionOut(BaseModel):
    """One thing that happened to an alert, an incident or a window. by: nobody, govsense itself.

    data: what else belongs to the action, such as `to` of an assignment or `reason` of a closing.
    """

    at: TimeOut
    action: str
    by: str | None
    text: str
    data: dict[str, Any]


ACTION_EXAMPLE = {
    "at": EXAMPLE,
    "action": "comment",
    "by": "S. Vong",
    "text": "The provider was called.",
    "data": {},
}


async def _deed(
    caller: CallerNow,
    platform: PlatformNow,
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Deed:
    revision = None if if_match is None else int(if_match.strip('"'))
    return Deed(caller.id, caller.name, platform.now_ms(), idempotency_key, revision)


DeedNow = Annotated[Deed, Depends(_deed)]


@contextmanager
def refusals(subject: Subject) -> Iterator[None]:
    """Turn what the ledger refuses into problems."""
    try:
        yield
    except KeyError as exc:
        raise not_found(subject.type, subject.id) from exc
    except NotPossibleError as exc:
        raise ProblemError(409, str(exc), extra={"state": exc.state}) from exc
    except StaleError as exc:
        raise ProblemError(412, str(exc), extra={"revision": exc.revision}) from exc
    except TakenError as exc:
        detail = f"{exc}; say with If-Match which revision you saw"
        extra = {"revision": exc.revision, "assigned_to": exc.assigned_to}
        raise ProblemError(428, detail, extra=extra) from exc
    except KeyReusedError as exc:
        allowed = "the same request, or another key"
        raise invalid("Idempotency-Key", "has come with another request", got=exc.args[0],
                      allowed=allowed) from exc  # fmt: skip


def history_of(
    happened: Sequence[tuple[int | None, str]], actions: Sequence[Action]
) -> list[dict[str, Any]]:
    """What the platform did, (when, what), among what people did, the oldest first."""
    own: list[tuple[int, dict[str, Any]]] = [
        (at_ms, {"at": iso(at_ms), "action": what, "by": None, "text": "", "data": {}})
        for at_ms, what in happened
        if at_ms is not None
    ]
    theirs = [(action.at_ms, _action(action)) for action in actions]
    return [row for _, row in sorted(own + theirs, key=itemgetter(0))]


def is_id(text: str) -> bool:
    """Whether a text can be the id of an alert, an incident or a window."""
    return text.isascii() and text.isalnum()


def _action(action: Action) -> dict[str, Any]:
    return {
        "at": iso(action.at_ms),
        "action": action.action,
        "by": action.author,
        "text": action.text,
        "data": action.data,
    }
