"""Failures of what many sites share: provinces, districts, providers, feeders, the platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from simulators.hits import (
    Hit,
    link_cut,
    on_device,
    on_probes,
    platform_away,
    power_cut,
    trouble_of,
)
from simulators.mishaps import INT, ISP, NAT, Mishap
from simulators.premises import Premises
from simulators.troubles import Trouble

LEAST_MEMBERS = 3
SHARED_BY = "|"  # between the scope's id and what else the members share: LA-LP|Unitel
BATCH = 8  # devices whose credentials were made on one day
MOBILE = ("3g", "4g", "5g")
HOUR_MS = 3_600_000

Members = Mapping[str, Sequence[Premises]]
Share = Callable[[Mapping[str, Premises]], Members]
Build = Callable[[str, Premises, int, int, Random], Hit]


@dataclass(frozen=True, slots=True)
class GroupMode:
    """One failure that many sites share.

    a_day: how many the country has in a day. hours: shortest, usual, longest. members: by id of
    the scope, everyone whom it reaches. spread_s: within which its members feel it.
    """

    type: str
    nature: str
    cause: str
    scope: str
    a_day: float
    hours: tuple[float, float, float]
    members: Share
    build: Build
    metric: str | None = None
    spread_s: float = 40.0
    least: int = LEAST_MEMBERS

    def troubles(
        self,
        fault: str,
        name: str,
        members: Sequence[Premises],
        window: tuple[int, int],
        draw: Random,
    ) -> list[Trouble]:
        """What it is for the members of a group, each of whom feels it a moment after its start.

        One trouble; where its scope is the device, one for each device of a batch of some members.
        """
        if self.scope == "device":
            members = draw.sample(members, min(len(members), BATCH))
        hits = [self._hit(name, at, window, draw) for at in members]
        if self.scope != "device":
            whole = Hit()
            for hit in hits:
                whole.join(hit)
            scope = (self.scope, name.split(SHARED_BY)[0])
            return [trouble_of(self, fault, scope, whole, members, *window)]
        return [
            trouble_of(self, f"{fault}.{nth}", ("device", device), on_device(device, *mishaps),
                       [at], *window, more={"batch": fault})
            for nth, (at, hit) in enumerate(zip(members, hits, strict=True), 1)
            for device, mishaps in hit.mishaps.items()
        ]  # fmt: skip

    def _hit(self, name: str, at: Premises, window: tuple[int, int], draw: Random) -> Hit:
        start_ms, end_ms = window
        felt_ms = start_ms + round(draw.uniform(0, self.spread_s) * 1000)
        return self.build(name, at, felt_ms, end_ms, draw)

    def length_ms(self, draw: Random) -> int:
        """A length: most near the usual one, some far longer."""
        least, usual, most = self.hours
        return round(min(most, max(least, usual * draw.lognormvariate(0.0, 0.6))) * HOUR_MS)


def _by(key: Callable[[Premises], str], fits: Callable[[Premises], bool]) -> Share:
    def share(all_of: Mapping[str, Premises]) -> Members:
        found: dict[str, list[Premises]] = {}
        for at in all_of.values():
            if at.probes and key(at) and fits(at):
                found.setdefault(key(at), []).append(at)
        return found

    return share


def distinct(mode: GroupMode, all_of: Mapping[str, Premises]) -> Members:
    """The groups of a mode that are told from other groups by who is hit, if there are any.

    A province whose sites stand in one district, or use one provider, could as well be that.
    """
    found = {
        name: some for name, some in sorted(mode.members(all_of).items()) if len(some) >= mode.least
    }
    told = {name: some for name, some in found.items() if _is_distinct(mode, some, all_of)}
    return told or found


def _is_distinct(
    mode: GroupMode, members: Sequence[Premises], all_of: Mapping[str, Premises]
) -> bool:
    if mode.scope == "province":
        return len({_district(at) for at in members}) > 1
    if mode.scope == "district":
        province = _province(members[0])
        others = {_district(at) for at in all_of.values() if _province(at) == province}
        return len(others) > 1 and len({_provider(at) for at in members}) > 1
    if mode.scope == "provider":
        return len({_province(at) for at in members}) > 1
    return True


def _everyone(all_of: Mapping[str, Premises]) -> Members:
    return {"platform": list(all_of.values())}


def _terrestrial(at: Premises) -> bool:
    return bool(_cables(at)) and not at.link_type().startswith("vsat")


def _always(at: Premises) -> bool:
    return True


def _province(at: Premises) -> str:
    return at.site.province


def _district(at: Premises) -> str:
    return f"{at.site.province}/{at.site.district}"


def _provider(at: Premises) -> str:
    return at.site.uplinks[0].provider


def _provider_in_province(at: Premises) -> str:
    return f"{at.site.province}{SHARED_BY}{_provider(at)}"


def _is_mobile(at: Premises) -> bool:
    return at.link_type() in MOBILE


def _feeder(at: Premises) -> str:
    return at.site.feeder


def _agency(at: Premises) -> str:
    return at.site.agency


def _cables(at: Premises) -> tuple[int, ...]:
    """Uplinks that run over the province's fibre ring: all but satellites."""
    return tuple(
        number
        for number, uplink in enumerate(at.site.uplinks, 1)
        if not uplink.link_type.startswith("vsat")
    )


