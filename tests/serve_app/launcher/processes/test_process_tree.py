"""No process stays behind, and what keeps data is ended last."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[4]
ORPHAN_MAKER = """
import os, subprocess, sys
from serve_app.launcher.processes.process_tree import adopt_orphans, end_descendants
adopt_orphans()
# A daemon in a session of its own that ignores SIGTERM, whose parent ends at once.
daemon = (
    "import os, signal, sys, time\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
    "print(os.getpid(), flush=True)\\n"
    "time.sleep(600)\\n"
)
starter = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
with subprocess.Popen([sys.executable, "-c", starter, daemon], stdout=subprocess.PIPE, text=True) as child:
    print(child.stdout.readline().strip(), flush=True)
    child.wait()
print(len(end_descendants(0.5)), flush=True)
"""


def test_no_process_stays_behind_whatever_its_session(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN_MAKER], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    daemon, told = map(int, done.stdout.split())
    assert told == 1
    assert not psutil.pid_exists(daemon)


SAVER = """#!/bin/bash
# Writes what it has when it is told to end, which takes it a while, and notes whether the other was there then.
cd "$1"
trap 'kill -0 $2; echo other=$? > seen; read -t 2 <> pipe; echo all > saved; exit' TERM
echo > ready
while :; do read -t 1 <> pipe; done
"""
OTHER = """#!/bin/bash
# Does not end when it is told to.
cd "$1"
trap "" TERM
while :; do read -t 1 <> pipe; done
"""
SAVER_MAKER = """
import pathlib, subprocess, sys
from serve_app.launcher.processes.process_tree import end_descendants
folder = sys.argv[1]
other = subprocess.Popen([f"{folder}/other", folder])
subprocess.Popen([f"{folder}/saver", folder, str(other.pid)])
while not pathlib.Path(folder, "ready").exists():
    pass
print(sorted(end_descendants(0.3, "saver", 30.0)), flush=True)
"""


def test_what_keeps_data_is_ended_last_and_may_write_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, script in (("saver", SAVER), ("other", OTHER)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", SAVER_MAKER, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "['other', 'saver']"
    assert (tmp_path / "saved").read_text() == "all\n"
    assert (tmp_path / "seen").read_text() == "other=1\n", "what asks things of it has ended before"
