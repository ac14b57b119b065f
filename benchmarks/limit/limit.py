"""The limit of this machine: our own runtime and decoding called in process, best over processes, threads and
batch size. Also says what the right answers are, and finds the sizes of the calibrated models.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.limit.pipeline import Rows
from benchmarks.models import BenchModel
from benchmarks.systems.contract import cores, server_environment

BATCHES = (1, 2, 4, 8)
BEST = 3
"""Setups that are measured again in later rounds: only the fastest can be the limit."""


@dataclass(frozen=True, slots=True)
class Crew:
    """processes: at work at once.  threads: of each, for one batch."""

    processes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to work: a crew, with batches of this many images, on the image in `file`."""

    crew: Crew
    batch: int
    file: Path


def crews() -> tuple[Crew, ...]:
    """One process on one thread, one on all cores, and two processes that share them."""
    return tuple(dict.fromkeys([Crew(1, 1), Crew(1, cores()), Crew(2, max(1, cores() // 2))]))


class LimitWorker:
    """One process of the limit."""

    def __init__(self, model: BenchModel, threads: int, log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.limit.worker", f"{threads}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **server_environment(model)},
            start_new_session=True,
        )

    def order(self, **what: Any) -> None:
        """Gives it the next order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Its next answer. Raises RuntimeError when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the limit has ended; see limit.log")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def crew_at_work(model: BenchModel, crew: Crew, folder: Path) -> Iterator[list[LimitWorker]]:
    """The workers of a crew, all loaded; none is left behind."""
    with ExitStack() as stack:
        log = stack.enter_context((folder / "limit.log").open("ab"))
        workers = []
        for _ in range(crew.processes):
            worker = LimitWorker(model, crew.threads, log)
            stack.callback(worker.close)
            workers.append(worker)
        for worker in workers:
            worker.answer()
        yield workers


def every_setup(images: Sequence[Path]) -> list[Setup]:
    """Everything that is tried in a first round."""
    return [Setup(crew, batch, file) for crew in crews() for file in images for batch in BATCHES]


def best_setups(setups: Sequence[Setup], rows: Sequence[Mapping[str, Any]]) -> list[Setup]:
    """What is worth measuring again: for each image the fastest few, and one image alone on one thread.

    rows: of `measure_limit` for `setups`, in the same order.
    """
    kept = []
    for file in dict.fromkeys(setup.file for setup in setups):
        mine = [(row["images_per_s"], setup) for setup, row in zip(setups, rows, strict=True) if setup.file == file]
        fastest = [setup for _, setup in sorted(mine, key=lambda pair: -pair[0])[:BEST]]
        alone = [setup for _, setup in mine if setup.crew == Crew(1, 1) and setup.batch == 1]
        kept += list(dict.fromkeys([*fastest, *alone]))
    return kept


def measure_limit(model: BenchModel, setups: Sequence[Setup], seconds: float, folder: Path) -> list[dict[str, Any]]:
    """One row for each setup, in order: images/s of the whole crew and p50 of a batch."""
    rows: dict[Setup, dict[str, Any]] = {}
    for crew in dict.fromkeys(setup.crew for setup in setups):
        with crew_at_work(model, crew, folder) as workers:
            for setup in (one for one in setups if one.crew == crew):
                for worker in workers:
                    worker.order(do="loop", file=f"{setup.file}", batch=setup.batch, seconds=seconds)
                answers = [worker.answer() for worker in workers]
                rows[setup] = {
                    "picture": setup.file.stem,  # the key that `--check-file` knows from earlier runs
                    **asdict(crew),
                    "batch": setup.batch,
                    "images_per_s": sum(one["images"] / one["seconds"] for one in answers),
                    "p50_ms": max(one["p50_ms"] for one in answers),
                }
    return [rows[setup] for setup in setups]


def expected_rows(model: BenchModel, images: Sequence[Path], folder: Path) -> dict[str, Rows]:
    """The right answer for each image, by its name."""
    with crew_at_work(model, Crew(1, 1), folder) as [worker]:
        rows = {}
        for file in images:
            worker.order(do="expect", file=f"{file}")
            rows[file.stem] = worker.answer()["rows"]
        return rows


def inference_cpu_ms(model: BenchModel, file: Path, seconds: float, folder: Path) -> float:
    """CPU milliseconds of inference alone for one image on one thread: as long as it takes on an idle core."""
    with crew_at_work(model, Crew(1, 1), folder) as [worker]:
        worker.order(do="infer", file=f"{file}", batch=1, seconds=seconds)
        return float(worker.answer()["cpu_ms"])
