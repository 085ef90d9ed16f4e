"""Who may import whom: the table of docs/architecture.md, enforced on every import in the tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project.broker import ROOT

LAYERS: dict[str, set[str]] = {  # folder: the folders of ours that it may import
    "devices": set(),
    "devices/probe": {"devices"},
    "detection": {"devices"},
    "storage": {"devices", "detection"},
    "ingest": {"devices", "detection", "storage"},
    "reports": {"devices", "detection", "storage"},
    "api": {"devices", "detection", "storage", "reports"},
    "simulators": {"devices"},
    "runtime": set(),
}
OURS = {folder.split("/")[0] for folder in LAYERS} | {"bench", "tests"}

# Only an entry point starts things, so only it reads settings and reaches over the layers.
ENTRY_POINTS_OF_RUNTIME = {
    "cli.py",
    "__main__.py",
    "loops.py",
    "machine_checks.py",
    "report_rules.py",
    "stores.py",
    "up_country.py",
    "up_key.py",
    "up_registry.py",
}

# storage writes what detection says and must not run it: dataclasses only.
DETECTION_IN_STORAGE = {
    *("detection.findings", "detection.alerts", "detection.outages"),
    "detection.incidents.changes",
}

# How a device keeps and delivers its rounds, which simulated devices do as real ones.
DELIVERY = {
    *("devices.probe.outbox", "devices.probe.outbox_file", "devices.probe.courier"),
    "devices.probe.client",
}

# What would give detection a clock, a device or a place to write to.
NOT_IN_DETECTION = {
    *("asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *("shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "uuid"),
}

# Third-party libraries that stay in one place.
ONLY_IN = {
    "fastapi": {"api"},
    "pydantic": {"api"},
    "starlette": {"api"},
    "sqlalchemy": {"storage"},  # but for its exceptions
    "iotcore": {"runtime"},
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    file: Path
    line: int
    module: str

    @property
    def top(self) -> str:
        """The package or folder that it begins with."""
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(file: Path, source: str) -> Iterator[Import]:
    """Every import in a source file, those inside functions and type checks included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(file.parts[: len(file.parts) - node.level]) if node.level else ""
            module = ".".join(filter(None, (package, node.module)))
            yield Import(file, node.lineno, module)
            yield from (Import(file, node.lineno, f"{module}.{name.name}") for name in node.names)


def is_entry_point(file: Path) -> bool:
    """Whether a file is a command: the part of a folder that reads the settings."""
    if file.parts[0] == "runtime" and file.name in ENTRY_POINTS_OF_RUNTIME:
        return True
    return file.name == "command.py" or file.name.endswith("_command.py")


def layer_of(file: Path) -> str:
    """The row of LAYERS that holds for a file."""
    folder = "/".join(file.parts[:2])
    return folder if folder in LAYERS else file.parts[0]


def may_deliver(layer: str, module: str) -> bool:
    """Whether a layer may import this part of the probe: its outbox is every device's contract."""
    if layer == "simulators":
        return ".".join(module.split(".")[:3]) in DELIVERY
    return layer == "devices/probe"


def problems_in(file: Path, source: str) -> list[str]:
    """What a file imports against the rules, in words."""
    layer = layer_of(file)
    top = file.parts[0]
    allowed = LAYERS[layer] | {top}
    if is_entry_point(file):
        allowed = OURS - {"tests", "bench"} if top == "runtime" else allowed | {"runtime"}
    found = []
    for one in imports_of(file, source):
        if one.top in OURS and one.top not in allowed:
            found.append(f"{one}; {layer} may import {sorted(allowed)}")
        if one.module.startswith("devices.probe") and not may_deliver(layer, one.module):
            found.append(f"{one}; the agent is a program of its own")
        if top not in ONLY_IN.get(one.top, {top}) and not one.module.startswith("sqlalchemy.exc"):
            found.append(f"{one}; only {sorted(ONLY_IN[one.top])} may")
        if layer == "detection" and one.top in NOT_IN_DETECTION:
            found.append(f"{one}; detection has no clock, no log and no I/O")
        is_module = any(f"{one.module}.".startswith(f"{m}.") for m in DETECTION_IN_STORAGE)
        if layer == "storage" and one.top == "detection" and one.module != "detection":
            found += [] if is_module else [f"{one}; allowed: {sorted(DETECTION_IN_STORAGE)}"]
    return found


def sources() -> list[Path]:
    """Every Python file of the product, relative to the root."""
    folders = {folder.split("/")[0] for folder in LAYERS}
    return sorted(f.relative_to(ROOT) for top in folders for f in (ROOT / top).rglob("*.py"))


def test_every_import_keeps_to_the_layers() -> None:
    """No file imports a folder that the table does not allow it."""
    found = [
        problem for file in sources() for problem in problems_in(file, (ROOT / file).read_text())
    ]
    assert not found, "\n".join(found)


def test_detection_asks_no_clock() -> None:
    """detection calls neither now() nor today() nor open(): what it needs is an argument."""
    asked = []
    for file in sources():
        if file.parts[0] != "detection":
            continue
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in {"now", "utcnow", "today", "open", "print"}:
                    asked.append(f"{file}:{node.lineno} calls {name}()")
    assert not asked, "\n".join(asked)


def test_every_folder_has_its_row() -> None:
    """A new top-level package needs a row in the table before it can be imported."""
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert packages == OURS


def test_no_folder_is_named_for_nothing() -> None:
    """There is no core, common or utils: folders name things of the domain."""
    vague = {"core", "common", "util", "utils", "helpers", "misc", "lib", "base"}
    assert not [file for file in sources() if vague & {*file.parts[:-1], file.stem}]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("detection/limits.py", "import storage"),
        ("detection/limits.py", "import time"),
        ("detection/limits.py", "def f():\n    from os import path"),
        ("devices/kinds.py", "from detection.engine import Engine"),
        ("devices/kinds.py", "from devices.probe import icmp"),
        ("api/routes/x.py", "from ingest.journal import JournalWriter"),
        ("api/routes/x.py", "from runtime.settings import Settings"),
        ("api/command.py", "import ingest.journal"),
        ("simulators/world.py", "import detection.texts"),
        ("storage/ledger/x.py", "from detection import engine"),
        ("storage/ledger/x.py", "from detection.engine import Engine"),
        ("ingest/processor.py", "import sqlalchemy"),
        ("ingest/processor.py", "from pydantic import BaseModel"),
        ("ingest/processor.py", "from ..api import app"),
        ("runtime/settings.py", "import devices"),
        ("devices/probe/agent.py", "import simulators"),
        ("simulators/fleet.py", "from devices.probe.agent import Agent"),
    ],
)
def test_a_broken_rule_is_seen(file: str, source: str) -> None:
    """Each rule of the table finds an import that breaks it."""
    assert problems_in(Path(file), source)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("detection/limits.py", "import numpy\nfrom devices.readings import Readings"),
        ("api/command.py", "from runtime.settings import Settings"),
        ("runtime/up_command.py", "from storage.ledger import migrations"),
        ("storage/ledger/facts.py", "from detection.alerts import AlertChange"),
        ("ingest/processor.py", "from .tally import Tally\nfrom . import intake"),
        ("simulators/device.py", "from devices.probe.outbox import Outbox"),
    ],
)
def test_a_kept_rule_is_quiet(file: str, source: str) -> None:
    """What the table allows is not reported."""
    assert not problems_in(Path(file), source)


def test_the_standard_library_names_are_real() -> None:
    """The names that detection may not import exist, so that a typing error cannot hide one."""
    assert sys.stdlib_module_names >= NOT_IN_DETECTION
