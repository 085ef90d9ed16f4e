"""What an unknown device says of itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS
from devices.newcomer import MOST_METRICS, said_in

AT_MS = 1_790_000_000_000
BIRTH = b'{"v":1,"state":"online","kind":"cold-chain","fw":"1.4.2","boot":"b","interval_s":300}'


def telemetry(*metrics: str) -> tuple[str, bytes, int]:
    values = ",".join(f'"{name}":1.5' for name in metrics)
    payload = f'{{"v":1,"boot":"b","seq":1,"ts":{AT_MS},"m":{{{values}}}}}'
    return "telemetry", payload.encode(), AT_MS


def test_a_birth_message_says_what_it_is() -> None:
    """Kind, interval and firmware come from the newest status that has them."""
    will = ("status", b'{"v":1,"state":"offline","boot":"b"}', AT_MS)
    older = BIRTH.replace(b"cold-chain", b"solar")
    said = said_in([will, ("status", BIRTH, AT_MS), ("status", older, AT_MS)])
    assert (said.kind, said.interval_s, said.firmware) == ("cold-chain", 300.0, "1.4.2")


def test_metrics_tell_which_kinds_it_may_be() -> None:
    """All metrics that were seen, in any format; the kinds that have every one of them."""
    senml = b'[{"bn":"x:","n":"nat_rtt_p50_ms","u":"ms","v":3}]'
    said = said_in([telemetry("dns_ms"), ("backfill", senml, AT_MS)])
    assert "dns_ms" in said.metrics
    assert said_in([telemetry("dns_ms", "nat_loss_pct")]).kinds == ["connectivity-probe"]
    assert said_in([telemetry("dns_ms", "speed_of_light")]).kinds == []
    assert said_in([]).kinds == []
    assert said_in([telemetry("dns_ms", "level_m")]).unknown_to("water-level") == ["dns_ms"]


def test_what_cannot_be_read_says_nothing() -> None:
    """A broken payload does not hide what the others say."""
    said = said_in([("telemetry", b"\xff{", AT_MS), ("status", b"{", AT_MS), telemetry("dns_ms")])
    assert said.metrics == ["dns_ms"]


def test_the_list_of_metrics_is_bounded() -> None:
    """A device may make up any number of names."""
    many = [telemetry(*(f"m{n}" for n in range(first, first + 200))) for first in (0, 200)]
    assert len(said_in(many).metrics) == MOST_METRICS


@given(st.lists(st.tuples(st.sampled_from(["telemetry", "backfill", "status"]), st.binary())))
def test_any_bytes_can_be_looked_at(messages: list[tuple[str, bytes]]) -> None:
    """Nothing that a stranger sends raises."""
    said = said_in([(channel, payload, AT_MS) for channel, payload in messages])
    assert set(said.kinds) <= set(KINDS)
