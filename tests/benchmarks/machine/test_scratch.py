"""The folder of a run, and what is left after an interrupt: nothing."""

import subprocess
import sys
from pathlib import Path

import psutil

RUN = """
import time
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import Started
try:
    with run_folder() as folder:
        Started("sleeper", ["sleep", "600"], folder, {})
        print(folder, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    raise SystemExit(INTERRUPTED)
"""


def test_sigterm_ends_what_a_run_has_started_and_removes_its_folder() -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        assert folder.is_dir()
        [sleeper] = psutil.Process(run.pid).children()
        run.terminate()
        assert run.wait(30) == 130
    assert not folder.exists()
    assert not psutil.pid_exists(sleeper.pid)
