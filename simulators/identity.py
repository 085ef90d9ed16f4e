"""Who a simulated device is on the wire: its topics, its boot, its birth and its Will."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from devices.registry import Device, Site
from devices.topics import topic
from devices.wire import Status, encode_status
from simulators.world.chance import stream

FIRMWARE = "sim-1"
UPTIME_MS = (5_000, 900_000_000)  # how long devices have been up when a run starts


@dataclass(frozen=True, slots=True)
class Identity:
    """A device in one run. boot_ms: when it booted, milliseconds since 1970 UTC."""

    device: Device
    province: str
    boot: str
    boot_ms: int

    @staticmethod
    def of(device: Device, site: Site, *, seed: int, start_ms: int) -> Identity:
        """The identity that belongs to this seed and start: another run is another boot."""
        boot = blake2b(f"{seed}/{device.device}/{start_ms}".encode(), digest_size=4).hexdigest()
        boot_ms = start_ms - stream(seed, device.device, "boot").randrange(*UPTIME_MS)
        return Identity(device, site.province, boot, boot_ms)

    def uptime_s(self, at_ms: int) -> int:
        """Seconds since it booted."""
        return (at_ms - self.boot_ms) // 1000

    def topic(self, channel: str) -> str:
        """The topic of one of its channels."""
        return topic(self.province, self.device.device, channel)

    def birth(self, at_ms: int) -> bytes:
        """The status message that says it is on line."""
        return encode_status(
            Status(
                "online",
                boot=self.boot,
                kind=self.device.kind,
                fw=FIRMWARE,
                interval_s=self.device.interval_s,
                at_ms=at_ms,
                uptime_s=self.uptime_s(at_ms),
            )
        )

    def will(self) -> bytes:
        """The status message that says it is off line, also its Last Will."""
        return encode_status(Status("offline", boot=self.boot))
