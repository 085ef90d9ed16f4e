"""The commands of the Compose file, run without containers: they start, are well and do the job."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import psycopg
import pytest

from runtime.settings import meanings
from storage.influx.credentials import READER, WRITER
from storage.influx.server import Address, InfluxError, Server
from storage.series.levels import RAW
from tests.project.broker import ROOT, wait_for
from tests.project.deployment import OURS, SERVERS, Deployment
from tests.project.documents import documents, text_of

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.postgresql,
    pytest.mark.influx,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployment = Deployment(tmp_path_factory.mktemp("compose"))
    try:
        assert not any(map(deployment.is_well, OURS))
        deployment.up()
        yield deployment
    finally:
        deployment.close()


def test_a_reading_comes_out_of_the_api(deployment: Deployment) -> None:
    """What a device says in its own name is stored; what it says in another's is not."""
    deployment.publish("p0", 666.0, says="p1")
    deployment.publish("p0", 21.4)
    wait_for(lambda: deployment.values("p0") == [21.4], "the reading comes from InfluxDB", 30)
    latest = deployment.get("/api/v1/devices/p0/latest").json()["readings"]
    assert [r["value"] for r in latest if r["metric"] == "nat_rtt_p50_ms"] == [21.4]
    assert deployment.values("p1") == []
    assert not list(deployment.directory.rglob("ledger.db"))
    assert not list(deployment.directory.rglob("series.db"))


def test_each_credential_has_its_rights_and_no_others(deployment: Deployment) -> None:
    """The API's cannot write, ingest's cannot read, and both files are closed to others."""
    volumes = deployment.directory / "volumes"
    files = {name: volumes / f"influx-{name}" for name in (WRITER, READER)}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files.values())
    writer, reader = (
        Server(Address(deployment.influxd.url, token_file=files[name])) for name in (WRITER, READER)
    )
    question = 'SELECT "dns_ms" FROM "connectivity-probe" LIMIT 1'
    with closing(writer), closing(reader):
        reader.query(RAW, question)
        assert reader.write(RAW, [b"x y=1"]).status == 403
        with pytest.raises(InfluxError, match="not authorized"):
            writer.query(RAW, question)
    before = {name: file.read_text() for name, file in files.items()}
    assert "new credential" not in deployment.run("influx-init")
    assert {name: file.read_text() for name, file in files.items()} == before


def test_the_ledger_has_a_role_that_owns_nothing_else(deployment: Deployment) -> None:
    """The role of govsense gets in with its password only, and into its own database only."""
    server = deployment.postgresql
    url = f"postgresql://govsense@127.0.0.1:{server.port}"
    password = deployment.secret("ledger_password")
    with psycopg.connect(f"{url}/govsense", password=password) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == (False,) * 5
        assert connection.execute("SELECT count(*) FROM sites").fetchone() == (1,)
    for dbname, secret in (("govsense", "wrong"), ("postgres", password)):
        with pytest.raises(psycopg.OperationalError, match=r"denied|authentication failed"):
            psycopg.connect(f"{url}/{dbname}", password=secret)


def test_the_script_of_postgresql_may_run_again(deployment: Deployment) -> None:
    """It gives the role the password that the secret holds now; running services go on."""
    file = deployment.secrets / "ledger_password"
    file.write_text("another password, with ' and \\ and \" in it\n")
    deployment.set_up_postgresql()
    deployment.postgresql.stop()
    deployment.postgresql.start()  # every connection is made anew
    deployment.wait_until_well()
    deployment.publish("p0", 22.5)
    wait_for(lambda: 22.5 in deployment.values("p0"), "the reading is stored", 30)


def test_the_metrics_that_operators_are_told_of_exist(deployment: Deployment) -> None:
    """Every metric that docs/operations.md names is in the answer of /metrics."""
    scraped = set(
        re.findall(r"^(govsense_\w+?)(?:_bucket)?[{ ]", deployment.get("/metrics").text, re.M)
    )
    told = set(re.findall(r"\bgovsense_\w+", (ROOT / "docs/operations.md").read_text()))
    told -= {"govsense_refused"}  # comes with the first refusal
    told -= {default for name, (default, _) in meanings().items() if name.startswith("oidc.")}
    assert told
    assert told <= scraped


def test_the_paths_that_the_documents_name_exist(deployment: Deployment) -> None:
    """Every path below /api/v1 in the documents is one of the API's own description."""
    known = deployment.get("/api/v1/openapi.json").json()["paths"]
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) for path in known]
    for document in documents():
        for path in re.findall(r"/api/v1/[\w/{}.-]*\w}?", text_of(document)):
            plain = path.removesuffix("/openapi.json")
            assert any(re.fullmatch(p, plain) for p in patterns) or plain != path, (document, path)


@pytest.mark.parametrize("name", [*SERVERS, *OURS])
def test_each_service_may_be_restarted(deployment: Deployment, name: str) -> None:
    """While it is stopped others may be unwell; afterwards all are well, and readings come."""
    value = 100.0 + (*SERVERS, *OURS).index(name)
    deployment.stop(name)
    if name != "mosquitto":
        deployment.publish("p1", value)  # the broker holds it, or the journal
    deployment.start(name)
    deployment.wait_until_well()
    if name == "mosquitto":
        deployment.publish("p1", value)
    wait_for(lambda: _has(deployment, value), f"it is stored; {deployment.log('ingest')}", 60)


def _has(deployment: Deployment, value: float) -> bool:
    return value in deployment.values("p1")


def test_ingest_is_unwell_without_its_broker(deployment: Deployment) -> None:
    """The health check of ingest fails while there is no broker, and recovers when it is back."""
    is_well = partial(deployment.is_well, "ingest")
    deployment.stop("mosquitto")
    wait_for(lambda: not is_well(), "ingest is unwell", within_s=15)
    deployment.start("mosquitto")
    wait_for(is_well, "ingest is well again", within_s=30)
