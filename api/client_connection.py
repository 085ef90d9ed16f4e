"""The client's connection: how a path is asked, how often, and how its answer is read."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from api.answers import Answer
from api.client_errors import AwayError, error_of_answer
from api.client_key import key_from, may_carry

T = TypeVar("T", bound=Answer)
Outcome = TypeVar("Outcome")

V1 = "/api/v1"
URL = "http://127.0.0.1:8080"
URL_VARIABLE = "GOVSENSE_URL"
TRIES = 5
LONGEST_WAIT_S = 30.0


class Connection:
    """A connection to one platform. Close it, or use it in a `with`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        key_file: str | Path | None = None,
        timeout_s: float = 30.0,
        tries: int = TRIES,
        sleep: Callable[[float], None] = time.sleep,
        trust_env: bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """url: else GOVSENSE_URL, else this machine. key: else key_file, GOVSENSE_KEY or the file
        GOVSENSE_KEY_FILE; without any no key is sent. tries: of each read. trust_env: use the
        proxy that the environment names. transport: of httpx, for a proxy or a certificate of
        your own. Raises ValueError where a key would leave this machine without TLS.
        """
        address = url or os.environ.get(URL_VARIABLE) or URL
        found = key_from(key, key_file)
        if found and not may_carry(address):
            raise ValueError(f"{address}: a key goes by https only, or stays on this machine")
        headers = {"Authorization": f"Bearer {found}"} if found else {}
        self._http = httpx.Client(
            base_url=address,
            headers=headers,
            timeout=timeout_s,
            trust_env=trust_env,
            transport=transport,
        )
        self._tries = tries
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, kind: type[T], /, **question: Any) -> T:
        """The answer of a path below /api/v1; a name's trailing _ is left out (from_, class_)."""
        return msgspec.json.decode(self._read(f"{V1}{path}", question), type=kind)

    def pages(self, path: str, kind: type[T], /, **question: Any) -> Iterator[T]:
        """The items of all pages, each fetched when it is needed."""
        cursor: str | None = None
        while True:
            body = self._read(f"{V1}{path}", {**question, "cursor": cursor})
            page = msgspec.json.decode(body, type=_Page)
            yield from (msgspec.convert(item, type=kind) for item in page.items)
            cursor = page.next
            if cursor is None:
                return

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        kind: type[T],
        *,
        idempotency_key: str | None = None,
        if_match: int | None = None,
    ) -> T:
        """The answer to a POST below /api/v1.

        It is made once, since nobody knows what became of one that broke; with an idempotency_key
        it is tried again like a read, and done once. if_match: the revision that you saw.
        """
        said = {name: _plain(value) for name, value in body.items()}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'

        def attempt() -> bytes:
            return _body(self._http.post(f"{V1}{path}", json=said, headers=headers))

        tries = self._tries if idempotency_key else 1
        return msgspec.json.decode(self._tried(attempt, tries), type=kind)

    def _read(self, path: str, question: Mapping[str, Any], *, tries: int | None = None) -> bytes:
        asked = _asked(question)
        return self._tried(lambda: _body(self._http.get(path, params=asked)), tries)

    def _save(self, path: str, question: Mapping[str, Any], file: Path) -> None:
        """Write an answer to a file as it comes; the file is there only when it is whole."""
        part, asked = file.with_name(f"{file.name}.part"), _asked(question)

        def attempt() -> None:
            with self._http.stream("GET", path, params=asked) as answer, part.open("wb") as out:
                if answer.status_code != 200:
                    answer.read()
                    raise error_of_answer(answer)
                for piece in answer.iter_bytes():
                    out.write(piece)

        try:
            self._tried(attempt)
            part.replace(file)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()

    def _tried(self, attempt: Callable[[], Outcome], tries: int | None = None) -> Outcome:
        """What an attempt returns, the first that does not break or is asked to come later."""
        tried = 1
        while True:
            try:
                return attempt()
            except httpx.TransportError as exc:
                away = AwayError(0, f"{self._http.base_url} {exc or type(exc).__name__}")
                away.__cause__ = exc
            except AwayError as exc:
                away = exc
            if tried >= (tries or self._tries):
                raise away
            self._wait(tried, away.retry_after)
            tried += 1

    def _wait(self, tried: int, retry_after: str | None) -> None:
        """Before the next try: as long as the answer says, else twice as long each time."""
        wait_s = random.uniform(0.5, 1.0) * 0.5 * 2**tried
        if retry_after is not None and retry_after.isdecimal():
            wait_s = float(retry_after)
        self._sleep(min(wait_s, LONGEST_WAIT_S))


class Download:
    """An answer that is a file. It is asked for when it is read or saved."""

    def __init__(self, connection: Connection, path: str, question: Mapping[str, Any]) -> None:
        self._connection = connection
        self._path = f"{V1}{path}"
        self._question = question

    def read(self) -> bytes:
        """Its bytes."""
        return self._connection._read(self._path, self._question)

    def save(self, file: str | Path) -> Path:
        """Write it to a file, which is replaced, and there only when it is whole."""
        self._connection._save(self._path, self._question, Path(file))
        return Path(file)


class _Page(msgspec.Struct):
    items: list[Any]
    next: str | None


def part_of_path(name: str) -> str:
    """A name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def _body(answer: httpx.Response) -> bytes:
    if answer.status_code != 200:
        raise error_of_answer(answer)
    return answer.content


def _asked(question: Mapping[str, Any]) -> dict[str, str]:
    return {name.rstrip("_"): _text(v) for name, v in question.items() if v is not None}


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no zone: use datetime(..., tzinfo=UTC)")
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return str(value)
