"""`fathom models`, `inspect` and `bench`, and what holds for the whole command."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.responses import JSONResponse

from fathom_client.command import inspect
from fathom_client.command.bench import percentile_ms
from fathom_client.version import VERSION
from tests.client.command.conftest import ROOT, Fathom
from tests.client.fake_server import FakeServer, problem


def test_models_are_a_line_each(fathom: Fathom, server: FakeServer) -> None:
    assert [line.split() for line in fathom("models").out.splitlines()] == [
        ["NAME", "STATE", "LICENCE", "DESCRIPTION"],
        ["demo", "(default)", "ready", "CC-BY-4.0", "A", "demo"],
        ["other", "ready", "not", "stated", "A", "demo"],
    ]
    [demo, _] = json.loads(fathom("models", "--json").out)
    assert (demo["name"], demo["default"], demo["labels"]) == ("demo", True, ["Fish", "Crab"])


def test_a_bench_counts_what_was_answered_and_what_was_not(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    command = ["bench", frames / "10.jpg", "--model", "demo", "-n", 20, "-c", 2]
    figures = json.loads(fathom(*command, "--json").out)
    assert (figures["requests"], figures["errors"], len(server.asked)) == (20, {}, 21)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
    assert figures["answers_per_s"] == pytest.approx(20 / figures["seconds"])
    assert server.most_at_once <= 2
    server.asked.clear()
    answered = JSONResponse({"model": "demo", "images": [{"detections": []}]})
    busy = problem(429, "overloaded", "x")
    server.first.extend([problem(503, "model-unavailable", "waking up", "0"), answered, busy, busy, busy])
    ended = fathom(*command)
    assert ended.status == 1
    assert "errors        3 (overloaded: 3)" in ended.out
    assert len(server.asked) == 22, "the first one, twice, and each of the others once"


def test_percentiles_are_latencies_that_were_measured() -> None:
    latencies_s = [at / 1000 for at in range(1, 101)]
    assert [percentile_ms(latencies_s, share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert (percentile_ms([], 0.5), percentile_ms([0.001], 0.5)) == (None, 1)


def test_inspect_is_the_servers_own_command(fathom: Fathom, tmp_path: Path) -> None:
    ended = fathom("inspect", tmp_path / "no-such.pt")
    assert ended.status == 1
    assert "no-such.pt" in ended.err
    assert fathom("inspect", "-x.pt").status == 2


def test_inspect_says_how_where_the_server_is_not(
    fathom: Fathom, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inspect, "SERVER", "a_server_that_is_not_installed")
    ended = fathom("inspect", tmp_path / "best.pt")
    assert (ended.status, f"make inspect FILE={tmp_path}/best.pt" in ended.err) == (1, True)


def test_a_server_that_is_not_there_has_a_status_of_its_own(fathom: Fathom, frames: Path) -> None:
    assert fathom("bench", frames / "10.jpg", "--model", "demo", "--url", "http://127.0.0.1:1").status == 3
    assert fathom("models", "--url", "http://127.0.0.1:1").status == 3


def test_a_missing_key_names_its_variable(fathom: Fathom, server: FakeServer, frames: Path) -> None:
    server.first.append(problem(401, "key-missing", "a key is needed"))
    ended = fathom("bench", frames / "10.jpg", "--model", "demo")
    assert (ended.status, "FATHOM_API_KEY" in ended.err) == (2, True)


def test_the_command_tells_of_itself(fathom: Fathom) -> None:
    assert fathom("--version").out == f"fathom {VERSION}\n"
    told = fathom("--help").out
    assert all(word in told for word in ("FATHOM_URL", "FATHOM_API_KEY", "predict", "bench", "exit status"))
    assert "coco-dataset" in fathom("predict", "--help").out
    assert fathom("predict").status == 2


def on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Standard error is a terminal; standard output is not."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fathom_client", *(str(argument) for argument in arguments)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "client"), "TERM": "xterm"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    return process.returncode, seen.decode()


@pytest.mark.parametrize(("more", "has_bar"), [(["-o", "{out}"], True), ([], False)])
def test_a_bar_is_shown_to_people_only(
    server: FakeServer, frames: Path, tmp_path: Path, more: list[str], has_bar: bool
) -> None:
    given = [one.format(out=tmp_path / "out.jsonl") for one in more]
    status, seen = on_a_terminal("predict", frames, "--model", "demo", *given)
    assert (status, "6/6" in seen) == (0, has_bar)
