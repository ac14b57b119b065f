"""One run: rounds of systems, each started with each model, measured and stopped. Everything that happened is in
`results`, also what failed; nothing that was started is left.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.cases import Case
from benchmarks.limit.limit import Setup, best_setups, every_setup, expected_rows, measure_limit
from benchmarks.limit.pipeline import Rows
from benchmarks.load.load import Window
from benchmarks.load.redis_jobs import NotAnswered
from benchmarks.machine.ready import wait_until_calm, wait_until_ready
from benchmarks.machine.started import StartError
from benchmarks.measure import CaseLoad, WrongAnswer, check_first_answer, measure
from benchmarks.models import DEMO, NOOP, bench_model
from benchmarks.redis_door import RedisPlan, measure_redis
from benchmarks.report.timing import Timing
from benchmarks.sample_images import HD, SMALL, SampleImage
from benchmarks.systems import plain_serve
from benchmarks.systems.contract import Running, Start, Workspace
from benchmarks.systems.table import LIMIT, OURS, SYSTEMS

Say = Callable[[str], None]
FAILURES = (StartError, WrongAnswer, NotAnswered, RuntimeError, OSError)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. redis_systems: for the Redis door.  measures_start: whether start-up is timed."""

    cases: Sequence[Case]
    systems: Sequence[str]
    redis_systems: Sequence[str]
    measures_start: bool
    timing: Timing
    depths: dict[str, int]


