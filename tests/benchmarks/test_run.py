"""A whole run, as its users start it: it writes what it found, and an interrupt leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.benchmarks.command_lines import ROOT, command_of


@contextmanager
def bench(tmp_path: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The bench as its users run it."""
    command = [sys.executable, "-m", "benchmarks", "--results", f"{tmp_path}", "--quick", "--extras", ""]
    running = subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": f"{tmp_path}"},
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.terminate()
        running.communicate(timeout=60)


def test_a_whole_run_writes_what_it_found(tmp_path: Path) -> None:
    with bench(tmp_path, "--systems", "handwritten-1", "--cases", "m0-64px-c8", "--seconds", "0.5") as running:
        told, _ = running.communicate(timeout=90)
    assert running.returncode == 0, told
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    document = json.loads((folder / "results.json").read_text("utf-8"))
    [sample] = document["samples"]
    assert sample["figures"]["statuses"].keys() == {"200"}
    assert sample["figures"]["requests_per_s"] > 1
    assert sample["cpu_ms"]["server"] > 0
    assert "m0-64px-c8" in (folder / "report.md").read_text("utf-8")


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    until_s = time.monotonic() + 60
    servers: list[psutil.Process] = []
    with bench(tmp_path, "--systems", "legacy", "--cases", "m0-64px-c8", "--seconds", "60") as running:
        while not any("legacy_web" in command_of(process) for process in servers):
            assert time.monotonic() < until_s
            assert running.poll() is None
            servers = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert [process for process in servers if process.is_running()] == []
    assert not list(tmp_path.glob("fb-*"))
