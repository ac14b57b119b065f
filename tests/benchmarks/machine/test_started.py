"""Processes that the bench starts: all found, all ended, and told with their last words."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.machine.started import Started, StartError

# A parent that leaves behind a child in a session of its own, and ends when it is interrupted.
LEAVES_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("child", child.pid, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""


def test_a_child_in_its_own_session_is_found_and_ended(tmp_path: Path) -> None:
    started = Started("parent", [sys.executable, "-c", LEAVES_A_CHILD], tmp_path, {})
    try:
        started.wait_until(lambda: "child" in started.last_words(), 10.0)
        child = psutil.Process(int(started.last_words().split()[1]))
        assert child.pid in {process.pid for process in started.processes()}
    finally:
        started.stop()
    assert not child.is_running()
    assert started.processes() == []


def test_no_python_runs_between_a_start_and_its_return(tmp_path: Path) -> None:
    hooks_run: list[str] = []
    os.register_at_fork(after_in_parent=lambda: hooks_run.append("an interrupt here would be lost"))
    Started("any", [sys.executable, "-c", ""], tmp_path, {}).stop()
    assert hooks_run == []


def test_a_system_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    started = Started("broken", [sys.executable, "-c", "raise SystemExit('no weights')"], tmp_path, {})
    try:
        with pytest.raises(StartError, match="no weights"):
            started.wait_until(lambda: False, 10.0)
    finally:
        started.stop()
