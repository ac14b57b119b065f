"""What a signal does to the launcher itself, whichever thread it meets. No Ray: the cluster to join is not there."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.serve_app.launcher.blocks import model_block
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving

ROOT = Path(__file__).parents[3]
WITHIN_S = 60.0
STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard(silent=True)) as running:
        running.run(model_block("first"))
        yield running


@contextmanager
def launched(folder: Path, dashboard: FakeDashboard, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "FATHOM_DATA_DIR": str(folder / "data"),
        "FATHOM_DASHBOARD_PORT": dashboard.url.rsplit(":", 1)[1],
        "FATHOM_STOP_GRACE_S": "1",
        "RAY_ADDRESS": "127.0.0.1:1",
        "RAY_AUTH_MODE": "disabled",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "serve_app.launch", *arguments],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A run under nohup ignores hang-ups, and the launcher would inherit that, as it should.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        try:
            assert dashboard.asked.wait(WITHIN_S), "the launcher does not ask the dashboard"
            yield process
        finally:
            process.kill()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "system.yaml"
    file.write_text(yaml.safe_dump({"applications": [model_block("first")]}))
    return file


def blocked_signals(pid: int) -> list[set[signal.Signals]]:
    """Of each thread of the process, those of STOPS that wait until they are fetched."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        match = re.search(r"^SigBlk:\s*([0-9a-f]+)$", (thread / "status").read_text(), re.MULTILINE)
        assert match is not None
        found.append({one for one in STOPS if int(match[1], 16) >> (one - 1) & 1})
    return found


def test_every_thread_of_the_launcher_blocks_the_signals_that_stop_it(
    tmp_path: Path, dashboard: FakeDashboard, config: Path
) -> None:
    with launched(tmp_path, dashboard, "serve", str(config)) as process:
        blocked = blocked_signals(process.pid)
        assert len(blocked) > 1, "with one thread there is nothing to see"
        assert blocked == [STOPS] * len(blocked)


@pytest.mark.parametrize("order", sorted(STOPS))
def test_a_signal_that_comes_while_the_dashboard_is_asked_stops_in_order(
    tmp_path: Path, dashboard: FakeDashboard, config: Path, order: signal.Signals
) -> None:
    with launched(tmp_path, dashboard, "serve", str(config)) as process:
        process.send_signal(order)
        said, _ = process.communicate(timeout=WITHIN_S)
    assert "stopping: what is in flight is finished first" in said
    assert process.returncode in (0, 1)


def test_an_interrupt_while_the_nodes_are_looked_at_ends_at_once(tmp_path: Path, config: Path) -> None:
    with serving(FakeDashboard(silent=True, silent_jobs=True)) as dashboard:
        dashboard.run(model_block("first"))
        with launched(tmp_path, dashboard, "serve", str(config)) as process:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130, said


def test_other_commands_end_at_once_and_say_so_when_interrupted(tmp_path: Path, dashboard: FakeDashboard) -> None:
    with launched(tmp_path, dashboard, "status") as process:
        started_at_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert said == "interrupted; what the running system was already asked for goes on there: see `make status`\n"
    assert time.monotonic() - started_at_s < 5
