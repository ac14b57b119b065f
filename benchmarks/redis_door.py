"""The Redis door measured beside the legacy worker and a transport floor, with persistence on and off.

Each gets the same Valkey server, started anew, and the same jobs.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from benchmarks.limit.pipeline import Rows
from benchmarks.load.correctness import mistakes
from benchmarks.load.redis_jobs import JobMaker, drain_s, push_to_answer_s
from benchmarks.load.tally import Latency
from benchmarks.machine.ready import wait_until_calm, wait_until_ready
from benchmarks.machine.started import Started
from benchmarks.machine.usage import cpu_by_role
from benchmarks.measure import WrongAnswer
from benchmarks.models import BenchModel
from benchmarks.sample_images import HD, SampleImage
from benchmarks.systems import floor_worker, ours
from benchmarks.systems.contract import QUEUE, REDIS, Running, Workspace, python, server_environment
from benchmarks.systems.legacy import start_worker
from benchmarks.systems.valkey import start_valkey

FLOOR, WORKER, BRIDGE = "floor", "legacy", "ours"
REDIS_SYSTEMS = (FLOOR, WORKER, BRIDGE)

FIRST_ANSWER_S = 60.0
DRAIN_S = 120.0
_SINGLE_JOBS = {HD: 12}
_MANY_SINGLE_JOBS = 40
_JOBS = (8, 2000)


@dataclass(frozen=True, slots=True)
class RedisPlan:
    """job_bytes: of all jobs of one drain.  expected: the right rows by image."""

    model: BenchModel
    images: Sequence[SampleImage]
    job_bytes: int
    expected: dict[str, Rows]


def measure_redis(name: str, is_persistent: bool, plan: RedisPlan, workspace: Workspace) -> list[dict[str, Any]]:
    """One row for each image: push-to-answer, drain rate, CPU milliseconds a job by role."""
    url, valkey = start_valkey(workspace, is_persistent)
    running = Running(0, [valkey])
    try:
        consumer = _CONSUMERS[name](plan.model, workspace, url)
        consumer.parts.insert(0, valkey)
        running = consumer
        if name == BRIDGE:
            wait_until_ready(running)
            wait_until_calm(running)
        rows = [_measure_image(name, plan, image, url, running) for image in plan.images]
        return [{"system": name, "persistent": is_persistent, **row} for row in rows]
    finally:
        running.stop()


def _measure_image(name: str, plan: RedisPlan, image: SampleImage, url: str, running: Running) -> dict[str, Any]:
    [queue] = plan.model.definition.queues
    maker = JobMaker(image)
    with Redis.from_url(url) as store:
        _, answer = push_to_answer_s(store, queue, maker, FIRST_ANSWER_S)
        if name != FLOOR:
            _check(image, plan.expected[image.name], answer)
        singles = _SINGLE_JOBS.get(image.name, _MANY_SINGLE_JOBS)
        spans_s = [push_to_answer_s(store, queue, maker, FIRST_ANSWER_S)[0] for _ in range(singles)]
        count = min(_JOBS[1], max(_JOBS[0], plan.job_bytes // maker.job_bytes))
        # The second of two drains counts: everybody has the memory for this many jobs before the clock starts.
        drain_s(store, queue, maker, count, DRAIN_S)
        before = running.usage()
        took_s = drain_s(store, queue, maker, count, DRAIN_S)
        spent = cpu_by_role(before, running.usage())
    return {
        "picture": image.name,
        "job_bytes": maker.job_bytes,
        "jobs": count,
        "jobs_per_s": count / took_s,
        "p50_ms": Latency.of(spans_s).p50_ms,
        "p95_ms": Latency.of(spans_s).p95_ms,
        # Laying the jobs ready is in the server's share, not in the consumer's.
        "cpu_ms": {role: 1000 * seconds / count for role, seconds in spent.items()},
    }


def _check(image: SampleImage, expected: Rows, answer: bytes) -> None:
    wrong = mistakes(expected, json.loads(answer))
    if wrong:
        raise WrongAnswer(f"{image.name}: {'; '.join(wrong[:3])}")


def _start_floor(model: BenchModel, workspace: Workspace, url: str) -> Running:
    [queue] = model.definition.queues
    environ = {**server_environment(model), REDIS: url, QUEUE: queue}
    command = python("-m", "benchmarks.systems.floor_worker")
    worker = Started("floor-worker", command, workspace.folder, environ)
    try:
        worker.wait_until(lambda: floor_worker.READY in worker.last_words(), 30.0)
    except BaseException:
        worker.stop()
        raise
    return Running(0, [worker])


def _start_legacy(model: BenchModel, workspace: Workspace, url: str) -> Running:
    return Running(0, [start_worker(model, workspace, url)])


_CONSUMERS: dict[str, Callable[[BenchModel, Workspace, str], Running]] = {
    FLOOR: _start_floor,
    WORKER: _start_legacy,
    BRIDGE: ours.start_with,
}
