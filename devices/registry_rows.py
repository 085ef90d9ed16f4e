"""Rows of the registry's files as text cells, each with its file and line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from devices.registry import Problem

TABLES = ("sites", "devices")


class Row(NamedTuple):
    """One site or device as its file has it. cells: text by column, "" where it is empty.

    lines: the line of each cell; a column that is not there belongs to `line`.
    """

    file: str
    line: int
    cells: dict[str, str]
    lines: dict[str, int]

    def problem(self, column: str, got: str, allowed: str) -> Problem:
        return Problem(self.file, self.lines.get(column, self.line), column, got, allowed)


class Tables(NamedTuple):
    """All rows of some files, and what kept others from being read."""

    sites: list[Row]
    devices: list[Row]
    problems: list[Problem]


def read_tables(path: Path, columns: dict[str, tuple[str, ...]]) -> Tables:
    """The rows of a CSV file, a YAML file, or a directory with sites.csv and devices.csv.

    columns: which a CSV table must have, by table. A CSV file is the table whose first column it
    has: a file with a `device` column holds devices.
    """
    tables = Tables([], [], [])
    if path.is_dir():
        for name in TABLES:
            _read_file(path / f"{name}.csv", columns, tables)
    else:
        _read_file(path, columns, tables)
    return tables


def _read_file(path: Path, columns: dict[str, tuple[str, ...]], tables: Tables) -> None:
    file = str(path)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as exc:
        tables.problems.append(Problem(file, 0, "", f"cannot be read: {exc.strerror}", "a file"))
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        tables.problems.append(Problem(file, line, "", "bytes that are not UTF-8", "UTF-8"))
    else:
        if path.suffix in (".yaml", ".yml"):
            _read_yaml(file, text, tables)
        else:
            _read_csv(file, text, columns, tables)


def _read_csv(file: str, text: str, columns: dict[str, tuple[str, ...]], tables: Tables) -> None:
    found = len(tables.problems)
    lines = _csv_lines(file, text, tables.problems)
    _, header = next(lines, (1, []))
    header = [name.strip() for name in header]
    if len(tables.problems) > found:  # it is no CSV from its first line on
        return
    if not header:
        tables.problems.append(
            Problem(file, 1, "", "empty", "a line with the names of the columns")
        )
        return
    if len(header) == 1 and (other := next((c for c in ";\t|" if c in header[0]), "")):
        tables.problems.append(Problem(file, 1, "", f"separated by {other!r}", "commas"))
        return
    name = "devices" if "device" in header else "sites"
    for column in dict.fromkeys((*columns[name], *header)):
        if column and header.count(column) != 1:
            got = "there twice" if column in header else "missing"
            allowed = f"the columns {', '.join(columns[name])}"
            tables.problems.append(Problem(file, 1, column, got, allowed))
    if len(tables.problems) > found:
        return
    rows: list[Row] = getattr(tables, name)
    for line, cells in lines:
        if len(cells) != len(header):
            got = f"{len(cells)} cells"
            tables.problems.append(Problem(file, line, "", got, f"{len(header)} as in line 1"))
        else:
            texts = [cell.strip() for cell in cells]
            rows.append(Row(file, line, dict(zip(header, texts, strict=True)), {}))


def _csv_lines(file: str, text: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
    """(line that it starts on, cells) of each record that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            problems.append(Problem(file, line, "", str(exc), "CSV"))
            return
        if cells is None:
            return
        if cells:
            yield line, cells


def _read_yaml(file: str, text: str, tables: Tables) -> None:
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        problem = Problem(file, mark.line + 1 if mark else 0, "", exc.problem or "?", "YAML")
        tables.problems.append(problem)
        return
    except (yaml.YAMLError, RecursionError) as exc:
        tables.problems.append(Problem(file, 0, "", str(exc).splitlines()[0], "YAML"))
        return
    if not isinstance(root, yaml.MappingNode):
        tables.problems.append(Problem(file, 1, "", "not a mapping", "sites: and devices:"))
        return
    for key, node in root.value:
        line = key.start_mark.line + 1
        if key.value not in TABLES:
            tables.problems.append(Problem(file, line, str(key.value), "unknown", "sites, devices"))
        elif not isinstance(node, yaml.SequenceNode):
            tables.problems.append(Problem(file, line, str(key.value), "not a list", "a list"))
        else:
            rows = [_yaml_row(file, item, tables.problems) for item in node.value]
            getattr(tables, key.value).extend(row for row in rows if row is not None)


def _yaml_row(file: str, node: yaml.Node, problems: list[Problem]) -> Row | None:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(file, line, "", "not a mapping", "column: value"))
        return None
    row = Row(file, line, {}, {})
    for key, value in node.value:
        column = str(key.value)
        if column in row.cells:
            problems.append(Problem(file, key.start_mark.line + 1, column, "there twice", "once"))
        row.lines[column] = key.start_mark.line + 1
        try:
            row.cells[column] = _yaml_text(value)
        except (yaml.YAMLError, RecursionError, TypeError, ValueError) as exc:
            problems.append(row.problem(column, str(exc).splitlines()[0], "text, numbers, lists"))
    return row


def _yaml_text(node: yaml.Node) -> str:
    """A scalar as it is written (so that 001 stays 001); anything else as JSON."""
    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag.endswith(":null") else str(node.value).strip()
    loader = yaml.SafeLoader("")
    try:
        return json.dumps(loader.construct_document(node), ensure_ascii=False, allow_nan=False)
    finally:
        loader.dispose()
