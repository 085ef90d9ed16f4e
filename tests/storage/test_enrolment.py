"""Enrolment in the ledger: who is pending, who is refused, and what an acceptance sets going."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from devices.registry import Device, RegistryError
from devices.wire.message import Refusal
from storage.ledger.enrolment import (
    DAY_MS,
    NobodyError,
    accept,
    get_newcomer,
    list_newcomers,
    refuse,
    request_accepted,
    sent_by,
)
from storage.ledger.facts import Facts, Quarantined, commit
from storage.ledger.migrations import Ledger
from storage.ledger.quarantine import QuarantineFilter, list_quarantine
from storage.ledger.registry import add_registry, load_registry, registry_version
from tests.storage.country import registered

T0_MS = 1_790_000_000_000
COUNTRY = registered([("s1", "LA-LP", "luangprabang"), ("s2", "LA-VT", "naxaithong")])


def send(ledger: Ledger, device: str, at_ms: Sequence[int], province: str = "LA-LP") -> None:
    """Messages of an unknown device that came at these times after T0_MS."""
    unknown = Refusal("unknown-device", "topic", f"{device} is not registered")
    held = [
        Quarantined(
            T0_MS + at,
            f"gov/v1/{province}/{device}/telemetry",
            device,
            f"payload {at}".encode(),
            [unknown],
            True,
        )
        for at in at_ms
    ]
    commit(ledger, Facts(position=0, quarantined=held), now_ms=T0_MS)


def names(ledger: Ledger, **asked: object) -> list[str]:
    found = list_newcomers(ledger, limit=100, **asked)  # type: ignore[arg-type]
    return [one.device for one in found]


def probe(device: str, site: str = "s1", kind: str = "connectivity-probe") -> Device:
    return Device(device, site, kind, 60.0, 1, {})


def test_who_sent_and_is_not_registered_is_pending(ledger: Ledger) -> None:
    """With its first and last message and their number; a registered device never is."""
    add_registry(ledger, COUNTRY)
    send(ledger, "b", [3, 1, 2])
    send(ledger, "a", [5], "LA-VT")
    send(ledger, "probe-s1", [4])  # held from before it was registered
    first, second = list_newcomers(ledger, limit=10)
    assert (first.device, second.device) == ("a", "b")
    assert (second.first_ms, second.last_ms, second.messages) == (T0_MS + 1, T0_MS + 3, 3)
    assert second.state == "pending"
    assert names(ledger, after="a") == ["b"]
    assert names(ledger, provinces={"LA-VT"}) == ["a"]
    assert names(ledger, provinces=set()) == []
    assert get_newcomer(ledger, "probe-s1") is None


def test_the_newest_and_the_oldest_messages_are_read(ledger: Ledger) -> None:
    """Each once, the newest first, and of each no more bytes than asked for."""
    send(ledger, "a", range(10))
    sent = sent_by(ledger, "a", newest=3, oldest=2, most_bytes=100)
    assert [one.received_ms - T0_MS for one in sent] == [9, 8, 7, 1, 0]
    assert len(sent_by(ledger, "a", newest=9, oldest=9, most_bytes=100)) == 10
    assert sent_by(ledger, "a", newest=1, most_bytes=7)[0].payload == b"payload"


def test_a_refused_device_is_shown_again_when_it_sends_after_the_days(ledger: Ledger) -> None:
    """Not before, and what it sends stays held all the time."""
    send(ledger, "a", [0])
    refused = refuse(ledger, "a", reason="a trial", days=2, by="Noy", now_ms=T0_MS)
    assert refused.state == "refused"
    send(ledger, "a", [2 * DAY_MS - 1])
    assert (names(ledger), names(ledger, state="refused")) == ([], ["a"])
    send(ledger, "a", [2 * DAY_MS])
    assert (names(ledger), names(ledger, state="refused")) == (["a"], [])
    (again,) = list_newcomers(ledger, limit=1)
    assert again.refused is not None
    assert (again.refused.by, again.refused.reason) == ("Noy", "a trial")
    held = list_quarantine(ledger, QuarantineFilter(state="held"), limit=10)
    assert len(held) == 3


def test_an_accepted_device_is_registered_and_replayed_once(ledger: Ledger) -> None:
    """The replay is asked for when the registry that is used knows it, once, of it alone."""
    add_registry(ledger, COUNTRY)
    send(ledger, "a", [0, 1])
    send(ledger, "b", [0])
    refuse(ledger, "a", reason="a trial", days=2, by="Noy", now_ms=T0_MS)
    assert accept(ledger, probe("a"), by="Noy", now_ms=T0_MS).messages == 2
    assert load_registry(ledger).devices["a"] == probe("a")
    assert registry_version(ledger) == 2
    assert (names(ledger), names(ledger, state="refused")) == (["b"], [])
    send(ledger, "a", [2])  # before ingest knows it
    assert request_accepted(ledger, registry_version=1) == []
    assert request_accepted(ledger, registry_version=2) == ["a"]
    asked = list_quarantine(ledger, QuarantineFilter(state="requested"), limit=10)
    assert [row.device for row in asked] == ["a"] * 3
    send(ledger, "a", [3])
    assert request_accepted(ledger, registry_version=3) == []


@pytest.mark.parametrize(
    ("device", "complaint"),
    [
        (probe("a", site="s9"), "a site of the registry"),
        (probe("a", kind="toaster"), "connectivity-probe"),
        (probe("a", site="s2"), "a site in LA-LP, where it sends"),
        (Device("a", "s1", "connectivity-probe", 60.0, 2, {}), "uplinks of site s1"),
        (Device("a", "s1", "water-level", 60.0, 1, {"height_m": -1}), "a number above 0"),
    ],
)
def test_what_does_not_fit_changes_nothing(ledger: Ledger, device: Device, complaint: str) -> None:
    """The registry, and that the device is pending, stay as they were."""
    add_registry(ledger, COUNTRY)
    send(ledger, "a", [0])
    with pytest.raises(RegistryError, match=complaint):
        accept(ledger, device, by="Noy", now_ms=T0_MS)
    assert load_registry(ledger) == COUNTRY
    assert registry_version(ledger) == 1
    assert names(ledger) == ["a"]


def test_nobody_is_accepted_or_refused_who_sent_nothing(ledger: Ledger) -> None:
    """Nor who is registered."""
    add_registry(ledger, COUNTRY)
    send(ledger, "probe-s1", [0])
    for device in ("a", "probe-s1"):
        with pytest.raises(NobodyError):
            accept(ledger, probe(device), by="Noy", now_ms=T0_MS)
        with pytest.raises(NobodyError):
            refuse(ledger, device, reason="x", days=1, by="Noy", now_ms=T0_MS)
