"""One InfluxDB server: its version, writes to it and questions in InfluxQL, over HTTP."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS, RAW

CONNECT_S, READ_S = 5.0, 30.0
NO_ANSWER = 0  # in place of an HTTP status
# 1.8 is the first that answers /api/v2/write.
FIRST_WITH_V2 = (1, 8)

SUFFIX = {RAW: "", FIVE_MINUTES_MS: "_5m", HOUR_MS: "_1h", DAY_MS: "_1d"}


class InfluxError(Exception):
    """InfluxDB did not answer a question. status: HTTP, 0 where no answer came."""

    def __init__(self, text: str, status: int = NO_ANSWER) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Address:
    """Where an InfluxDB is, and how to be let in.

    database: name of the database or bucket of raw readings; the names of the roll-ups begin with
    it. token_file: holds an API token, or `user:password` for 1.x; read again after a refusal.
    """

    url: str
    database: str = "govsense"
    org: str = ""
    token_file: Path | None = None

    def database_of(self, level_ms: int) -> str:
        """The database that holds a level."""
        return self.database + SUFFIX[level_ms]

    def token(self) -> str:
        """The token as the file holds it now, "" without one. Raises InfluxError."""
        if self.token_file is None:
            return ""
        try:
            return self.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise InfluxError(f"the token cannot be read from {self.token_file}: {exc}") from exc


class Answer(NamedTuple):
    """What a server said to a write. status: HTTP, 0 where it said nothing."""

    status: int
    text: str
    retry_after: str | None = None


class Server:
    """Connections to one server; safe for several threads, but for writes, which one makes."""

    def __init__(self, address: Address, *, read_s: float = READ_S) -> None:
        """read_s: how long an answer may take; a write that took longer is made again."""
        self.address = address
        self._read_s = read_s
        self._http = httpx.Client(
            base_url=address.url,
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            trust_env=False,
        )
        self._client: InfluxDBClient | None = None
        self._version: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self.reset()

    def reset(self) -> None:
        """Read the token anew and ask for the version again before the next write."""
        self._version = None
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def version(self) -> tuple[int, int]:
        """Major and minor version, asked once. Raises InfluxError."""
        if self._version is None:
            try:
                response = self._http.get("/ping", headers=self.authorization())
            except httpx.TransportError as exc:
                raise InfluxError(f"{self.address.url}: {exc}") from exc
            self._version = version_of(response)
        return self._version

    def write(self, level_ms: int, lines: list[bytes]) -> Answer:
        """Write lines to the database of a level, with times in nanoseconds. One request."""
        try:
            if self.version() < FIRST_WITH_V2:
                return self._write_v1(self.address.database_of(level_ms), lines)
            return self._write_v2(self.address.database_of(level_ms), lines)
        except InfluxError as exc:
            return Answer(exc.status, str(exc))

    def query(self, level_ms: int, question: str, **values: object) -> list[dict[str, Any]]:
        """The rows of one InfluxQL statement, times in milliseconds. Raises InfluxError.

        values: bind parameters, `$name` in the question.
        """
        found = self.ask(question, database=self.address.database_of(level_ms), values=values)
        return [
            dict(zip(series["columns"], row, strict=True))
            for series in found.get("series", [])
            for row in series.get("values", [])
        ]

    def ask(
        self, question: str, *, database: str | None = None, values: Mapping[str, object] = {}
    ) -> dict[str, Any]:
        """The result of one InfluxQL statement, as InfluxDB words it. Raises InfluxError."""
        asked = {"q": question, "epoch": "ms"}
        if database is not None:
            asked["db"] = database
        if values:
            asked["params"] = json.dumps(values)
        try:
            response = self._http.post("/query", data=asked, headers=self.authorization())
        except httpx.TransportError as exc:
            raise InfluxError(f"{self.address.url}: {exc}") from exc
        if response.status_code != httpx.codes.OK:
            raise InfluxError(_text_of(response), response.status_code)
        (result,) = response.json()["results"]
        if "error" in result:
            raise InfluxError(result["error"], response.status_code)
        if any(series.get("partial") for series in result.get("series", [])):
            raise InfluxError("InfluxDB cut the answer; raise its max-row-limit")
        return dict(result)

    def request(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Any other request, with the token. Raises InfluxError where no answer comes."""
        try:
            return self._http.request(method, path, json=body, headers=self.authorization())
        except httpx.TransportError as exc:
            raise InfluxError(f"{self.address.url}: {exc}") from exc

    def authorization(self) -> dict[str, str]:
        """The header that lets us in: 1.x knows users with passwords, later versions tokens."""
        token = self.address.token()
        if ":" in token:
            return {"Authorization": f"Basic {b64encode(token.encode()).decode()}"}
        return {"Authorization": f"Token {token}"} if token else {}

    def _write_v1(self, database: str, lines: list[bytes]) -> Answer:
        try:
            response = self._http.post(
                "/write",
                params={"db": database, "precision": "ns"},
                content=b"\n".join(lines),
                headers=self.authorization(),
            )
        except httpx.TransportError as exc:
            raise InfluxError(str(exc) or type(exc).__name__) from exc
        return Answer(response.status_code, _text_of(response), response.headers.get("Retry-After"))

    def _write_v2(self, bucket: str, lines: list[bytes]) -> Answer:
        if self._client is None:
            self._client = InfluxDBClient(
                self.address.url,
                token=self.address.token(),
                org=self.address.org or "-",
                timeout=(round(CONNECT_S * 1000), round(self._read_s * 1000)),
                enable_gzip=True,
            )
        write_api = self._client.write_api(write_options=SYNCHRONOUS)
        try:
            write_api.write(
                bucket,
                record=b"\n".join(lines),
                write_precision=WritePrecision.NS,  # type: ignore[arg-type]  # is a str
            )
        except ApiException as exc:
            headers: Mapping[str, str] = exc.headers or {}
            text = _message(exc.body or "") or str(exc.reason)
            return Answer(exc.status or NO_ANSWER, text, headers.get("Retry-After"))
        except urllib3.exceptions.HTTPError as exc:
            raise InfluxError(str(exc)) from exc
        return Answer(httpx.codes.NO_CONTENT, "")


def version_of(response: httpx.Response) -> tuple[int, int]:
    """Major and minor version, from an answer to /ping. Raises InfluxError.

    1.x and 2.x say it in a header (`1.6.7~rc0`, `v2.7.11`), 3 in JSON as well.
    """
    stated = response.headers.get("X-Influxdb-Version", "")
    found = re.match(r"v?(\d+)\.(\d+)", stated) or re.search(
        r'"version"\s*:\s*"v?(\d+)\.(\d+)', response.text
    )
    if found is None:
        raise InfluxError(
            f"{response.url} does not say which InfluxDB it is: {_text_of(response)}",
            response.status_code,
        )
    return int(found[1]), int(found[2])


def _text_of(response: httpx.Response) -> str:
    return _message(response.text) or f"HTTP {response.status_code} {response.reason_phrase}"


def _message(body: str) -> str:
    """What is said in a body: 1.x has {"error": ...}, 2.x and 3 {"code": ..., "message": ...}."""
    try:
        said = json.loads(body)
    except ValueError:
        return body.strip()
    if isinstance(said, dict):
        return str(said.get("error") or said.get("message") or body).strip()
    return body.strip()
