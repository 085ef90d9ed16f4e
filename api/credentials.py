"""What a request says of who calls: a key or a token, and whether that holds."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers

from api.callers import Caller, caller_with
from api.tokens import NoRightsError, TokenError, Tokens
from storage.ledger.keys import FORM, find_key, note_use
from storage.ledger.migrations import Ledger

HOW = (
    "send a key as `Authorization: Bearer gvs_...`; an administrator makes one with"
    " `govsense keys create`"
)
CHALLENGE = 'Bearer realm="govsense"'


class RefusedError(Exception):
    """Credentials that do not hold. who, shown: what may be kept of them; the text says why."""

    def __init__(self, why: str, *, who: str = "", shown: str = "", status: int = 401) -> None:
        super().__init__(why)
        self.who = who
        self.shown = shown
        self.status = status


def credential_of(headers: Headers) -> str:
    """The one key or token of a request, "" for none. Raises RefusedError."""
    given = headers.getlist("authorization")
    alone = headers.getlist("x-api-key")
    if len(given) + len(alone) > 1:
        raise RefusedError("there is more than one of Authorization and X-API-Key")
    if alone:
        return alone[0].strip()
    if not given:
        return ""
    scheme, _, credential = given[0].partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise RefusedError("its Authorization is not of the kind Bearer")
    return credential.strip()


class Credentials:
    """Tells who calls with a key of the ledger or a token of the issuer, if there is one."""

    def __init__(
        self, ledger: Ledger, tokens: Tokens | None, machine_ms: Callable[[], int]
    ) -> None:
        """machine_ms: time of the machine, by which keys end."""
        self._ledger = ledger
        self._tokens = tokens
        self._machine_ms = machine_ms

    def caller(self, text: str) -> Caller:
        """Who calls. Raises RefusedError; OperationalError where the ledger does not answer."""
        if text.count(".") == 2 and not text.startswith("gvs_"):
            return self._by_token(text)
        now_ms = self._machine_ms()
        form = FORM.fullmatch(text)
        key = find_key(self._ledger, text)
        if key is None:
            raise RefusedError("this key is unknown", shown=f"gvs_{form[1]}_..." if form else "")
        if (state := key.state(now_ms)) != "valid":
            raise RefusedError(f"this key is {state}", who=key.id, shown=key.name)
        note_use(self._ledger, key, now_ms)
        return caller_with(key)

    def _by_token(self, text: str) -> Caller:
        if self._tokens is None:
            raise RefusedError("tokens are not taken here: the settings name no oidc.issuer")
        try:
            return self._tokens.caller(text)
        except TokenError as exc:
            raise RefusedError(f"this token does not hold: {exc}") from exc
        except NoRightsError as exc:
            why = f"this token gives no rights here: {exc}"
            raise RefusedError(why, who=exc.who, status=403) from exc
