"""The supervisor: what ends is started again, what hangs is killed, order is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from runtime.supervisor import Supervisor
from tests.project.broker import wait_for

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_child_that_dies_is_started_again() -> None:
    """After kill -9 there is a new process, and the restart is counted."""
    supervisor = Supervisor()
    supervisor.start("sleeper", SLEEPER, {})
    child = supervisor.children["sleeper"]
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        supervisor.watch()
        return child.pid not in (None, first)

    wait_for(is_back, "a new process runs")
    assert child.restarts == 1
    supervisor.stop()


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    """A child that ends at once does not spin."""
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", f"open({str(starts)!r}, 'a').write('x')"]
    supervisor = Supervisor()
    supervisor.start("short", command, {})
    until = time.monotonic() + 2.2
    while time.monotonic() < until:
        supervisor.watch()
        time.sleep(0.01)
    supervisor.stop()
    assert 2 <= len(starts.read_text()) <= 3


def test_stopping_is_in_the_reverse_order_of_starting(tmp_path: Path) -> None:
    """The last started goes first, and each is waited for."""
    log = tmp_path / "log"
    program = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        f"    open({str(log)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"open({str(tmp_path)!r} + '/' + sys.argv[1], 'w')\n"
        "time.sleep(600)"
    )
    supervisor = Supervisor()
    for name in "abc":
        supervisor.start(name, [sys.executable, "-c", program, name], {})
        wait_for((tmp_path / name).exists, "it runs")
    supervisor.stop()
    assert log.read_text() == "cba"


def test_children_end_with_a_supervisor_that_is_killed() -> None:
    """Orphans would hold the ports and the data of the next start."""
    program = f"""
from runtime.supervisor import Supervisor
import time
supervisor = Supervisor()
supervisor.start("sleeper", {SLEEPER!r}, {{}})
print(supervisor.children["sleeper"].pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()

    def is_gone() -> bool:
        try:
            status = Path(f"/proc/{child}/stat").read_text()
        except FileNotFoundError:
            return True
        return status.rpartition(")")[2].split()[0] == "Z"  # ended; nobody waits for it here

    wait_for(is_gone, "the child ends")
