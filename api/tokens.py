"""Bearer tokens of an OpenID Connect issuer: signature, issuer, audience and times are checked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from api.callers import Caller, Role
from devices.geography import PROVINCES

ALGORITHMS = ("RS256", "ES256", "EdDSA")  # signatures only; a shared secret could be guessed
FIRST_THAT_HOLDS: tuple[Role, ...] = ("admin", "operator", "auditor", "viewer")
FRESH_S, KEPT_S, AT_MOST_EVERY_S = 300.0, 3600.0, 30.0  # of the issuer's keys
WITHIN_S, MOST_BYTES = 5.0, 256 * 1024
LEEWAY_S = 30
LONGEST = 8192  # characters of a token
LONGEST_NAME, LONGEST_WHY = 100, 200
LONGEST_SUBJECT = 255  # of OpenID Connect; one that is cut could be somebody else's
EVERYTHING = "*"


class TokenError(Exception):
    """A token that does not hold; the text says why."""


class NoRightsError(Exception):
    """A token that holds and gives no rights here; the text says why. who: its subject."""

    def __init__(self, who: str, why: str) -> None:
        super().__init__(why)
        self.who = who


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken. jwks: URL or file of its keys. Claims may be dotted: `a.b`."""

    issuer: str
    audience: str
    jwks: str
    algorithms: tuple[str, ...] = ALGORITHMS
    role_claim: str = "govsense_role"
    provinces_claim: str = "govsense_provinces"
    agencies_claim: str = "govsense_agencies"

    def __post_init__(self) -> None:
        if not (self.issuer and self.audience and self.jwks):
            raise ValueError("oidc.issuer, oidc.audience and oidc.jwks belong together")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(
                f"oidc.algorithms is {', '.join(self.algorithms)!r};"
                f" it must be of {', '.join(ALGORITHMS)}"
            )
        url = urlsplit(self.jwks)
        if url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("oidc.jwks is not https: whoever is on the way could put in a key")


class Keys:
    """An issuer's keys by id: kept for a while, asked for again where one is unknown.

    Never more often than every 30 s, whatever callers send; where the issuer does not answer, what
    it said last holds for an hour. One thread asks; who has a key that is known does not wait.
    """

    def __init__(self, source: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._now_s = now_s
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_s = self._tried_s = float("-inf")

    def get(self, kid: str) -> jwt.PyJWK:
        """The key of an id. Raises TokenError."""
        known = kid in self._keys
        if not (known and self._now_s() - self._read_s <= FRESH_S):
            self._renew(kid, wait=not known)
        if self._now_s() - self._read_s > KEPT_S:
            raise TokenError("the keys of its issuer cannot be had")
        try:
            return self._keys[kid]
        except KeyError as exc:
            raise TokenError("it is signed with a key that its issuer does not have") from exc

    def _renew(self, kid: str, *, wait: bool) -> None:
        """Ask the issuer where that is due; wait: for another thread that asks already."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            now_s = self._now_s()
            is_due = kid not in self._keys or now_s - self._read_s > FRESH_S
            if is_due and now_s - self._tried_s >= AT_MOST_EVERY_S:
                self._tried_s = now_s
                self._read(now_s)
        finally:
            self._lock.release()

    def _read(self, now_s: float) -> None:
        try:
            listed = json.loads(_fetch(self._source))["keys"]
            self._keys = dict(_usable(listed))
        except (OSError, httpx.HTTPError, ValueError, KeyError, TypeError):
            return
        self._read_s = now_s


class Tokens:
    """Tells who calls with a token."""

    def __init__(self, issuer: Issuer, keys: Keys | None = None) -> None:
        self._issuer = issuer
        self._keys = keys or Keys(issuer.jwks)

    def caller(self, text: str) -> Caller:
        """Whose token it is. Raises TokenError, NoRightsError. May wait for the issuer's keys."""
        claims = self._claims(text)
        who = claims["sub"]
        if not (0 < len(who) <= LONGEST_SUBJECT and who.isprintable()):
            raise TokenError(f"its subject is not 1 to {LONGEST_SUBJECT} characters to be seen")
        name = claims.get("name") or claims.get("preferred_username") or who
        role = self._role(who, claims)
        return Caller(
            id=f"oidc:{who}",  # no subject is taken for a key
            name=_to_be_seen(str(name))[:LONGEST_NAME],
            role=role,
            provinces=self._limit(who, claims, self._issuer.provinces_claim, PROVINCES),
            agencies=self._limit(who, claims, self._issuer.agencies_claim, None),
        )

    def _claims(self, text: str) -> dict[str, Any]:
        if len(text) > LONGEST:
            raise TokenError("it is too long")
        try:
            kid = jwt.get_unverified_header(text).get("kid")
            if not isinstance(kid, str):
                raise TokenError("it does not say which key it is signed with")
            claims: dict[str, Any] = jwt.decode(
                text,
                self._keys.get(kid),
                algorithms=list(self._issuer.algorithms),
                issuer=self._issuer.issuer,
                audience=self._issuer.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "nbf", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as exc:  # it may quote what anybody has put into the token
            raise TokenError(_to_be_seen(str(exc).lower())[:LONGEST_WHY]) from exc
        except RecursionError as exc:
            raise TokenError("it is nested too deeply") from exc
        return claims

    def _role(self, who: str, claims: Mapping[str, Any]) -> Role:
        given = _names(_at(claims, self._issuer.role_claim))
        for role in FIRST_THAT_HOLDS:
            if role in given:
                return role
        known = ", ".join(FIRST_THAT_HOLDS)
        raise NoRightsError(who, f"its claim {self._issuer.role_claim} names none of {known}")

    def _limit(
        self, who: str, claims: Mapping[str, Any], claim: str, known: Iterable[str] | None
    ) -> frozenset[str] | None:
        """The names in a claim; None for all. What is not said is not given."""
        given = _names(_at(claims, claim))
        if EVERYTHING in given:
            return None
        if not given or (known is not None and not given <= set(known)):
            raise NoRightsError(who, f'its claim {claim} names none, or an unknown one; all: ["*"]')
        return given


def _usable(listed: Iterable[dict[str, Any]]) -> Iterable[tuple[str, jwt.PyJWK]]:
    for one in listed:
        if one.get("kty") == "oct" or one.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(one)
        except jwt.PyJWTError:  # of a kind that we do not know
            continue
        if key.key_id and key.algorithm_name in ALGORITHMS:
            yield key.key_id, key


def _fetch(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        return Path(source).read_bytes()
    with httpx.stream("GET", source, timeout=WITHIN_S) as answer:
        answer.raise_for_status()
        body = b""
        for part in answer.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError("too long")
    return body


def _at(claims: Mapping[str, Any], place: str) -> Any:
    found: Any = claims
    for name in place.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _to_be_seen(text: str) -> str:
    """A text that can be kept and shown anywhere: no halves of characters, nothing that steers."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _names(claim: Any) -> frozenset[str]:
    """A claim that is a text, or a list of some."""
    parts = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(part for part in parts if isinstance(part, str) and part)
