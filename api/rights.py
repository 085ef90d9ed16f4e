"""Rights: who calls, whether they may, how often; and the audit of writes, refusals, bulk reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bulk import is_long
from api.callers import NOBODY, Caller, Role
from api.credentials import CHALLENGE, HOW, Credentials, RefusedError, credential_of
from api.limits import Limits
from api.problems import ProblemError, invalid, respond, unavailable
from api.rate import Buckets, neighbourhood, retry_after
from api.renewals import Renewals
from api.rules import MAY, PUBLIC, Rule, Rules
from api.times import parse_time
from storage.ledger.audit import Entry, record
from storage.ledger.migrations import Ledger

READING = ("GET", "HEAD", "OPTIONS")
FAILURES_PER_MINUTE = 10  # of one address that are audited; more are answered with 429
LONGEST_PATH = 500  # characters that are kept of one
NUMBER = TypeAdapter(int)


@dataclass(frozen=True)
class Rights:
    """What rights are decided by. now_ms: platform time; machine_ms: that of the audit."""

    ledger: Ledger
    rules: Rules
    credentials: Credentials
    limits: Mapping[Role, Limits]
    now_ms: Callable[[], int]
    machine_ms: Callable[[], int]


class RightsMiddleware:
    """ASGI middleware: nothing behind it runs for who may not call it.

    For what is behind it, the state of a request holds `caller`, `rule`, `limits`, and `renewed`,
    which, awaited, raises RefusedError once the caller's credentials hold no longer. A route that
    notes a bulk read (api/bulk.py) has its answer audited. Where no rule is of a method, `others`
    holds the rules of its path by method: a public path says without a key what it takes.
    """

    def __init__(self, app: ASGIApp, rights: Rights) -> None:
        self._app = app
        self._rights = rights
        self._renewals = Renewals(rights.credentials.caller)
        self._asked = Buckets()
        self._failed = Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule = self._rights.rules.find(scope["method"], scope["path"])
        state = scope.setdefault("state", {})
        others = {} if rule else self._rights.rules.of_path(scope["path"])
        state.update(caller=NOBODY, rule=rule, others=others, limits=Limits())
        if PUBLIC in (rule, *others.values()):
            await self._app(scope, receive, send)
            return
        try:
            credential, caller = await self._caller(scope)
            self._check_rate(caller)
        except ProblemError as problem:
            await respond(Request(scope), problem)(scope, receive, send)
            return
        renewed = partial(self._renewals.check, credential)
        state.update(caller=caller, limits=self._rights.limits[caller.role], renewed=renewed)
        what = _audited_as(scope, self._rights.now_ms)
        answer = _Answer(scope, send, what, partial(self._record, scope, caller))
        try:
            if refusal := _refusal(rule, caller) or _page_problem(scope, state["limits"]):
                await respond(Request(scope), refusal)(scope, receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
        finally:
            await answer.end()

    async def _caller(self, scope: Scope) -> tuple[str, Caller]:
        """The credential and whose it is. Raises ProblemError."""
        try:
            credential = credential_of(Headers(scope=scope))
            if not credential:
                raise ProblemError(401, f"who calls? {HOW}", headers=_challenge(""))
            return credential, await run_in_threadpool(self._rights.credentials.caller, credential)
        except RefusedError as exc:
            raise await self._refused(scope, exc) from exc
        except OperationalError as exc:
            raise unavailable(exc) from exc

    async def _refused(self, scope: Scope, refused: RefusedError) -> ProblemError:
        """The problem for credentials that do not hold. One that holds is never held up by it."""
        who, now_s = neighbourhood(_address(scope)), time.monotonic()
        wait_s = self._failed.minute_wait_s(who, now_s, per_minute=FAILURES_PER_MINUTE)
        if wait_s:
            text = "too many logins from your address have failed; wait, then use a valid key"
            return ProblemError(429, text, headers=retry_after(wait_s))
        known = Caller(refused.who, refused.shown, "viewer", None, None)
        try:
            await self._record(scope, known, "login refused", refused.status, str(refused))
        except OperationalError as exc:
            return unavailable(exc)
        if refused.status == 403:
            return ProblemError(403, str(refused))
        return ProblemError(401, f"{refused}; {HOW}", headers=_challenge(', error="invalid_token"'))

    def _check_rate(self, caller: Caller) -> None:
        per_minute = self._rights.limits[caller.role].requests_per_minute
        wait_s = self._asked.minute_wait_s(caller.id, time.monotonic(), per_minute=per_minute)
        if wait_s:
            text = f"this key may ask {per_minute} times a minute"
            raise ProblemError(429, text, headers=retry_after(wait_s))

    async def _record(
        self, scope: Scope, caller: Caller, what: str, status: int | None, subject: str = ""
    ) -> None:
        entry = Entry(
            at_ms=self._rights.machine_ms(),
            what=what,
            who=caller.id,
            name=caller.name,
            address=_address(scope),
            method=scope["method"],
            path=_asked_path(scope, with_query=what == "bulk read"),
            status=status,
            subject=subject,
        )
        await run_in_threadpool(record, self._rights.ledger, entry)


class _Answer:
    """Audits an answer before its first byte goes out; one that cannot be audited does not."""

    def __init__(self, scope: Scope, send: Send, what: str, record: Callable[..., object]) -> None:
        self._scope = scope
        self._send = send
        self._what = what
        self._record = record
        self._replaced = self._is_recorded = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._what = self._what or ("bulk read" if self._scope["state"].get("bulk") else "")
            if problem := await self._recorded(message["status"]):
                self._replaced = True
                await respond(Request(self._scope), problem)(self._scope, _nothing, self._send)
        if not self._replaced:
            await self._send(message)

    async def end(self) -> None:
        """Audit what ended without an answer."""
        if not self._is_recorded and self._what:
            await asyncio.shield(self._recorded(None))

    async def _recorded(self, status: int | None) -> ProblemError | None:
        self._is_recorded = True
        if not self._what:
            return None
        try:
            await self._record(self._what, status)  # type: ignore[misc]  # partial of a coroutine
        except OperationalError as exc:
            return unavailable(exc)
        return None


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _refusal(rule: Rule | None, caller: Caller) -> ProblemError | None:
    """Why a caller may not; where there is no route, the router says so."""
    if rule is None:
        return None
    if caller.role not in MAY[rule.least]:
        roles = " or ".join(sorted(MAY[rule.least]))
        text = f"this needs the role {roles}; {caller.name} is {caller.role}"
        return ProblemError(403, text)
    if rule.scoping == "country" and not caller.sight.is_whole:
        text = "this is about the whole country and cannot be split; your key is limited to a part"
        return ProblemError(403, text)
    return None


def _page_problem(scope: Scope, limits: Limits) -> ProblemError | None:
    """A refusal of a page that is larger than the caller's role may have."""
    for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
        if name == "limit" and _number(value) > limits.page_items:
            allowed = f"at most {limits.page_items} for your role"
            return invalid("limit", "is more than your role may have", got=value, allowed=allowed)
    return None


def _number(text: str) -> int:
    """What a route reads in a parameter, such as +1_000; 0 for what it refuses."""
    try:
        return NUMBER.validate_python(text)
    except ValidationError:
        return 0


def _audited_as(scope: Scope, now_ms: Callable[[], int]) -> str:
    """What a request is in the audit, "" for nothing that is audited."""
    if scope["method"] not in READING:
        return "write"
    asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    if "from" not in asked:
        return ""
    try:
        to_ms = parse_time(asked["to"]) if "to" in asked else now_ms()
        return "bulk read" if is_long(to_ms - parse_time(asked["from"])) else ""
    except ValueError:  # it will be refused
        return ""


def _asked_path(scope: Scope, *, with_query: bool) -> str:
    """As it was asked for, in ASCII: text in a path may be anything."""
    path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "backslashreplace")
    query = scope["query_string"].decode("ascii", "backslashreplace") if with_query else ""
    return (f"{path}?{query}" if query else path)[:LONGEST_PATH]


def _address(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


def _challenge(more: str) -> dict[str, str]:
    return {"WWW-Authenticate": CHALLENGE + more}