def _of_provider(at: Premises, provider: str) -> tuple[int, ...]:
    return tuple(n for n, uplink in enumerate(at.site.uplinks, 1) if uplink.provider == provider)


def _backbone(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return link_cut(at, _cables(at), start, end, draw, first=NAT)


def _trunk(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    provider = scope.split(SHARED_BY)[1]
    return link_cut(at, _of_provider(at, provider), start, end, draw, first=NAT)


def _mobile_core(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    """Only mobile links of the provider fail; its cables work."""
    mobile = tuple(n for n in _of_provider(at, scope) if at.link_type(n) in MOBILE)
    return link_cut(at, mobile, start, end, draw, first=ISP)


def _core(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return link_cut(at, _of_provider(at, scope), start, end, draw, first=ISP)


def _gateway_cut(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_probes(at, Mishap("dead", start, end, first=INT))


def _gateway_detour(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    more_ms = 40.0 + 90.0 * (start // 1000 % 97) / 97  # the same for all members
    return on_probes(at, Mishap("delay", start - start % 1000, end, more_ms, first=INT))


def _resolver(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_probes(at, Mishap("dns", start, end))


def _mains(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return power_cut(at, start, end, draw)


def _broker(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return platform_away(at, start, end)


def _credentials(scope: str, at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_probes(at, Mishap("refused", start, end))


GROUP_MODES: dict[str, GroupMode] = {
    mode.type: mode
    for mode in (
        GroupMode("backbone-cut", "connectivity", "backbone", "province", 0.15, (0.5, 3, 12),
                  _by(_province, _terrestrial), _backbone),
        GroupMode("district-cut", "connectivity", "backbone", "district", 0.15, (0.5, 3, 12),
                  _by(_district, _terrestrial), _backbone),
        GroupMode("provider-outage", "connectivity", "provider", "provider", 0.075, (0.3, 1.5, 6),
                  _by(_provider, _always), _core),
        GroupMode("trunk-cut", "connectivity", "backbone", "province", 0.1, (0.5, 2.5, 10),
                  _by(_provider_in_province, _terrestrial), _trunk),
        GroupMode("mobile-core-outage", "connectivity", "provider", "provider", 0.06,
                  (0.3, 1.5, 6), _by(_provider, _is_mobile), _mobile_core),
        GroupMode("international-cut", "connectivity", "international", "provider", 0.075,
                  (0.5, 2, 8), _by(_provider, _always), _gateway_cut, "int_loss_pct"),
        GroupMode("international-detour", "connectivity", "international", "provider", 0.075,
                  (1, 4, 12), _by(_provider, _always), _gateway_detour, "int_rtt_min_ms"),
        GroupMode("dns-failure", "connectivity", "dns", "provider", 0.105, (0.3, 1, 4),
                  _by(_provider, _always), _resolver, "dns_ms"),
        GroupMode("feeder-cut", "connectivity", "power", "feeder", 0.3, (0.2, 1.2, 6),
                  _by(_feeder, _always), _mains, spread_s=2.0),
        GroupMode("platform-failure", "connectivity", "platform", "platform", 0.09,
                  (0.15, 0.5, 2), _everyone, _broker, spread_s=1.0),
        GroupMode("credential-expiry", "security", "agent", "device", 0.06, (2, 8, 30),
                  _by(_agency, _always), _credentials, "cert_days_left", spread_s=30.0),
    )
}  # fmt: skip
