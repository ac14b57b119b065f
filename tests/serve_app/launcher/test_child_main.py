"""The launcher's child and the signals that it gets."""

import os
import signal
import subprocess
import sys

from serve_app.launcher.child_main import interrupt_once

CHILD = """
import signal, time
from serve_app.launcher.child_main import interrupt_once

signal.signal(signal.SIGINT, interrupt_once)
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("draining", flush=True)
    input()
    print("drained", flush=True)
"""


def test_a_second_interrupt_does_not_cut_the_drain_short() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "draining\n"
        child.send_signal(signal.SIGINT)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "drained\n"
    assert child.returncode == 0


def test_who_is_started_during_a_stop_can_be_interrupted() -> None:
    """What a process ignores, its children ignore; the handler is meant for this process alone."""
    script = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    before = signal.signal(signal.SIGINT, interrupt_once)
    try:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == "False\n"