@dataclass(slots=True)
class Results:
    """Everything a run found, ready for JSON: one row for each measurement, with its round."""

    samples: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    redis: list[dict[str, Any]] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Run:
    """Carries a plan out."""

    def __init__(self, plan: Plan, workspace: Workspace, images: dict[str, SampleImage], say: Say) -> None:
        self.results = Results()
        self._plan = plan
        self._workspace = workspace
        self._images = images
        self._say = say
        self._files = {name: workspace.scratch / f"{name}.bin" for name in images}
        for name, image in images.items():
            self._files[name].write_bytes(image.upload.content)
        self._expected: dict[str, dict[str, Rows]] = {}
        self._setups: dict[str, list[Setup]] = {}

    def everything(self) -> None:
        """All rounds. The order of the systems turns from round to round."""
        self._expect()
        for number in range(self._plan.timing.rounds):
            for name in _turned(self._plan.systems, number):
                self._measure_system(name, number)
            for is_persistent in (False, True):
                for name in _turned(self._plan.redis_systems, number):
                    self._measure_redis(name, is_persistent, number)
            if self._plan.measures_start:
                self._measure_start("plain", plain_serve.start_hello, number)
                self._measure_start(OURS, SYSTEMS[OURS], number)

    def _expect(self) -> None:
        for name in self._models():
            files = [self._files[image] for image in self._images_of(name)]
            self._expected[name] = expected_rows(bench_model(name, self._plan.depths), files, self._workspace.folder)

    def _models(self) -> list[str]:
        needed = {case.model for case in self._plan.cases} | ({NOOP} if self._plan.redis_systems else set())
        return sorted(needed)

    def _images_of(self, model: str) -> list[str]:
        needed = {case.image for case in self._plan.cases if case.model == model}
        if model == NOOP and self._plan.redis_systems:
            needed |= {SMALL, HD}
        return sorted(needed)

    def _measure_system(self, name: str, number: int) -> None:
        cases = [case for case in self._plan.cases if name in case.systems]
        for model in dict.fromkeys(case.model for case in cases):
            mine = [case for case in cases if case.model == model]
            with self._noting(f"{name} with {model}"):
                if name == LIMIT:
                    self._measure_limit(model, mine, number)
                else:
                    self._measure_cases(name, mine, number)

    def _measure_limit(self, model: str, cases: Sequence[Case], number: int) -> None:
        files = [self._files[image] for image in dict.fromkeys(case.image for case in cases)]
        definition = bench_model(model, self._plan.depths)
        setups = self._setups.get(model) or every_setup(files)
        rows = measure_limit(definition, setups, self._plan.timing.limit_s, self._workspace.folder)
        self._setups[model] = best_setups(setups, rows)
        self.results.limits += [{"round": number, "model": model, **row} for row in rows]
        for file in files:
            best = max(row["images_per_s"] for row in rows if row["picture"] == file.stem)
            self._say(f"round {number + 1}  {LIMIT:14} {model}-{file.stem:18} {best:9.1f} images/s")

    def _measure_cases(self, name: str, cases: Sequence[Case], number: int) -> None:
        capacities: dict[str, float] = {}
        with self._running(SYSTEMS[name], cases[0].model) as running:
            wait_until_calm(running)
            for image in dict.fromkeys(case.image for case in cases):
                expected = self._expected[cases[0].model][image]
                check_first_answer(running, self._images[image], expected)
            for case in cases:
                rate_per_s = None if case.share is None else case.share * _positive(capacities, case)
                load = CaseLoad(case, self._window(case), rate_per_s, seed=number)
                sample = measure(running, self._images[case.image], load)
                if case.concurrency is not None:
                    capacities[case.stem] = sample["figures"]["requests_per_s"]
                self.results.samples.append({"round": number, "system": name, **sample})
                self._say(f"round {number + 1}  {name:14} {_line(sample)}")

    def _measure_redis(self, name: str, is_persistent: bool, number: int) -> None:
        images = [self._images[SMALL], self._images[HD]]
        model = bench_model(NOOP, self._plan.depths)
        plan = RedisPlan(model, images, self._plan.timing.redis_job_bytes, self._expected[NOOP])
        with self._noting(f"redis door, {name}"):
            rows = measure_redis(name, is_persistent, plan, self._workspace)
            self.results.redis += [{"round": number, **row} for row in rows]
            for row in rows:
                kind = "append-only" if is_persistent else "memory only"
                self._say(
                    f"round {number + 1}  redis {name:8} {row['picture']:5} {kind}  {row['jobs_per_s']:8.1f} jobs/s  "
                    f"push to answer {row['p50_ms']:.1f} ms"
                )

    def _measure_start(self, name: str, start: Start, number: int) -> None:
        with self._noting(f"start of {name}"), self._running(start, DEMO) as running:
            self.results.starts.append({"round": number, "system": name, "seconds": running.start_s})
            self._say(f"round {number + 1}  start of {name}: {running.start_s:.1f} s")

    @contextmanager
    def _running(self, start: Start, model: str) -> Iterator[Running]:
        began_at_s = time.monotonic()
        running = start(bench_model(model, self._plan.depths), self._workspace)
        try:
            wait_until_ready(running)
            running.start_s = time.monotonic() - began_at_s
            yield running
        finally:
            running.stop()

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """A system that fails is noted, and the others go on."""
        try:
            yield
        except FAILURES as error:
            self.results.problems.append(f"{what}: {error}")
            self._say(f"FAILED {what}: {error}")

    def _window(self, case: Case) -> Window:
        return Window(self._plan.timing.warm_s, self._plan.timing.counted_s(case))


def _turned(names: Sequence[str], turn: int) -> list[str]:
    start = turn % len(names) if names else 0
    return [*names[start:], *names[:start]]


def _positive(capacities: dict[str, float], case: Case) -> float:
    capacity_per_s = capacities.get(case.stem, 0.0)
    if capacity_per_s <= 0:
        raise RuntimeError(f"{case.name}: no capacity was measured before it")
    return capacity_per_s


def _line(sample: dict[str, Any]) -> str:
    figures = sample["figures"]
    p50_ms, p99_ms = figures["latency"]["p50_ms"], figures["latency"]["p99_ms"]
    spans = "no answers" if p50_ms is None else f"p50 {p50_ms:8.1f} ms  p99 {p99_ms:8.1f} ms"
    batch = "" if sample["mean_batch"] is None else f"  batch {sample['mean_batch']:.1f}"
    others = {status: count for status, count in figures["statuses"].items() if status != "200"}
    return f"{sample['case']:18} {figures['requests_per_s']:9.1f} req/s  {spans}{batch}  {others or ''}"
