"""A real Chromium without a screen, driven over its DevTools pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WITHIN_S = 20.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--no-proxy-server",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One tab. Commands and answers are JSON texts that end in NUL (Chrome DevTools Protocol)."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._count = 0
        self._session = ""
        self.complaints: list[str] = []  # what the page wrote to its console, and its exceptions
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str, *, width: int = 1100, height: int = 1400) -> None:
        """Load a page in a window of this size, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the page again; the one before is gone when this returns."""
        self.value("document.from_before = true")
        self.call("Page.reload")
        self.wait("!document.from_before")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression holds; fails the test after the deadline."""
        deadline = time.monotonic() + WITHIN_S
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                pytest.fail(f"the page never came to {expression}: {self.complaints}")
            time.sleep(0.02)

    def screenshot(self, file: Path) -> None:
        """Write a PNG of the window."""
        shot = self.call("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(shot))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has gone"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        if message.get("method") in kinds:
            self.complaints.append(json.dumps(message["params"])[:500])
        return message


@contextmanager
def browser_in(profile: Path) -> Iterator[Browser]:
    """A browser with a new profile. Skips the test where there is none, fails it in CI."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()

    command = f'exec "$@" 3<&{their_in} 4>&{their_out}'
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", program, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(their_in)
    os.close(their_out)
    try:
        yield Browser(our_out, our_in)
    finally:
        process.kill()
        process.wait()
        os.close(our_out)
        os.close(our_in)
