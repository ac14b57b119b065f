"""The launcher's log is bounded while another process writes to it, and an earlier run's is kept."""

import subprocess
import sys
from pathlib import Path

from serve_app.launcher.processes.log_file import earlier, keep_small, open_log

MAX_BYTES = 10_000
WRITER = "import sys\nfor line in sys.stdin:\n    print(line.strip() * 1000, flush=True)\n"


def test_a_start_begins_a_new_log_and_keeps_the_earlier_one(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    for words in (b"first run", b"second run"):
        with open_log(log) as output:
            output.write(words)
    assert log.read_bytes() == b"second run"
    assert earlier(log).read_bytes() == b"first run"


def test_a_log_that_another_process_writes_stays_small_and_loses_no_new_line(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    with (
        open_log(log) as output,
        subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=output, text=True) as writer,
    ):
        assert writer.stdin is not None
        for number in range(30):
            writer.stdin.write(f"{number % 10}\n")
        writer.stdin.close()
        writer.wait(20)
        assert log.stat().st_size > MAX_BYTES
        keep_small(log, MAX_BYTES)
        assert log.stat().st_size == 0
        output.write(b"after\n")
        output.flush()
    assert log.read_bytes() == b"after\n", "written at the new end, not where the old one was"
    assert earlier(log).read_bytes().count(b"\n") == 30
    keep_small(log, MAX_BYTES)
    assert log.read_bytes() == b"after\n"


def test_the_launcher_bounds_the_log_while_it_waits(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    code = f"print('x' * {2 * MAX_BYTES}, flush=True)"
    with_a_log = [sys.executable, "-c", DRIVER, str(log), str(MAX_BYTES), code]
    done = subprocess.run(
        with_a_log, cwd=Path(__file__).parents[4], timeout=60, check=True, capture_output=True, text=True
    )
    assert done.stdout == "ended\n"
    assert log.stat().st_size == 0
    assert earlier(log).stat().st_size == 2 * MAX_BYTES + 1


DRIVER = """
import os, sys, time
from pathlib import Path
from serve_app.launcher.processes.child_process import SystemProcess
process = SystemProcess([sys.executable, "-c", sys.argv[3]], Path(sys.argv[1]), os.environ, int(sys.argv[2]))
ends_at_s = time.monotonic() + 30
while not process.has_ended:
    assert time.monotonic() < ends_at_s
print("ended")
"""
"""A program of its own, as the launcher adopts and reaps every orphan of its process."""
