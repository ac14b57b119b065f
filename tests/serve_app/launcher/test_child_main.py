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


PARENT = """
import subprocess, sys, threading

child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=sys.stdin)
for _ in range(16):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
child.wait()
"""

ORPHAN = f"""
import os
from serve_app.launcher.processes.process_tree import stop_with_parent

stop_with_parent(os.getppid())
{CHILD}
"""


def test_the_child_of_a_parent_with_many_threads_that_is_killed_drains_whole() -> None:
    """Linux interrupts it several times: once for each thread of the parent that it is handed to."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        parent.wait()
        assert parent.stdout.readline() == "draining\n"
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "drained\n"


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
