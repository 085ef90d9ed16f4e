"""What the probe measures, against real servers on the loopback interface."""

from __future__ import annotations

import math
import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS
from devices.probe.config import ProbeConfig, Target
from devices.probe.icmp import icmp_socket
from devices.probe.measure import as_reported, measure
from devices.probe.measure_dns import measure_dns
from devices.probe.measure_http import measure_http
from devices.probe.measure_rtt import Echoes, measure_rtt, nearest_rank
from tests.probe import servers

LOOPBACK = "127.0.0.1"
RTT = st.one_of(st.none(), st.floats(0.05, 3000))


@given(st.lists(RTT, min_size=1, max_size=40))
def test_a_round_follows_its_definitions(rtt_ms: list[float | None]) -> None:
    """Counts, loss, order of quantiles, and jitter over adjacent received packets only."""
    values = Echoes("icmp", rtt_ms, 0).values("nat")
    came = [rtt for rtt in rtt_ms if rtt is not None]
    assert values["nat_sent"] == len(rtt_ms)
    assert values["nat_rcvd"] == len(came)
    assert values["nat_loss_pct"] == pytest.approx(100 * (1 - len(came) / len(rtt_ms)))
    steps = [
        abs(rtt_ms[i] - rtt_ms[i - 1])  # type: ignore[operator]
        for i in range(1, len(rtt_ms))
        if rtt_ms[i] is not None and rtt_ms[i - 1] is not None
    ]
    if steps:
        assert values["nat_jitter_ms"] == pytest.approx(sum(steps) / len(steps))
    else:
        assert values["nat_jitter_ms"] is None
    quantiles = [values[f"nat_rtt_{part}_ms"] for part in ("min", "p50", "p95", "max")]
    if came:
        assert quantiles == sorted(quantiles, key=lambda q: q or 0)
        assert (quantiles[0], quantiles[-1]) == (min(came), max(came))
        if len(came) < 20:
            assert quantiles[2] == quantiles[3]
    else:
        assert quantiles == [None] * 4


def test_nothing_sent_is_not_loss() -> None:
    """Without a packet sent, loss and times are undefined, not 0 and not 100."""
    values = Echoes("none").values("gw")
    assert values["gw_sent"] == values["gw_rcvd"] == 0
    assert {name for name, value in values.items() if value is not None} == {"gw_sent", "gw_rcvd"}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_nearest_rank(values: list[float], share: float) -> None:
    """A nearest-rank quantile is a value that was seen, and covers its share of them."""
    values.sort()
    quantile = nearest_rank(values, share)
    assert quantile in values
    below = sum(value <= quantile for value in values)
    assert below >= math.ceil(share * len(values))


@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_icmp_where_it_is_allowed(address: str) -> None:
    """The loopback answers every echo at once, over IPv4 and IPv6."""
    if icmp_socket(socket.AF_INET) is None:
        pytest.skip("this process may not use ICMP")
    echoes = measure_rtt(Target(address), packets=5, timeout_s=1)
    values = echoes.values("gw")
    assert echoes.method == "icmp"
    assert (values["gw_sent"], values["gw_rcvd"], values["gw_dup"]) == (5, 5, 0)
    assert 0.05 <= (values["gw_rtt_max_ms"] or 0) < 500


def test_two_icmp_rounds_at_once_do_not_hear_each_other() -> None:
    """Rounds to one target at the same time have no duplicates and no loss."""
    targets = {tier: Target(LOOPBACK) for tier in ("isp", "nat", "int")}
    measured = measure(ProbeConfig("p", "LA-VT", targets=targets, packets=8))
    for tier in targets:
        assert measured.values[f"{tier}_rcvd"] == 8
        assert measured.values.get(f"{tier}_dup", 0) == 0


def test_tcp_connect_times_a_listener_and_a_refusal() -> None:
    """A connect that is accepted and one that is refused are both answers of the target."""
    with servers.listener() as open_port:
        for port in (open_port, servers.closed_port()):
            echoes = measure_rtt(Target(LOOPBACK, port, tcp_only=True), packets=4, timeout_s=1)
            assert echoes.method == "tcp"
            assert echoes.values("nat")["nat_rcvd"] == 4
            assert echoes.values("nat")["nat_dup"] is None


def test_a_target_that_does_not_answer_is_loss_within_the_timeout() -> None:
    """Dropped connects count as lost, have no time, and a round takes pace plus one timeout."""
    with servers.deaf_listener() as port:
        began_s = time.monotonic()
        target = Target(LOOPBACK, port, tcp_only=True)
        values = measure_rtt(target, packets=4, timeout_s=0.3).values("nat")
        took_s = time.monotonic() - began_s
    assert (values["nat_sent"], values["nat_rcvd"], values["nat_loss_pct"]) == (4, 0, 100)
    assert values["nat_rtt_p50_ms"] is None
    assert took_s < 1


def test_a_name_that_does_not_exist_sends_nothing() -> None:
    """A target whose name cannot be resolved is a round with nothing sent."""
    echoes = measure_rtt(Target("does-not-exist.invalid"), packets=4, timeout_s=0.3)
    assert echoes.values("nat")["nat_sent"] == 0


@pytest.mark.parametrize("rcode", [0, 2, 3, 5])
def test_dns_reports_time_and_rcode(rcode: int) -> None:
    """Any answer of the resolver has a time and its code, for a name never asked before."""
    asked: list[str] = []
    with servers.resolver(rcode, asked) as port:
        answers = [measure_dns(f"{LOOPBACK}:{port}", "probe.test", timeout_s=2) for _ in range(3)]
    assert [answer.rcode for answer in answers] == [rcode] * 3
    assert all(0 < (answer.ms or 0) < 2000 for answer in answers)
    assert len(set(asked)) == 3
    assert all(name.endswith(".probe.test.") for name in asked)


