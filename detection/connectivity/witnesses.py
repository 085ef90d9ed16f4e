"""Witnesses: the devices of a site, as far as they tell whether its links work."""

from __future__ import annotations

from detection.connectivity.fleet import Fleet
from detection.connectivity.sessions import Sessions
from detection.connectivity.verdict import Member, Verdict
from detection.outages import WHOLE_SITE

FLAPS = 6  # changes of connection within an hour


class Witnesses:
    """Devices by number, as the sessions know them at this moment."""

    def __init__(self, fleet: Fleet, sessions: Sessions) -> None:
        self._fleet = fleet
        self._sessions = sessions

    def last_good_ms(self, number: int) -> int:
        """When a device's link was last known to work, event time."""
        row = self._sessions.rows[number]
        good, received = int(row["good"]), int(row["received"])
        interval_ms = int(self._fleet.rows["interval_ms"][number])
        if good < 0 or (not row["bad_rounds"] and received - good > 3 * interval_ms):
            return received  # it does not measure, or its clock is wrong
        return good

    def of_site(self, site: int) -> list[Member]:
        """Devices of a site that were heard; those that failed alone before do not count."""
        newest = max(
            (int(self._sessions.rows["received"][d]) for d in self._fleet.members[site]), default=0
        )
        return [
            self.of(device)
            for device in self._fleet.members[site]
            if self._sessions.expected(device, newest)
        ]

    def of(self, device: int) -> Member:
        """One device."""
        state, row = self._sessions.rows[device], self._fleet.rows[device]
        silent = bool(state["silent"])
        return Member(
            device=device,
            uplink=int(row["uplink"]) + 1,
            interval_ms=int(row["interval_ms"]),
            silent=silent,
            good_ms=int(state["onset_good"]) if silent else self.last_good_ms(device),
            received_ms=int(state["received"]),
            online=int(state["online"]),
            will_ms=int(state["will_ms"]) if state["will_ms"] > state["received"] else 0,
        )

    def verdict_of_measurement(self, member: Member) -> Verdict:
        """Another probe that reaches the network over the same uplink: the device is at fault."""
        rows, probe = self._sessions.rows, self._fleet.rows["probe"]
        good = [
            m
            for m in self.mates_of(member)
            if probe[m.device] and not rows["bad_rounds"][m.device] and m.good_ms > member.latest_ms
        ]
        if any(m.uplink == member.uplink for m in good):
            return Verdict("device", member.uplink, others_alive=True, other_uplink_alive=False)
        alive = [m for m in self.mates_of(member) if m.uplink != member.uplink and not m.silent]
        if alive:
            return Verdict("uplink", member.uplink, others_alive=False, other_uplink_alive=True)
        return Verdict("site", WHOLE_SITE, others_alive=False, other_uplink_alive=False)

    def verdict_of_flapping(self, member: Member) -> Verdict:
        """Who goes on and off with it, and who does not."""
        steady = [
            m
            for m in self.mates_of(member)
            if not m.silent and len(self._sessions.transitions[m.device]) < FLAPS // 2
        ]
        if any(m.uplink == member.uplink for m in steady):
            return Verdict("device", member.uplink, others_alive=True, other_uplink_alive=False)
        if steady:
            return Verdict("uplink", member.uplink, others_alive=False, other_uplink_alive=True)
        return Verdict("site", WHOLE_SITE, others_alive=False, other_uplink_alive=False)

    def mates_of(self, member: Member) -> list[Member]:
        """The other devices of its site."""
        site = int(self._fleet.rows["site"][member.device])
        return [mate for mate in self.of_site(site) if mate.device != member.device]
