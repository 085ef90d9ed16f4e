"""What the client raises: one class for each thing that the caller should do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec


class ApiError(Exception):
    """The API did not answer as asked. status: of HTTP, 0 without an answer; detail: its words.

    errors: what is wrong with the request, each with field, reason, got and allowed.

    ApiError
    ├─ RequestError       change the request
    │  ├─ MissingError    there is no such thing
    │  └─ StateError      it is not in a state in which this can be done
    │     └─ StaleError   somebody has acted on it meanwhile, or has it in hand
    ├─ RightsError        use another key, or ask for the right
    └─ AwayError          try again later
    """

    advice = "this is a fault of the platform: tell who runs it"

    def __init__(self, status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        parts = [f"{status} {detail}" if status else detail, *map(_in_words, errors), self.advice]
        super().__init__("; ".join(parts))
        self.status = status
        self.detail = detail
        self.errors = list(errors)


class RequestError(ApiError):
    """The request is wrong."""

    advice = "change the request"


class MissingError(RequestError):
    """There is nothing of that name, or the key may not see it."""

    advice = "check the name, and whether the key may see it"


class StateError(RequestError):
    """What was asked for cannot be done to it now."""

    advice = "read it again: it has changed"


class StaleError(StateError):
    """Somebody has acted on it since it was read, or has it in hand."""

    advice = "read it again, and pass its revision as if_match"


class RightsError(ApiError):
    """The key is missing, not known or has not the right."""

    advice = "pass key=, or set GOVSENSE_KEY or GOVSENSE_KEY_FILE to a key that has the right"


class AwayError(ApiError):
    """The API does not answer, or asks to come back later; after the last of several tries.

    retry_after: seconds, as the answer said it.
    """

    advice = "try again later"
    retry_after: str | None = None


BY_STATUS: dict[int, type[ApiError]] = {
    401: RightsError,
    403: RightsError,
    404: MissingError,
    409: StateError,
    412: StaleError,
    428: StaleError,
    **dict.fromkeys((429, 502, 503, 504), AwayError),
}


def error_of_answer(answer: httpx.Response) -> ApiError:
    """The exception for an answer whose body is read."""
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    error = error_of(answer.status_code, problem)
    if isinstance(error, AwayError):
        error.retry_after = answer.headers.get("retry-after")
    return error


def error_of(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The exception for an answer; problem: its RFC 9457 object, empty where it had none."""
    usual = RequestError if 400 <= status < 500 else ApiError
    detail = str(problem.get("detail") or "the answer says no more")
    errors = [one for one in problem.get("errors") or () if isinstance(one, Mapping)]
    return BY_STATUS.get(status, usual)(status, detail, errors)


def _in_words(error: Mapping[str, Any]) -> str:
    text = f"{error.get('field')} {error.get('reason')}"
    if error.get("got") is not None:
        text += f", got {error['got']}"
    if error.get("allowed") is not None:
        text += f", allowed: {error['allowed']}"
    return text
