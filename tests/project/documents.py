"""Our Markdown documents, taken apart for the tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.project.broker import ROOT

OUTSIDE = {".venv", ".git", "node_modules", "var"}


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    files = (file.relative_to(ROOT) for file in ROOT.rglob("*.md"))
    return sorted(
        file for file in files if file.parts[0] not in OUTSIDE and file.parts[0][0] != "."
    )


def text_of(file: Path) -> str:
    """A document's text."""
    return (ROOT / file).read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """The cells of every table row, separator lines aside."""
    rows = [line.strip().strip("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def blocks_of(text: str) -> list[str]:
    """The lines of every shell block, continued lines joined."""
    found = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, re.M | re.S)
    return [line for block in found for line in block.replace("\\\n", " ").splitlines() if line]


def inline_of(text: str) -> list[str]:
    """What stands between single backticks, outside of blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [found.replace("\n", " ") for found in re.findall(r"`([^`]+)`", prose)]


def section(text: str, heading: str) -> str:
    """The part under a heading, up to the next of the same or a higher level."""
    lines = text.splitlines()
    start = lines.index(heading)
    level = len(heading) - len(heading.lstrip("#"))
    ends = (n for n in range(start + 1, len(lines)) if re.match(rf"#{{1,{level}}} ", lines[n]))
    return "\n".join(lines[start + 1 : next(ends, len(lines))])


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    plain = [re.sub(r"[`*]|\[(.*?)]\(.*?\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}