def test_dns_without_an_answer_is_null() -> None:
    """A resolver that does not answer gives neither time nor code."""
    answer = measure_dns(f"{LOOPBACK}:{servers.closed_port()}", "probe.test", timeout_s=0.2)
    assert answer.values() == {"dns_ms": None, "dns_rcode": None}


def test_http_phases_add_up() -> None:
    """Connect, first byte and total are measured; the parts are no longer than the whole."""

    def slow(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.1)  # the server's own work: what ttfb_ms is to show
        servers.say(200, b"Welcome to the portal")(request)

    with servers.page(slow) as port:
        values = measure_http(f"http://{LOOPBACK}:{port}/", "Welcome", timeout_s=3)
    assert values["http_status"] == 200
    assert values["content_ok"] is True
    assert values["tls_ms"] is None
    parts = float(values["tcp_ms"] or 0) + float(values["ttfb_ms"] or 0)
    assert 60 <= float(values["ttfb_ms"] or 0) < 1000
    assert parts <= float(values["http_total_ms"] or 0) + 1


@pytest.mark.parametrize(
    ("answer", "status", "content_ok"),
    [
        (servers.say(302, b"", Location="http://127.0.0.1:1/login"), 302, False),
        (servers.say(200, b"Please pay your bill"), 200, False),
        (servers.say(511, b"Log in"), 511, False),
        (servers.say(500, b"Welcome anyway"), 500, True),
    ],
)
def test_http_tells_a_captive_portal(answer: object, status: int, content_ok: bool) -> None:
    """Redirects are not followed; another body than expected is not content_ok."""
    with servers.page(answer) as port:  # type: ignore[arg-type]
        values = measure_http(f"http://{LOOPBACK}:{port}/", "Welcome", timeout_s=3)
    assert (values["http_status"], values["content_ok"]) == (status, content_ok)


def test_http_without_an_expected_text_does_not_judge_content() -> None:
    """content_ok is null where no text is expected, and where there is no page."""
    with servers.page(servers.say(200, b"x")) as port:
        values = measure_http(f"http://{LOOPBACK}:{port}/", "", timeout_s=3)
        assert (values["http_status"], values["content_ok"]) == (200, None)
    gone = measure_http(f"http://{LOOPBACK}:{servers.closed_port()}/", "x", timeout_s=1)
    assert {name for name, value in gone.items() if value is not None} == set()


def test_a_server_that_stalls_has_no_status() -> None:
    """A connection that is accepted and never answered has tcp_ms and nothing after it."""
    with servers.listener() as port:
        values = measure_http(f"http://{LOOPBACK}:{port}/", "x", timeout_s=0.3)
    assert (values["tcp_ms"] or 0) > 0
    assert values["http_status"] is values["ttfb_ms"] is values.get("http_total_ms") is None


def test_https_times_the_handshake_and_reads_the_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate gives tls_ms and its days; an unknown one gives no status."""
    context, trusted = servers.certificate(tmp_path, days=40)
    with servers.page(servers.say(200, b"Welcome"), context) as port:
        unknown = measure_http(f"https://{LOOPBACK}:{port}/", "Welcome", timeout_s=3)
        assert unknown["http_status"] is None
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        values = measure_http(f"https://{LOOPBACK}:{port}/", "Welcome", timeout_s=3)
    assert values["http_status"] == 200
    assert values["cert_days_left"] == 39
    tls_ms, total_ms = float(values["tls_ms"] or 0), float(values["http_total_ms"] or 0)
    assert 1000 * servers.HANDSHAKE_S <= tls_ms <= total_ms
    assert float(values["tcp_ms"] or 0) + float(values["ttfb_ms"] or 0) <= total_ms - tls_ms + 1


def test_a_whole_round_is_possible_by_the_table() -> None:
    """Every value of a real round is a known metric inside its hard range; nulls are absent."""
    asked: list[str] = []
    with servers.resolver(0, asked) as dns_port, servers.page(servers.say(200, b"ok")) as http_port:
        config = ProbeConfig(
            "p",
            "LA-VT",
            timeout_s=1,
            packets=3,
            targets={"gw": Target(LOOPBACK), "nat": Target(LOOPBACK, http_port, tcp_only=True)},
            dns_server=f"{LOOPBACK}:{dns_port}",
            dns_zone="probe.test",
            http_url=f"http://{LOOPBACK}:{http_port}/",
            http_expect="ok",
        )
        measured = measure(config)
    metrics = KINDS["connectivity-probe"].metrics
    for name, value in measured.values.items():
        assert metrics[name].hard_min <= value <= metrics[name].hard_max
    assert measured.attributes["nat_by"] == "tcp"
    assert {"gw_rtt_p50_ms", "nat_loss_pct", "dns_ms", "http_status", "content_ok", "os_uptime_s",
            "agent_uptime_s"} <= set(measured.values)  # fmt: skip
    assert not [name for name in measured.values if name.startswith(("isp_", "int_"))]
    assert measured.values["agent_uptime_s"] <= measured.values["os_uptime_s"] + 5


def test_values_are_in_steps_of_their_resolution() -> None:
    """Rounding follows the table; booleans stay booleans; what is null is left out."""
    reported = as_reported(
        {
            "nat_rtt_p50_ms": 1.23456,
            "dns_ms": 2.36,
            "gw_sent": 10.0,
            "content_ok": 1,
            "tls_ms": None,
        }
    )
    assert reported == {"nat_rtt_p50_ms": 1.23, "dns_ms": 2.4, "gw_sent": 10, "content_ok": True}
    assert reported["content_ok"] is True
