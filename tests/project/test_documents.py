"""The documents say what is so: settings, commands, layers, links, where a number comes from."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from devices.wire import reasons
from runtime.cli import COMMANDS, build_parser
from runtime.settings import meanings
from tests.project.broker import ROOT
from tests.project.documents import (
    anchors_of,
    blocks_of,
    documents,
    inline_of,
    rows_of,
    section,
    text_of,
)
from tests.project.test_layers import LAYERS

each_document = pytest.mark.parametrize("document", documents(), ids=str)
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\.\.\.|…")


def test_every_setting_is_in_the_table_and_the_other_way_round() -> None:
    """The table of docs/operations.md holds each setting with its default and its meaning."""
    table = rows_of(section(text_of(Path("docs/operations.md")), "## Settings"))[1:]
    written = {row[0]: (row[1], row[2]) for row in table}
    real = {
        f"`{name}`": (f"`{in_toml(default)}`" if str(default) else "empty", meaning)
        for name, (default, meaning) in meanings().items()
    }
    assert written == real


def in_toml(value: object) -> str:
    """A default as one writes it in the settings file, without quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_command_is_documented() -> None:
    """Each govsense command is named in the documents."""
    everything = "\n".join(text_of(document) for document in documents())
    assert not [name for name in COMMANDS if f"govsense {name}" not in everything]


def test_every_reason_is_documented() -> None:
    """Each reason for refusing a message has a row in docs/protocol.md."""
    known = {
        value for name, value in vars(reasons).items() if name.isupper() and type(value) is str
    }
    written = {row[0].strip("`") for row in rows_of(text_of(Path("docs/protocol.md")))}
    assert known
    assert known <= written


def test_the_layers_are_those_that_are_enforced() -> None:
    """The table of docs/architecture.md is the one that the imports are tested against."""
    text = section(text_of(Path("docs/architecture.md")), "## Folders and who may import whom")
    written = {
        row[0].strip("`"): {name.strip("` ") for name in row[2].split(",")}
        for row in rows_of(text)[1:]
    }
    assert written == {folder: (may or {"nothing of ours"}) for folder, may in LAYERS.items()}


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link is a file of the repository, and its anchor a heading of that file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document.parent / path).resolve() if path else ROOT / document
        assert file.exists(), f"{document}: {target} is not there"
        if anchor:
            assert anchor in anchors_of(file.read_text()), f"{document}: no heading for {target}"


@each_document
def test_commands_in_blocks_are_right(document: Path) -> None:
    """Every govsense command in a shell block parses, and every script is there."""
    for line in blocks_of(text_of(document)):
        problem = problem_with(line)
        assert not problem, f"{document}: {line!r}: {problem}"


@each_document
def test_commands_in_prose_are_right(document: Path) -> None:
    """A command in backticks exists; it may leave out what a reader has to fill in."""
    for code in inline_of(text_of(document)):
        problem = problem_with(code)
        if "arguments are required" not in problem:
            assert not problem, f"{document}: `{code}`: {problem}"


def problem_with(line: str) -> str:
    """What is wrong with a line that calls govsense or a script of ours, "" for nothing."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ""
    ends = [n for n, word in enumerate(words) if word in ("|", ">", "&&", "&", "2>")]
    words = words[: min(ends, default=len(words))]
    if not words:
        return ""
    if words[0] == "./run":
        return parsing(["up", "--simulate", *words[1:]])
    if words[0].startswith(("scripts/", ".ci/")):
        return "" if (ROOT / words[0]).exists() else "there is no such file"
    if words[:2] == ["docker", "compose"] and {"run", "exec"} & set(words):
        services = [n for n, word in enumerate(words) if word in ("ingest", "api")]
        arguments = words[services[0] + 1 :] if services else []
        if arguments[:1] == ["govsense"]:
            arguments = arguments[1:]
        return parsing(arguments) if arguments else ""
    if words[0] in ("govsense", ".venv/bin/govsense"):
        return parsing(words[1:])
    if "-m" in words[:3] and words[0].endswith("python"):
        return "" if find_spec(words[words.index("-m") + 1]) else "there is no such module"
    return ""


def parsing(arguments: list[str]) -> str:
    """The parser's complaint about arguments, "" for none."""
    if "COMMAND" in arguments or not arguments:
        return ""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            only = next((word for word in arguments if word in COMMANDS), "none")
            build_parser(only).parse_args(arguments)
        except SystemExit as exc:
            return errors.getvalue().strip().splitlines()[-1] if exc.code else ""
    return ""


@pytest.mark.parametrize(
    "line",
    [
        "govsense upp",
        "govsense up --simulat=x",
        "govsense quarantine list --no-such-flag",
        "./run --sekonds 60",
        "scripts/no-such-script",
        "python -m bench.no_such_bench",
        "docker compose exec api govsense registri import x",
        "docker compose run --rm ingest --nonsense",
    ],
)
def test_a_wrong_command_is_seen(line: str) -> None:
    """A document with one of these would fail."""
    assert problem_with(line)


def test_a_right_command_is_quiet() -> None:
    """A call with a comment, a pipe and options passes."""
    assert problem_with("govsense settings | head   # the first lines") == ""


def test_every_number_of_a_benchmark_has_its_command() -> None:
    """Each section of docs/benchmarks.md with a figure names a command, and that command exists."""
    text = text_of(Path("docs/benchmarks.md"))
    for heading in re.findall(r"^## .*$", text, re.M):
        part = section(text, heading)
        commands = [c for c in blocks_of(part) + inline_of(part) if "-m bench." in c]
        if re.search(r"\d", part):
            assert commands, f"{heading} has figures and no command"
        for command in commands:
            assert not problem_with(command), command


@pytest.mark.parametrize(
    "record", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda path: path.name
)
def test_a_decision_record_is_short_and_names_its_sources(record: Path) -> None:
    """A record fits a page, says objective, decision and cost, and names its measurement."""
    text = record.read_text()
    assert len(text.splitlines()) <= 60
    number = record.name[:4]
    assert re.match(rf"# {int(number)}\. ", text)
    for part in ("**Objective.**", "**Decision.**", "**Cost.**"):
        assert part in text
    if "**Measured**" in text:
        assert "`python -m bench." in text


def test_no_document_names_a_place_on_our_machines() -> None:
    """The documents speak of govsense alone."""
    places = re.compile(r"/(?:work|root|home)/")
    assert not [document for document in documents() if places.search(text_of(document))]


def test_every_failure_names_the_test_that_proves_it() -> None:
    """Each row of "What to do when" ends with a file of tests that exists."""
    rows = rows_of(section(text_of(Path("docs/operations.md")), "## What to do when"))[1:]
    assert len(rows) > 30
    assert not [row[0] for row in rows if not (ROOT / row[3].strip("`")).is_file()]
