"""`govsense influx init`: databases, retention, rights and what a version cannot do."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import Influx, Settings
from storage import influx_command
from storage.influx.credentials import READER, WRITER, grant
from storage.influx.server import Address, InfluxError, Server
from storage.influx.setup import UnsupportedError, create
from storage.series.levels import RAW
from storage.series.retention import Retention
from tests.influx.influxd import Influxd
from tests.influx.servers import FakeInflux, Headers, Reply

KEEP = Retention(90, 400, 1830)
LINE = b"power,device=d,province=p,site=s mains_v=230.0,lag_ms=1.0 %d" % time.time_ns()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Influxd]:
    """An InfluxDB that lets nobody in without a password, and its administrator's."""
    server = Influxd(tmp_path / "guarded", extra_http="auth-enabled = true")
    server.start()
    (tmp_path / "admin").write_text("admin:secret\n")
    with closing(Server(Address(server.url))) as anybody:
        anybody.ask("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
    yield server
    server.stop()


def parsed(*words: str) -> argparse.Namespace:
    """The arguments of a command line."""
    parser = argparse.ArgumentParser()
    influx_command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.influx
def test_init_makes_databases_and_credentials_of_least_rights(
    guarded: Influxd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The writer cannot read, the reader cannot write, and neither can anybody else."""
    words = ["init", "--admin-token-file", str(tmp_path / "admin")]
    words += ["--credentials", str(tmp_path / "secrets")]
    assert influx_command.run(parsed(*words), Settings(influx=Influx(guarded.url))) == 0
    assert "database govsense_5m made, kept 400 days" in capsys.readouterr().out
    assert (tmp_path / "secrets" / WRITER).stat().st_mode & 0o777 == 0o600
    writer = Server(Address(guarded.url, token_file=tmp_path / "secrets" / WRITER))
    reader = Server(Address(guarded.url, token_file=tmp_path / "secrets" / READER))
    nobody = Server(Address(guarded.url))
    with closing(writer), closing(reader), closing(nobody):
        assert writer.write(RAW, [LINE]).status == 204
        assert reader.write(RAW, [LINE]).status == 403
        assert nobody.write(RAW, [LINE]).status == 401
        (row,) = reader.query(RAW, 'SELECT "mains_v" FROM "power"')
        assert row["mains_v"] == 230
        with pytest.raises(InfluxError) as refused:
            writer.query(RAW, 'SELECT "mains_v" FROM "power"')
        assert refused.value.status in (200, 403)  # 1.x says it within the answer
        before = {name: (tmp_path / "secrets" / name).read_text() for name in (WRITER, READER)}
        with closing(Server(Address(guarded.url, token_file=tmp_path / "admin"))) as admin:
            assert grant(admin, tmp_path / "secrets") == []
            admin.ask("SET PASSWORD FOR govsense_reader = 'changed'")
            assert grant(admin, tmp_path / "secrets") == [tmp_path / "secrets" / READER]
            admin.ask('REVOKE WRITE ON "govsense_1d" FROM govsense_writer')
            assert grant(admin, tmp_path / "secrets") == [tmp_path / "secrets" / WRITER]
        after = {name: (tmp_path / "secrets" / name).read_text() for name in (WRITER, READER)}
        assert all(before[name] != after[name] for name in before)
        assert writer.write(RAW, [LINE]).status == 204


@pytest.mark.influx
def test_init_again_changes_the_retention_and_keeps_the_data(tmp_path: Path) -> None:
    """What is there stays; new settings hold from then on; a new credential replaces the old."""
    own = Influxd(tmp_path / "own")
    own.start()
    try:
        with closing(Server(Address(own.url, "twice"))) as server:
            assert create(server, KEEP)[0] == "database twice made, kept 90 days"
            assert server.write(RAW, [LINE]).status == 204
            again = create(server, Retention(36_500, 36_500, 36_500))
            assert again[0] == "database twice was there, now kept 36500 days"
            assert server.query(RAW, 'SELECT "mains_v" FROM "power"')
            (policy,) = server.query(RAW, 'SHOW RETENTION POLICIES ON "twice"')
            assert policy["duration"] == f"{36_500 * 24}h0m0s"
            first = [file.read_text() for file in grant(server, tmp_path)]
            assert grant(server, tmp_path) == []
            renewed = grant(server, tmp_path, renew=True)
            assert first != [file.read_text() for file in renewed]
    finally:
        own.stop()


class FakeApi(FakeInflux):
    """What API 2 says of organisations, buckets and tokens.

    https://docs.influxdata.com/influxdb/v2/api/v2/
    """

    def __init__(self, version: str = "v2.7.11", question: Reply | None = None) -> None:
        super().__init__(lambda _lines, _headers: Reply(204), version)
        self.buckets: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.databases: dict[str, dict[str, Any]] = {}
        self.question = question or Reply(200, '{"results":[{"statement_id":0}]}')

    def handle(self, method: str, path: str, body: bytes, headers: Headers) -> Reply:
        """The reply to any request."""
        told = json.loads(body) if body.startswith(b"{") else {}
        where, _, query = path.partition("?")
        if where == "/query":
            return self.question
        if where == "/api/v2/orgs":
            found = [{"id": "o1"}] if "org=ministry" in query else []
            return Reply(200, json.dumps({"orgs": found})) if found else Reply(404, "{}")
        if where == "/api/v2/buckets" and method == "GET":
            name = query.rpartition("name=")[2]
            known = [self.buckets[name]] if name in self.buckets else []
            return Reply(200, json.dumps({"buckets": known}))
        if where.startswith("/api/v2/buckets"):
            self.buckets[told["name"]] = {**told, "id": f"id-{told['name']}"}
            return Reply(200, json.dumps(self.buckets[told["name"]]))
        if where == "/api/v2/authorizations" and method == "GET":
            return Reply(200, json.dumps({"authorizations": list(self.tokens.values())}))
        if where == "/api/v2/authorizations":
            number = f"t{len(self.tokens)}"
            self.tokens[number] = {**told, "id": number, "token": f"secret-{number}"}
            return Reply(201, json.dumps(self.tokens[number]))
        if where == "/api/v3/configure/database":
            if told["db"] in self.databases:
                return Reply(409, '{"error":"attempted to create a resource that already exists"}')
            self.databases[told["db"]] = told
            return Reply(200)
        return super().handle(method, path, body, headers)


def test_init_of_version_2_makes_buckets_and_tokens(tmp_path: Path) -> None:
    """A bucket each level with its retention; a token that writes to these, one that reads."""
    with FakeApi().running() as fake, closing(Server(Address(fake.url, "gov", "ministry"))) as two:
        create(two, KEEP)
        create(two, Retention(30, 400, 1830))
        grant(two, tmp_path)
    rules = {
        name: [rule["everySeconds"] / 86_400 for rule in bucket["retentionRules"]]
        for name, bucket in fake.buckets.items()
    }
    assert rules == {"gov": [30], "gov_5m": [400], "gov_1h": [1830], "gov_1d": []}
    rights = {
        token["description"]: {
            (one["action"], one["resource"]["id"]) for one in token["permissions"]
        }
        for token in fake.tokens.values()
    }
    assert rights["govsense_writer"] == {("write", f"id-{name}") for name in fake.buckets}
    assert rights["govsense_reader"] == {("read", f"id-{name}") for name in fake.buckets}
    assert (tmp_path / WRITER).read_text() == "secret-t0\n"


def test_init_of_version_3_makes_databases_and_says_what_it_has_not(tmp_path: Path) -> None:
    """InfluxDB 3 Core knows no rights, and keeps the retention that a database was made with."""
    with FakeApi("3.1.0").running() as fake, closing(Server(Address(fake.url, "gov"))) as three:
        create(three, KEEP)
        assert fake.databases["gov_1h"] == {"db": "gov_1h", "retention_period": "1830d"}
        assert "keeps its retention as it was" in create(three, KEEP)[0]
        with pytest.raises(UnsupportedError, match="no rights but those of an administrator"):
            grant(three, tmp_path)


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (FakeApi("1.4.2"), "InfluxDB 1.4 is too old; 1.5 or later is needed"),
        (FakeApi("4.0.0"), "InfluxDB 4.0 is not known"),
        (FakeApi(), "no organisation 'nobody'"),
        (FakeApi(""), "does not say which InfluxDB it is"),
        (
            FakeApi("3.1.0", Reply(400, '{"error":"parameters are not supported"}')),
            "InfluxDB 3.1 cannot answer SELECT",
        ),
        (
            FakeApi("3.1.0", Reply(200, '{"results":[{"statement_id":0,"error":"no such time"}]}')),
            "InfluxDB 3.1 cannot answer SELECT",
        ),
    ],
    ids=["old", "new", "no-org", "not-influx", "no-parameters", "other-dialect"],
)
def test_init_says_what_a_server_cannot_do(
    fake: FakeApi, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear line, exit code 1."""
    with fake.running():
        settings = Settings(influx=Influx(fake.url, org="nobody"))
        assert influx_command.run(parsed("init"), settings) == 1
    assert said in capsys.readouterr().err


def test_init_says_how_to_map_a_bucket_that_influxql_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A 2.x or Cloud without the mapping answers 404 to every question in InfluxQL.

    https://docs.influxdata.com/influxdb/cloud/query-data/influxql/dbrp/
    """
    unmapped = Reply(404, '{"code":"not found","message":"no dbrp mapping found"}')
    with FakeApi(question=unmapped).running() as fake:
        settings = Settings(influx=Influx(fake.url, org="ministry"))
        assert influx_command.run(parsed("init"), settings) == 1
    said = capsys.readouterr().err
    assert "no dbrp mapping found" in said
    assert "influx v1 dbrp create --db govsense --rp autogen" in said


def test_init_without_a_server_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback where nothing listens."""
    assert influx_command.run(parsed("init"), Settings(influx=Influx("http://127.0.0.1:9"))) == 1
    assert "http://127.0.0.1:9: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "path"),
    [("1.6.7~rc0", "/write"), ("1.7.11", "/write"), ("1.8.10", "/api/v2/write"),
     ("v2.7.11", "/api/v2/write"), ("3.1.0", "/api/v2/write")],
)  # fmt: skip
def test_each_version_is_written_to_where_it_listens(version: str, path: str) -> None:
    """/api/v2/write from 1.8 on, /write before."""
    with (
        FakeApi(version).running() as fake,
        closing(Server(Address(fake.url, "gov", "ministry"))) as server,
    ):
        assert server.write(RAW, [LINE]).status == 204
    assert fake.paths == [path]
    assert fake.stored == [LINE]
