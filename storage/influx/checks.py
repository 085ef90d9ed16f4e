"""Whether InfluxDB answers, and whether each credential may do its one thing and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from storage.checks import Check
from storage.influx.server import Address, InfluxError, Server
from storage.ledger.checks import clock_against
from storage.series.levels import RAW

NO_LINE = b"govsense_doctor"  # is refused as malformed by who would take a line, and leaves nothing
QUESTION = 'SELECT * FROM "govsense_doctor" LIMIT 1'
REFUSED = (401, 403)


def check_influx(writing: Address, reading: Address) -> Iterator[Check]:
    """Every check. writing, reading: with the credential of ingest, and of the API."""
    writer, reader = Server(writing), Server(reading)
    try:
        version = ".".join(map(str, writer.version()))
        yield Check("ok", "influxdb", f"{writing.url} answers and is {version}")
        answer = writer.request("GET", "/ping")
        if "Date" in answer.headers:
            yield clock_against(
                "InfluxDB", parsedate_to_datetime(answer.headers["Date"]).timestamp()
            )
        yield _can_write(writer)
        yield _can_read(reader)
        if writing.token_file is None or reading.token_file is None:
            yield Check("warning", "influxdb: rights", "no credentials are set: everybody who"
                        " reaches it may read and delete; `govsense influx init --credentials`"
                        " makes two")  # fmt: skip
            return
        yield _cannot_read(writer)
        yield _cannot_write(reader)
    except InfluxError as exc:
        yield Check("wrong", "influxdb", f"{exc}; start it, or correct [influx] in the settings")
    finally:
        writer.close()
        reader.close()


def _write(server: Server) -> tuple[bool | None, str]:
    """Whether a credential may write, None where that is not known, and what the server said."""
    answer = server.write(RAW, [NO_LINE])
    if answer.status in REFUSED:
        return False, answer.text
    return (True if answer.status in (204, 400) else None), answer.text


def _read(server: Server) -> tuple[bool | None, str]:
    try:
        server.query(RAW, QUESTION)
    except InfluxError as exc:
        is_refused = exc.status in REFUSED or "not authorized" in str(exc)
        return (False if is_refused else None), str(exc)
    return True, ""


def _can_write(server: Server) -> Check:
    may, said = _write(server)
    if may:
        return Check("ok", "influxdb: write", "the credential of ingest may write")
    return Check("wrong", "influxdb: write", f"the credential of ingest may not: {said}; `govsense"
                 " influx init` makes database and credentials")  # fmt: skip


def _can_read(server: Server) -> Check:
    may, said = _read(server)
    if may:
        return Check("ok", "influxdb: read", "the credential of the API may read")
    return Check("wrong", "influxdb: read", f"the credential of the API may not: {said}; `govsense"
                 " influx init` makes database and credentials")  # fmt: skip


def _cannot_read(writer: Server) -> Check:
    may, said = _read(writer)
    if may is False:
        return Check("ok", "influxdb: write only", "the credential of ingest may not read")
    if may is None:
        return Check("warning", "influxdb: write only", f"not known: {said}")
    return Check("wrong", "influxdb: write only", "the credential of ingest may read too: make one"
                 " with `govsense influx init --credentials`")  # fmt: skip


def _cannot_write(reader: Server) -> Check:
    may, said = _write(reader)
    if may is False:
        return Check("ok", "influxdb: read only", "the credential of the API may not write")
    if may is None:
        return Check("warning", "influxdb: read only", f"not known: {said}")
    return Check("wrong", "influxdb: read only", "the credential of the API may write too: make one"
                 " with `govsense influx init --credentials`")  # fmt: skip
