"""The public status as an Atom feed (RFC 4287): an entry for each province and incident."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from api.public.status import ProvinceStatus, PublicIncident, PublicStatus, named_class, urn
from api.public.texts import TEXTS, Words
from api.times import iso
from detection.outages import BIN_MS

ATOM = "http://www.w3.org/2005/Atom"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
PATH = "/public/v1/status.atom"
register_namespace("", ATOM)


def render(status: PublicStatus) -> bytes:
    """The feed. Ids stay the same for ever; `updated` is when an entry last had news.

    Of a province that is the end of its newest five minutes, of an incident its last change.
    Incidents that are over stay for a day, and say so.
    """
    computed_ms = status.computed_ms // BIN_MS * BIN_MS
    entries = list(_entries(status, computed_ms))
    feed = Element(f"{{{ATOM}}}feed", {LANG: "en"})
    _add(feed, "id", urn("feed"))
    _add(feed, "title", _both(TEXTS["title"]))
    _add(feed, "subtitle", _both(TEXTS["subtitle"]))
    _add(feed, "updated", iso(max((at_ms for at_ms, _ in entries), default=computed_ms)))
    SubElement(feed, f"{{{ATOM}}}link", {"rel": "self", "href": PATH})
    _add(SubElement(feed, f"{{{ATOM}}}author"), "name", "govsense")
    feed.extend(entry for _, entry in entries)
    body: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def _entries(status: PublicStatus, computed_ms: int) -> Iterator[tuple[int, Element]]:
    for incident in status.incidents:
        yield incident.changed_ms, _incident(incident)
    for province in status.provinces:
        if province.state != "too-few":
            at_ms = computed_ms if province.known_ms is None else province.known_ms
            yield at_ms, _province(province, at_ms)


def _incident(incident: PublicIncident) -> Element:
    entry = _entry(incident.id, incident.text, incident.changed_ms)
    _add(entry, "published", iso(incident.started_ms))
    SubElement(entry, f"{{{ATOM}}}category", {"term": incident.cause})
    _add(entry, "content", f"{incident.text.en}\n{incident.text.lo}", type="text")
    return entry


def _province(status: ProvinceStatus, at_ms: int) -> Element:
    name, state = status.province, TEXTS[f"state.{status.state}"]
    title = Words(f"{name.name_en}: {state.en}", f"{name.name_lo}: {state.lo}")
    entry = _entry(urn(f"province/{name.code}"), title, at_ms)
    SubElement(entry, f"{{{ATOM}}}category", {"term": status.state})
    lines = [named_class(one) for one in status.classes]
    content = "\n".join([*(line.en for line in lines), *(line.lo for line in lines)])
    _add(entry, "content", content, type="text")
    return entry


def _entry(entry_id: str, title: Words, updated_ms: int) -> Element:
    entry = Element(f"{{{ATOM}}}entry")
    _add(entry, "id", entry_id)
    _add(entry, "title", _both(title))
    _add(entry, "updated", iso(updated_ms))
    return entry


def _both(words: Words) -> str:
    return f"{words.en} / {words.lo}"


def _add(parent: Element, name: str, text: str, **attributes: str) -> None:
    SubElement(parent, f"{{{ATOM}}}{name}", attributes).text = text
