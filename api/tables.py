"""Tables on the wire: CSV (RFC 4180) and Parquet, sent as their rows are read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.responses import Response, StreamingResponse

from api.formats import MEDIA_TYPES, PARQUET, VARY
from api.times import iso
from reports.spreadsheets import BOM, safe_text

Type = Literal["label", "text", "time", "number", "count"]
Row = Sequence[Any]

ARROW_TYPES: dict[Type, pa.DataType] = {
    "label": pa.dictionary(pa.int32(), pa.string()),
    "text": pa.string(),
    "time": pa.timestamp("ms", tz="UTC"),
    "number": pa.float64(),
    "count": pa.int64(),
}


@dataclass(frozen=True)
class Table:
    """Columns by name, and rows in batches, none empty: times in ms since 1970, None for unknown.

    A label is a text that many rows share.
    """

    name: str
    columns: dict[str, Type]
    batches: Iterable[Sequence[Row]]


def answer(
    table: Table, format_: str, *, bom: bool = False, headers: dict[str, str] | None = None
) -> Response:
    """The table as an attachment. The first rows are read before it returns, so that a store that
    does not answer is still told as a problem; the rest is read as the client takes it.

    headers: of an answer that is whole at once; one that streams has no tag to compare.
    """
    chunks = parquet_chunks(table) if format_ == PARQUET else csv_chunks(table, bom=bom)
    disposition = {"Content-Disposition": f'attachment; filename="{table.name}.{format_}"', **VARY}
    charset = "" if format_ == PARQUET else "; charset=utf-8; header=present"
    media_type = MEDIA_TYPES[format_] + charset
    first, second = next(chunks), next(chunks, None)
    if second is None:
        return Response(first, headers=disposition | (headers or {}), media_type=media_type)
    rest = chain((first, second), chunks)
    return StreamingResponse(rest, headers=disposition, media_type=media_type)


def csv_chunks(table: Table, *, bom: bool) -> Iterator[bytes]:
    """A line of names, then a line a row; a chunk for each batch, at least one."""
    begin = (BOM.encode() if bom else b"") + _lines([list(table.columns)])
    types = list(table.columns.values())
    for batch in table.batches:
        yield begin + _lines(
            [_cell(value, kind) for value, kind in zip(row, types, strict=True)] for row in batch
        )
        begin = b""
    if begin:
        yield begin


def parquet_chunks(table: Table) -> Iterator[bytes]:
    """A Parquet file, a row group for each batch; its rows are never all in memory."""
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in table.columns.items()])
    sink = _Sink()
    pending = b""  # so that a table of one batch is one chunk
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in table.batches:
            if pending:
                yield pending
            columns = zip(zip(*batch, strict=True), schema, strict=True)
            arrays = [pa.array(column, field.type) for column, field in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            pending = sink.taken()
    yield pending + sink.taken()


def _cell(value: Any, kind: Type) -> Any:
    if value is None:
        return ""
    if kind == "time":
        return iso(value)
    return safe_text(value) if isinstance(value, str) else value


def _lines(rows: Iterable[Row]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()


class _Sink(io.RawIOBase):
    """A file that only grows; what was written is taken away in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """What was written since the last call."""
        written = b"".join(self._pieces)
        self._pieces.clear()
        return written
