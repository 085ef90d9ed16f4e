"""What the broker lets us do, what it keeps, and what it lets others do: tried, not read."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ingest.broker_session import RefusedError, Session, session
from ingest.receiver import Broker
from storage.checks import Check

LARGEST_BYTES = 256 * 1024  # of a payload, by the wire contract
QUEUED = 1500  # Mosquitto keeps 1,000 unless it is told otherwise
DROPPED = "$SYS/broker/publish/messages/dropped"
DROPPED_WITHIN_S = 12.0  # Mosquitto publishes it every 10 s
NOWHERE = "XX-XX"  # a province that there is not


@dataclass(frozen=True)
class Login:
    """A device's name at the broker, and the file with its password."""

    device: str
    password_file: str


def check_broker(broker: Broker, device: Login | None) -> Iterator[Check]:
    """Every check of the broker; device: as whom to try to write in another one's name."""
    ours = replace(broker, client_id=f"doctor-{secrets.token_hex(4)}")
    where = f"{broker.host}:{broker.port}"
    name = broker.username or "nobody"
    try:
        with session(ours) as visit:
            yield Check("ok", "broker", f"{where} lets us in as {name}")
            visit.subscribe(DROPPED)
            yield _large(visit)
            yield _queue(ours)
            yield _spoofing(ours, visit, device)
            yield _anonymous(broker)
            yield _dropped(visit)
    except RefusedError as exc:
        yield Check("wrong", "broker", f"{where} does not let us in as {name}: {exc}; check"
                    " mqtt.username and mqtt.password_file, and that the broker has read its"
                    " passwords again (HUP)")  # fmt: skip
    except OSError as exc:
        yield Check("wrong", "broker", f"{where} does not answer: {exc}; start it, or correct"
                    " mqtt.host and mqtt.port")  # fmt: skip


def _large(visit: Session) -> Check:
    mine = _topic("receipt")
    payload = secrets.token_bytes(LARGEST_BYTES)
    visit.subscribe(mine)
    visit.publish(mine, payload)
    if visit.wait_for(lambda: (mine, payload) in visit.received):
        return Check("ok", "broker: payloads", "256 KiB come back as they were sent")
    return Check("wrong", "broker: payloads", "256 KiB did not come back: set message_size_limit"
                 " 1048576, and let our user write gov/v1/+/+/receipt and read gov/v1/#"
                 )  # fmt: skip


def _queue(broker: Broker) -> Check:
    """More than the usual limit for a session that is away, and then it comes back."""
    away = replace(broker, client_id=f"{broker.client_id}-away")
    mine = _topic("receipt")
    with session(away, clean=False) as visit:
        visit.subscribe(mine)
    with session(broker_like(broker, "sender")) as sender:
        sender.publish(mine, *[b"%d" % n for n in range(QUEUED)])
    with session(away, clean=False) as visit:
        visit.wait_for(lambda: len(visit.received) >= QUEUED)
        kept = len({payload for _, payload in visit.received})
    with session(away, clean=True):
        pass  # the broker forgets the session
    if kept == QUEUED:
        return Check("ok", "broker: queue", f"{QUEUED} messages for a session that was away are"
                     " kept; the limit itself cannot be read: see max_queued_messages in"
                     " deploy/mosquitto")  # fmt: skip
    return Check("wrong", "broker: queue", f"{kept} of {QUEUED} messages for a session that was"
                 " away were kept, the rest was dropped without a word: set max_queued_messages"
                 " 5000000 and persistence true, as in deploy/mosquitto")  # fmt: skip


def _spoofing(broker: Broker, visit: Session, device: Login | None) -> Check:
    """As a device, write telemetry of another one; a message of its own shows when that is over."""
    what = "broker: spoofing"
    if device is None:
        return Check("warning", what, "not tried: give --device ID --password-file FILE of a"
                     " registered device")  # fmt: skip
    victim = _topic("telemetry")
    own = f"gov/v1/{NOWHERE}/{device.device}/doctor"
    visit.subscribe(victim)
    visit.subscribe(own)
    mark = secrets.token_hex(8).encode()
    as_device = replace(
        broker_like(broker, "device"), username=device.device, password_file=device.password_file
    )
    try:
        with session(as_device) as thief:
            thief.publish(victim, b'{"tried by":"govsense doctor"}')
            thief.publish(own, mark)
    except RefusedError as exc:
        return Check("wrong", what, f"not tried, the broker does not let {device.device} in: {exc};"
                     " scripts/add-device-credentials makes its password")  # fmt: skip
    is_over = visit.wait_for(lambda: (own, mark) in visit.received)
    if any(name == victim for name, _ in visit.received):
        return Check("wrong", what, f"{device.device} can write in another device's name: use"
                     " acl_file with `pattern write gov/v1/+/%u/#`, as in deploy/mosquitto"
                     )  # fmt: skip
    if not is_over:
        return Check("warning", what, f"unknown: what {device.device} writes below its own name"
                     " did not arrive either; let it write gov/v1/+/%u/#")  # fmt: skip
    return Check("ok", what, f"what {device.device} writes in another device's name goes nowhere")


def _anonymous(broker: Broker) -> Check:
    what = "broker: anonymous"
    nobody = replace(broker_like(broker, "nobody"), username="", password_file="")
    try:
        with session(nobody):
            pass
    except RefusedError:
        return Check("ok", what, "without a name nobody is let in")
    if not broker.username and is_loopback(broker.host):
        return Check("warning", what, "anybody on this machine may publish: for trying out only;"
                     " see deploy/mosquitto for a broker with logins")  # fmt: skip
    return Check("wrong", what, "anybody is let in without a name: set allow_anonymous false and"
                 " password_file, as in deploy/mosquitto")  # fmt: skip


def _dropped(visit: Session) -> Check:
    what = "broker: dropped"

    def counts() -> list[int]:
        return [int(payload) for name, payload in visit.received if name == DROPPED]

    if not visit.wait_for(lambda: bool(counts()), DROPPED_WITHIN_S):
        return Check("warning", what, f"{DROPPED} cannot be read: let our user read it, and watch"
                     " it")  # fmt: skip
    if counts()[-1]:
        return Check("warning", what, f"the broker has dropped {counts()[-1]} messages since its"
                     " start: start ingest where it is down, raise max_queued_messages and"
                     " max_queued_bytes")  # fmt: skip
    return Check("ok", what, "the broker has dropped no message since its start")


def _topic(channel: str) -> str:
    """One of a device that there is not."""
    return f"gov/v1/{NOWHERE}/doctor-{secrets.token_hex(4)}/{channel}"


def broker_like(broker: Broker, name: str) -> Broker:
    """The same with a client identifier of its own."""
    return replace(broker, client_id=f"{broker.client_id}-{name}")


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
