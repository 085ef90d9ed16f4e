"""Payloads that no device should send: good ones changed by chance, and the worst by design."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import NamedTuple

from devices.kinds import KINDS
from devices.wire import (
    Message,
    Round,
    Status,
    encode,
    encode_batch,
    encode_senml_cbor,
    encode_senml_json,
    encode_status,
)
from devices.wire.message import MAX_BYTES

PROBE = KINDS["connectivity-probe"]
METRICS = ("dns_ms", "tcp_ms", "nat_rtt_p50_ms", "nat_loss_pct")
PIECES = [
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0.0",
    b"\x00",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xc0\xaf",
    b'"',
    b"{",
    b"[",
    b"]",
    b"}",
    b",",
    b":",
    b"\x9f\xff",
    b"\xfb\x7f\xf8",
    b"9" * 400,
    b"true",
    b'""',
    b"{}",
    b"-1",
    b"0.1",
    b"1e-400",
    b"9223372036854775808",
]
WORDS = [
    "",
    "\x00",
    "b\x00b",
    "\ud83d\ude00",
    "ສະບາຍດີ",
    "'; DROP TABLE t; --",
    "x" * 64,
    "x" * 65,
    "a b,c=d\\",
    "\u202e",
    "..",
    "%00",
]
CLOCKS_MS = [
    0,
    1,
    -1,
    1000,
    10 * 365 * 86_400_000,
    -10 * 365 * 86_400_000,
    7 * 3_600_000,
    -7 * 3_600_000,
    2**31,
    2**53,
    -(2**53),
    2**63 - 1,
    2**64,
    300_001,
]


class Fuzzed(NamedTuple):
    """One message to send."""

    topic: str
    payload: bytes


class Fuzz:
    """Makes messages of devices f0, f1, ...; the same `chance` gives the same ones."""

    def __init__(self, chance: random.Random, devices: int) -> None:
        self._chance = chance
        self._devices = devices
        self._made = 0
        self._families: list[Callable[[int], bytes]] = [
            self._mutated,
            self._mutated,
            self._mutated,
            self._flipping,
            self._number,
            self._deep,
            self._clock,
            self._word,
            self._any_bytes,
            self._many,
            self._any_tree,
        ]

    def make(self, now_ms: int, *, huge: float = 0.01) -> Fuzzed:
        """The next message, of a device whose clock is about right unless that is the fault.

        huge: share of messages of about 256 KiB.
        """
        self._made += 1
        if self._chance.random() < huge:
            return Fuzzed(self._topic(), self._huge(now_ms))
        payload = self._chance.choice(self._families)(now_ms)
        return Fuzzed(
            self._topic() if self._chance.random() < 0.9 else self._wrong_topic(), payload
        )

    def _topic(self) -> str:
        channel = self._chance.choice(("telemetry", "telemetry", "backfill", "status"))
        return f"gov/v1/LA-LP/f{self._chance.randrange(self._devices)}/{channel}"

    def _wrong_topic(self) -> str:
        return self._chance.choice(
            (
                "gov/v1/LA-VT/f0/telemetry",
                "gov/v1/LA-LP/nobody/telemetry",
                "gov/v1/LA-LP/F0/telemetry",
                "gov/v1/LA-LP/f0/receipt",
                "gov/v1/LA-LP/f0/telemetry/",
                "gov/v2/LA-LP/f0/telemetry",
                "gov/v1//f0/status",
                "gov/v1/LA-LP/" + "f" * 64 + "/status",
                "gov/v1/ສ/f0/backfill",
                "gov/v1/LA-LP/f0/telemetry\n",
            )
        )

    def _good(self, now_ms: int, rounds: int = 1) -> Message:
        chance = self._chance
        said = [
            Round(
                chance.randrange(10**6),
                now_ms - n * 1000 - chance.randrange(1000),
                {
                    name: round(chance.random() * 100, 3)
                    for name in METRICS[: chance.randrange(1, 5)]
                },
                {"link_active": "fibre"} if chance.random() < 0.2 else None,
            )
            for n in range(rounds)
        ]
        return Message(f"b{chance.randrange(3)}", said, [], 12.5)

    def _encoded(self, now_ms: int) -> bytes:
        message = self._good(now_ms, self._chance.choice((1, 1, 3)))
        return self._chance.choice(
            (
                lambda: encode(message),
                lambda: encode_batch(message),
                lambda: encode_senml_json(message, PROBE),
                lambda: encode_senml_cbor(message, PROBE),
                lambda: encode_status(
                    Status("online", "b1", PROBE.name, "1.4.2", 60.0, now_ms, 5.0)
                ),
            )
        )()

    def _mutated(self, now_ms: int) -> bytes:
        """A good payload with bytes changed, cut, doubled or replaced."""
        chance = self._chance
        payload = bytearray(self._encoded(now_ms))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(payload) + 1)
            piece = chance.choice(PIECES) if chance.random() < 0.5 else chance.randbytes(2)
            length = chance.choice((0, 0, 1, 5, len(payload)))
            payload[at : at + length] = piece
        return bytes(payload)

    def _flipping(self, now_ms: int) -> bytes:
        """One metric as integer, float, text, boolean, null, list in turn."""
        value = (7, 7.5, "7", True, None, [7], {"v": 7}, -0.0, 1e308, 5e-324)[self._made % 10]
        return self._native(now_ms, {"dns_ms": value})

    def _number(self, now_ms: int) -> bytes:
        digits = self._chance.choice(
            (
                b"9" * 310,
                b"1e309",
                b"-1e400",
                b"1e-999",
                b"0." + b"0" * 500,
                b"Infinity",
                b"nan",
                b"0x10",
                b"1_0",
                b"01",
                b"+1",
            )
        )
        return self._native(now_ms, {"dns_ms": "@"}).replace(b'"@"', digits)

    def _deep(self, now_ms: int) -> bytes:
        depth = self._chance.choice((7, 8, 9, 100, 20_000))
        opening, closing = self._chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"\x81", b"")))
        nested = opening * depth + b"1" + closing * depth
        return self._chance.choice(
            (nested, self._native(now_ms, {"dns_ms": "@"}).replace(b'"@"', nested))
        )

    def _clock(self, now_ms: int) -> bytes:
        """A clock at 1970, ten years ahead, off by a time zone, or beyond any calendar."""
        offset_ms = self._chance.choice(CLOCKS_MS)
        at_ms = offset_ms if self._chance.random() < 0.5 else now_ms + offset_ms
        if self._chance.random() < 0.5:
            return self._native(at_ms, {"dns_ms": 5.0})
        return json.dumps([{"bn": "urn:dev:", "n": "dns_ms", "t": at_ms / 1000, "v": 5}]).encode()

    def _word(self, now_ms: int) -> bytes:
        """Texts that other programs trip over, wherever a text may stand."""
        word = self._chance.choice(WORDS)
        tree = {"v": 1, "boot": "b1", "seq": 1, "ts": now_ms, "m": {"dns_ms": 1.0}}
        status = {"v": 1, "state": "online", "boot": word, "fw": word, word: word}
        return json.dumps(
            self._chance.choice(
                (
                    {**tree, "boot": word},
                    {**tree, "a": {word: word}},
                    {**tree, word: 1},
                    {**tree, "m": {"dns_ms": 1.0, word: 2.0}},
                    {**tree, "m": {word: word}},
                    status,
                    [
                        {"n": word, "v": 1},
                        {"n": "boot", "vs": word},
                        {"n": "dns_ms", "v": 1, "u": word},
                    ],
                )
            )
        ).encode()

    def _any_bytes(self, _now_ms: int) -> bytes:
        return self._chance.randbytes(self._chance.choice((0, 1, 3, 30, 300)))

    def _many(self, now_ms: int) -> bytes:
        count = self._chance.choice((255, 256, 257, 1500))
        return self._native(now_ms, {f"metric_{n}": n for n in range(count)})

    def _any_tree(self, _now_ms: int) -> bytes:
        return json.dumps(self._tree(4)).encode()

    def _tree(self, depth: int) -> object:
        chance = self._chance
        if depth == 0 or chance.random() < 0.3:
            return chance.choice((None, True, 0, -1, 1.5, 2**70, "v", "\x00", [], {}))
        if chance.random() < 0.4:
            return [self._tree(depth - 1) for _ in range(chance.randrange(4))]
        keys = [
            "v",
            "boot",
            "seq",
            "ts",
            "up",
            "m",
            "a",
            "r",
            "bn",
            "bt",
            "n",
            "u",
            "s",
            "t",
            "dns_ms",
        ]
        return {chance.choice(keys): self._tree(depth - 1) for _ in range(chance.randrange(6))}

    def _huge(self, now_ms: int) -> bytes:
        """About the largest that is allowed, and just beyond."""
        chance = self._chance
        size = MAX_BYTES + chance.choice((-1000, 0, 1))
        numbers = b"[" + b'{"n":"dns_ms","v":1},' * (size // 22)
        return chance.choice(
            (
                b"[" * size,
                b"x" * size,
                numbers[: size - 1] + b"]",
                self._native(now_ms, {"dns_ms": 1.0, "x" * (size - 200): 2.0}),
                b"\x9f" + struct.pack(">B", 0xA0) * (size - 2) + b"\xff",
                encode_batch(self._good(now_ms, 800)),
                b'{"v":1,"m":{' + b'"a":1,' * (size // 6),
            )
        )

    def _native(self, at_ms: float, values: dict[str, object]) -> bytes:
        seq = self._made
        return json.dumps({"v": 1, "boot": "b1", "seq": seq, "ts": at_ms, "m": values}).encode()
