"""What it costs to wake a model, by part: asks sleeping models of a system that runs here, one after the other.

`python -m benchmarks.wake MODEL...` prints a table. Each replica logs what its parts cost; what is left of the time
until the answer is the process, Ray and Serve, and, where all places were taken, the time until one was free. With
`--bare configs/app.yaml` there is no system: each model is loaded in a process of its own.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import httpx

LOGS = Path("/tmp/ray/session_latest/logs/serve")
PARTS = ("fetch", "weights", "import", "graph", "first batches")
_LOADED = re.compile(r"model (\S+) is loaded: (.*)$", re.MULTILINE)
_PART = re.compile(r"([a-z ]+) ([0-9.]+) s")
_LOG_APPEARS_S = 10.0


def parts_in(log: str, model: str) -> dict[str, float] | None:
    """Seconds of each part, from the last line in which `model` says that it is loaded; None without one."""
    lines = [parts for name, parts in _LOADED.findall(log) if name == model]
    return {name.strip(): float(seconds) for name, seconds in _PART.findall(lines[-1])} if lines else None


def row(model: str, total_s: float, parts_s: Mapping[str, float]) -> str:
    """One line of the table."""
    rest_s = total_s - sum(parts_s.values())
    cells = [f"{seconds:.1f}" for seconds in (total_s, rest_s, *(parts_s.get(name, 0.0) for name in PARTS))]
    return f"| {model} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when a model was awake already, did not answer, or left no line in its log."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wake", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="name of a model that sleeps")
    parser.add_argument("--bare", type=Path, metavar="CONFIG", help="no system: load the models of this file alone")
    parser.add_argument("--url", default="http://localhost:8082", help="the HTTP door (%(default)s)")
    parser.add_argument("--logs", type=Path, default=LOGS, help="the logs of replicas (%(default)s)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each model (%(default)s)")
    options = parser.parse_args(arguments)
    say(sys.stdout, f"| model | s in all | process, Ray | {' | '.join(PARTS)} |")
    say(sys.stdout, "|---|" + "---|" * (len(PARTS) + 2))
    is_complete = True
    with httpx.Client(base_url=options.url, timeout=options.timeout, trust_env=False) as http:
        for model in options.models:
            try:
                found = (
                    load(options.bare, model, options.timeout) if options.bare else wake(http, model, options.logs)
                )
                say(sys.stdout, found)
            except (ValueError, httpx.HTTPError, subprocess.SubprocessError) as error:
                say(sys.stderr, f"{model}: {error}")
                is_complete = False
    return 0 if is_complete else 1


def say(stream: TextIO, line: str) -> None:
    """Writes one line now: models take their time."""
    stream.write(line + "\n")
    stream.flush()


def load(config: Path, model: str, timeout_s: float) -> str:
    """The row of one model that is loaded in a process of its own. Raises ValueError when it cannot be."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.wake_alone", str(config), model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    total_s = time.monotonic() - began_s
    parts_s = parts_in(done.stdout, model)
    if parts_s is None:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or "said nothing")
    return row(model, total_s, parts_s)


def wake(http: httpx.Client, model: str, logs: Path) -> str:
    """The row of one model. Raises ValueError, with the reason, when there is none, and what httpx raises."""
    known = {one["name"]: one["state"] for one in http.get("/v1/models").raise_for_status().json()["models"]}
    if known.get(model) != "asleep":
        raise ValueError(f"is {known.get(model, 'not known')}, and must be asleep")
    frame = {"file": ("frame.ppm", b"P6 64 64 255 " + bytes(64 * 64 * 3), "image/x-portable-pixmap")}
    began_s = time.monotonic()
    http.post("/predictor/", data={"model_type": model}, files=frame).raise_for_status()
    total_s = time.monotonic() - began_s
    while (parts_s := _logged(logs, model)) is None:
        if time.monotonic() - began_s > total_s + _LOG_APPEARS_S:
            raise ValueError(f"no log of it in {logs} says what its start cost")
        time.sleep(0.1)
    return row(model, total_s, parts_s)


def _logged(logs: Path, model: str) -> dict[str, float] | None:
    files = sorted(logs.glob(f"replica_{model}_*.log"), key=lambda file: file.stat().st_mtime)
    return parts_in(files[-1].read_text("utf-8", "replace"), model) if files else None


if __name__ == "__main__":
    sys.exit(main())
