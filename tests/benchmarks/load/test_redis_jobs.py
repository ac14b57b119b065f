"""Jobs on a real Valkey: read by the bridge, answered and drained, and not awaited for ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.load.redis_jobs import STAGED, JobMaker, NotAnswered, drain_s, push_to_answer_s
from benchmarks.machine.started import Started
from benchmarks.models import bench_model
from benchmarks.sample_images import sample_image
from benchmarks.systems import floor_worker
from benchmarks.systems.contract import QUEUE, REDIS, Workspace, python, server_environment
from benchmarks.systems.valkey import start_valkey
from redis_bridge.wire.job_format import Job, WireLimits, parse_job
from tests.benchmarks.command_lines import ROOT

CONFIG = ROOT / "configs" / "app.yaml"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, tmp_path, CONFIG)


@pytest.fixture
def store(workspace: Workspace) -> Iterator["Redis"]:
    """A real server with a floor worker on the queue `work`."""
    url, valkey = start_valkey(workspace, is_persistent=True)
    environ = {**server_environment(bench_model("m0", {})), REDIS: url, QUEUE: "work"}
    worker = Started("floor", python("-m", "benchmarks.systems.floor_worker"), workspace.folder, environ)
    try:
        worker.wait_until(lambda: floor_worker.READY in worker.last_words(), 30.0)
        with Redis.from_url(url) as client:
            yield client
    finally:
        worker.stop()
        valkey.stop()


def test_the_bridge_reads_the_jobs_that_are_pushed() -> None:
    small = sample_image("64px")
    parsed = parse_job(JobMaker(small).job("some-id"), WireLimits(10**6))
    assert isinstance(parsed, Job)
    assert parsed.job_id == "some-id"
    assert parsed.image.pixels is not None
    assert (parsed.image.pixels == small.pixels()).all()


def test_jobs_are_pushed_answered_and_drained(store: "Redis") -> None:
    maker = JobMaker(sample_image("64px"))
    span_s, answer = push_to_answer_s(store, "work", maker, 10.0)
    assert answer == floor_worker.ANSWER
    assert 0 < span_s < 10
    assert 0 < drain_s(store, "work", maker, 150, 20.0) < 20
    assert store.keys("*") == []


def test_jobs_that_nobody_answers_are_not_waited_for_for_ever(store: "Redis") -> None:
    maker = JobMaker(sample_image("64px"))
    with pytest.raises(NotAnswered, match="3 of 3 jobs"):
        drain_s(store, "nobody", maker, 3, 0.2)
    with pytest.raises(NotAnswered, match="no answer"):
        push_to_answer_s(store, "nobody", maker, 0.2)
    assert store.exists(STAGED) == 0
