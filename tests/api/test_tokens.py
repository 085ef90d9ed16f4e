"""Tokens of an OpenID Connect issuer: what is taken, what is not, and its keys."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from api.credentials import Credentials, RefusedError
from api.tokens import Issuer, Keys, NoRightsError, TokenError, Tokens
from storage.ledger.audit import list_audit
from storage.ledger.migrations import open_ledger
from tests.api.world import World, problem_of, serving

ISSUER, AUDIENCE = "https://id.gov.la", "govsense"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
SIGNERS: dict[str, tuple[str, Any]] = {
    "rsa": ("RS256", RSA),
    "curve": ("ES256", CURVE),
    "edwards": ("EdDSA", EDWARDS),
}
PUBLIC: list[dict[str, Any]] = [
    {**json.loads(made), "kid": kid, "use": "sig"}
    for kid, made in (
        ("rsa", RSAAlgorithm.to_jwk(RSA.public_key())),
        ("curve", ECAlgorithm.to_jwk(CURVE.public_key())),
        ("edwards", OKPAlgorithm.to_jwk(EDWARDS.public_key())),
    )
]
SECRET = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The keys of the issuer, among them one that must never be used."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [*PUBLIC, SECRET, {"kty": "new"}]}))
    return path


@pytest.fixture
def tokens(file: Path) -> Tokens:
    """What takes tokens of the issuer."""
    return Tokens(Issuer(ISSUER, AUDIENCE, str(file)))


def token(kid: str = "rsa", *, without: str = "", **claims: Any) -> str:
    """A signed token of a viewer of everything, with other claims."""
    now = int(time.time())
    usual = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "u1", "name": "S. Vong", "exp": now + 300,
        "nbf": now - 10, "govsense_role": "viewer", "govsense_provinces": ["*"],
        "govsense_agencies": "*",
    }  # fmt: skip
    given = {name: value for name, value in {**usual, **claims}.items() if name != without}
    algorithm, key = SIGNERS[kid]
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid})


@pytest.mark.parametrize("kid", SIGNERS)
def test_a_token_says_who_calls(tokens: Tokens, kid: str) -> None:
    """With each of the three signatures; its subject is never taken for the id of a key."""
    caller = tokens.caller(token(kid, govsense_provinces=["LA-LP"], govsense_agencies=["Health"]))
    assert (caller.id, caller.name, caller.role) == ("oidc:u1", "S. Vong", "viewer")
    assert caller.sees("LA-LP", "Health")
    assert not caller.sees("LA-LP", "Interior")
    assert tokens.caller(token(kid)).sight.is_whole


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "another service"},
        {"exp": 1_000_000_000},
        {"nbf": 4_000_000_000},
        {"exp": "soon"},
        *({"without": name} for name in ("iss", "aud", "sub", "exp", "nbf")),
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(
    tokens: Tokens, claims: dict[str, Any]
) -> None:
    """Issuer, audience, subject and both times are required and checked."""
    with pytest.raises(TokenError):
        tokens.caller(token(**claims))


def _forged() -> dict[str, Callable[[], str]]:
    claims = jwt.decode(token(), options={"verify_signature": False})
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = b"secret-secret-secret-secret-secr"
    return {
        "without a signature": lambda: jwt.encode(
            claims, "", algorithm="none", headers={"kid": "rsa"}
        ),
        "by another key": lambda: jwt.encode(claims, other, "RS256", headers={"kid": "rsa"}),
        "by a secret": lambda: jwt.encode(claims, secret, "HS256", headers={"kid": "secret"}),
        "by a secret under a public name": lambda: jwt.encode(
            claims, secret, "HS256", headers={"kid": "rsa"}
        ),
        "by another algorithm": lambda: jwt.encode(claims, RSA, "RS512", headers={"kid": "rsa"}),
        "by a key that is unknown": lambda: jwt.encode(claims, RSA, "RS256", {"kid": "x"}),
        "by a key that is not named": lambda: jwt.encode(claims, RSA, "RS256"),
        "changed": lambda: token()[:-6] + "AAAAAA",
        "no token": lambda: "x.y.z",
        "too long": lambda: token(more="x" * 9000),
    }


@pytest.mark.parametrize("how", sorted(_forged()))
def test_a_forged_token_is_refused(tokens: Tokens, how: str) -> None:
    """Whatever its header says of algorithm and key."""
    with pytest.raises(TokenError):
        tokens.caller(_forged()[how]())


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"RS256","kid":"rsa","crit":["\\ud800\\u0000\\n"]}',
        b'{"alg":"RS256","kid":"rsa","crit":["' + b"x" * 4000 + b'"]}',
        b"[" * 6000,
        b'{"kid":' * 900,
    ],
)
def test_a_hostile_header_is_refused_and_audited(
    own_world: World, file: Path, header: bytes
) -> None:
    """What it holds gets into no fault and, beyond a few plain words, into no audit."""
    own_world.issuer = Issuer(ISSUER, AUDIENCE, str(file))
    _, rest = token().split(".", 1)
    text = f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{rest}"
    with serving(own_world):
        url = f"{own_world.client.base_url}/api/v1/devices"
        headers = {"Authorization": f"Bearer {text}"}
        problem_of(httpx.get(url, headers=headers, trust_env=False), 401)
    (last,) = list_audit(own_world.ledger, limit=1)
    assert last.what == "login refused"
    assert last.subject.isprintable()
    assert len(last.subject) < 300


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\0b", "a\nb", "\ud800"])
def test_a_subject_is_a_name_that_can_be_kept_whole(tokens: Tokens, subject: str) -> None:
    """Cut, it could be that of somebody else."""
    with pytest.raises(TokenError, match="its subject"):
        tokens.caller(token(sub=subject))
    one, other = (tokens.caller(token(sub="x" * 200 + end)) for end in "ab")
    assert one.id != other.id


def test_a_name_holds_nothing_that_steers(tokens: Tokens) -> None:
    """It is shown as the author of what is written."""
    assert tokens.caller(token(name="S.\0\nV\ud800ong")).name == "S.??V?ong"


def test_only_the_algorithms_of_the_settings_are_taken(file: Path) -> None:
    """Of the three, one may allow fewer; no setting allows another."""
    only = Tokens(Issuer(ISSUER, AUDIENCE, str(file), algorithms=("ES256",)))
    assert only.caller(token("curve")).role == "viewer"
    with pytest.raises(TokenError):
        only.caller(token("rsa"))
    for algorithms in ((), ("none",), ("RS256", "HS256")):
        with pytest.raises(ValueError, match=r"oidc\.algorithms"):
            Issuer(ISSUER, AUDIENCE, str(file), algorithms=algorithms)


def test_keys_do_not_come_in_clear() -> None:
    """Whoever is on the way of plain HTTP could add a key of theirs."""
    with pytest.raises(ValueError, match="is not https"):
        Issuer(ISSUER, AUDIENCE, "http://id.gov.la/keys")
    Issuer(ISSUER, AUDIENCE, "http://127.0.0.1:9/keys")


@pytest.mark.parametrize(
    "claims",
    [
        {"without": "govsense_role"},
        {"govsense_role": "root"},
        {"govsense_role": ["reader"]},
        {"without": "govsense_provinces"},
        {"govsense_provinces": []},
        {"govsense_provinces": ["LA-XX"]},
        {"govsense_provinces": 7},
        {"without": "govsense_agencies"},
    ],
)
def test_what_a_token_does_not_say_it_does_not_give(tokens: Tokens, claims: dict[str, Any]) -> None:
    """Neither a role nor a sight of everything is a default."""
    with pytest.raises(NoRightsError):
        tokens.caller(token(**claims))


def test_claims_may_be_lists_and_lie_in_objects(file: Path) -> None:
    """As issuers write them; of several roles the strongest holds."""
    nested = Tokens(Issuer(ISSUER, AUDIENCE, str(file), role_claim="realm_access.roles"))
    roles = {"roles": ["other", "viewer", "operator"]}
    assert nested.caller(token(realm_access=roles)).role == "operator"
    with pytest.raises(NoRightsError):
        nested.caller(token(realm_access=["operator"]))


def test_the_keys_are_asked_for_seldom_and_kept_for_a_while(file: Path) -> None:
    """A new key is found at once, a flood of unknown ones asks every 30 s, a failure is bridged."""
    now_s, reads = 1000.0, 0
    keys = Keys(str(file), lambda: now_s)
    read = keys._read

    def counted(now_s: float) -> None:
        nonlocal reads
        reads += 1
        read(now_s)

    keys._read = counted  # type: ignore[method-assign]
    assert keys.get("rsa").key_id == "rsa"
    for _ in range(100):
        with pytest.raises(TokenError):
            keys.get("unknown")
    assert reads == 1
    now_s += 30
    for _ in range(100):
        with pytest.raises(TokenError):
            keys.get("unknown")
    assert reads == 2
    now_s += 301
    keys.get("rsa")
    assert reads == 3
    file.unlink()
    now_s += 3600
    keys.get("rsa")
    now_s += 1
    with pytest.raises(TokenError, match="cannot be had"):
        keys.get("rsa")


def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(file: Path) -> None:
    """While one thread asks for an unknown key, or again for a known one, others go on."""
    now_s = 1000.0
    keys = Keys(str(file), lambda: now_s)
    keys.get("rsa")
    asked, answered = threading.Event(), threading.Event()

    def slow(now_s: float) -> None:
        asked.set()
        assert answered.wait(20)

    keys._read = slow  # type: ignore[method-assign]
    now_s += 31
    refused: list[TokenError] = []

    def ask() -> None:
        try:
            keys.get("unknown")
        except TokenError as exc:
            refused.append(exc)

    stranger = threading.Thread(target=ask)
    stranger.start()
    assert asked.wait(20)
    assert keys.get("rsa").key_id == "rsa"
    now_s += 400  # what is known is due to be asked for again, and somebody does
    assert keys.get("rsa").key_id == "rsa"
    answered.set()
    stranger.join(20)
    assert len(refused) == 1


def test_a_token_opens_the_api(own_world: World, file: Path) -> None:
    """As a key does; one without rights is a 403, a bad one a 401 that says why."""
    own_world.issuer = Issuer(ISSUER, AUDIENCE, str(file))
    with serving(own_world):
        url = f"{own_world.client.base_url}/api/v1/devices"

        def ask(text: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {text}"}
            return httpx.get(url, headers=headers, trust_env=False)

        items = ask(token(govsense_provinces=["LA-LP"])).json()["items"]
        assert [item["device"] for item in items] == ["n0", "p0"]
        assert "govsense_role" in problem_of(ask(token(govsense_role="x")), 403)["detail"]
        assert "expired" in problem_of(ask(token(exp=1_000_000_000)), 401)["detail"]


def test_without_an_issuer_no_token_is_taken(tmp_path: Path) -> None:
    """Nobody's signature counts until the settings name an issuer."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(RefusedError, match=r"oidc\.issuer"):
        Credentials(ledger, None, lambda: 0).caller(token())
    ledger.close()
