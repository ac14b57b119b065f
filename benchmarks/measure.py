"""One case on one running system: its first answer checked, then load, then what it used. Knows no rounds."""

import asyncio
import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cases import Case
from benchmarks.load.ask import ask
from benchmarks.load.batches import Batches, batches_with, mean_batch, read_batches
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.correctness import legacy_rows_in, mistakes
from benchmarks.load.free_ports import LOOPBACK
from benchmarks.load.http_wire import raw_request, upload_request
from benchmarks.load.load import Target, Window
from benchmarks.load.open_loop import open_loop
from benchmarks.load.tally import LoadFigures, Tally
from benchmarks.machine.usage import MachineTime, cpu_by_role
from benchmarks.sample_images import SampleImage
from benchmarks.systems.contract import Running

FIRST_ANSWER_S = 60.0


class WrongAnswer(Exception):
    """A system answers, but not what it should: its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class CaseLoad:
    """rate_per_s: of an open loop; None for a closed one.  seed: of the arrivals.  counts_batches: whether to wait
    afterwards for the counters of batches, which lag behind by seconds."""

    case: Case
    window: Window
    rate_per_s: float | None = None
    seed: int = 0
    counts_batches: bool = True


def check_first_answer(running: Running, image: SampleImage, expected: Sequence[Any]) -> None:
    """Raises WrongAnswer unless the system finds what our pipeline finds."""
    answer = ask(running.port, _request(running, image), FIRST_ANSWER_S)
    if answer is None or answer.status != 200:
        found = "no answer" if answer is None else f"status {answer.status}: {answer.body[:300]!r}"
        raise WrongAnswer(f"{image.name}: {found}")
    wrong = mistakes(expected, legacy_rows_in(json.loads(answer.body)))
    if wrong:
        raise WrongAnswer(f"{image.name}: {'; '.join(wrong[:3])} ({len(wrong)} mistakes)")


def measure(running: Running, image: SampleImage, load: CaseLoad) -> dict[str, Any]:
    """Figures of the load, CPU milliseconds a request by role, peak memory, mean batch."""
    read = _batch_counter(running, load.case.model) if load.counts_batches else None
    batches_before = read() if read else None
    running.forget_peaks()
    machine = MachineTime.now()
    before = running.usage()
    tally = run_load(Target(LOOPBACK, running.port, _request(running, image)), load)
    after = running.usage()
    spent_s = cpu_by_role(before, after)
    others = machine.cores_of_others(MachineTime.now(), sum(spent_s.values()) + tally.own_cpu_s)
    requests = max(1, tally.requests_total)
    sample: dict[str, Any] = {
        "case": load.case.name,
        "figures": asdict(LoadFigures.of(tally, load.window.seconds, load.rate_per_s is not None)),
        "cpu_ms": {role: 1000 * spent / requests for role, spent in spent_s.items()},
        "cores_of_others": others,
        "peak_bytes": after.peak_bytes,
        "mean_batch": None,
    }
    if read and batches_before is not None:
        # Not all that was asked was run, when the model refused some: what was answered surely was.
        seen = batches_with(read, batches_before.images + tally.ok_total)
        sample["mean_batch"] = mean_batch(batches_before, seen)
    return sample


def run_load(target: Target, load: CaseLoad) -> Tally:
    """Loads `target` in an event loop of its own."""
    # A collection in the middle of a load would make the generator late.
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            if load.rate_per_s is not None:
                return runner.run(open_loop(target, load.rate_per_s, load.window, load.seed))
            assert load.case.concurrency is not None
            return runner.run(closed_loop(target, load.case.concurrency, load.window))
    finally:
        gc.enable()


def _request(running: Running, image: SampleImage) -> bytes:
    host = f"{LOOPBACK}:{running.port}"
    if running.is_raw:
        return raw_request(host, running.path, image.upload)
    return upload_request(host, running.path, image.upload, running.fields)


def _batch_counter(running: Running, model: str) -> Callable[[], Batches] | None:
    path, port = running.metrics_path, running.port
    return None if path is None else lambda: read_batches(port, path, model)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
