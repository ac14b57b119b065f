"""A job's id is in every line about it, and its trace goes to the replica."""

import logging
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from deployments.errors import InternalError
from deployments.logs import OWN_LOGGER
from deployments.watching import watch as watching
from deployments.watching.tracing import Tracing
from deployments.watching.watch import Watch
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import QUEUE, Client, FakeModel, eventually
from tests.support.otlp_collector import Collector, collector


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.url)
        watching.use(Watch(log_requests=True, tracing=Tracing("bridge", 1.0)))
        yield kept
        watching.use(None)


def lines_about(caplog: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    return [one.getMessage().split(" in ")[0] for one in caplog.records if getattr(one, "request_id", "") == job_id]


async def test_a_job_is_traced_to_its_model_and_its_end_is_a_line(
    client: Client,
    start_bridge: StartBridge,
    predict: FakeModel,
    watched: Collector,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, OWN_LOGGER)
    async with start_bridge():
        job_id = await client.push((1, 2, 3))
        await client.answer(job_id)
        predict.errors = [InternalError("a fault")] * 20
        failed = await client.push((1, 2, 3))
        await client.answer(failed)
    current = watching.current()
    assert current is not None
    await current.stop()
    assert lines_about(caplog, job_id) == [f"job of queue {QUEUE}: ok"]
    letter, end = lines_about(caplog, failed)
    assert letter.startswith(f"job '{failed}' of queue {QUEUE} is a dead letter")
    assert end == f"job of queue {QUEUE}: internal"
    spans = {span.attributes["fathom.request_id"]: span for span in watched.named(f"job {QUEUE}")}
    assert [spans[one].attributes["fathom.outcome"] for one in (job_id, failed)] == ["ok", "internal"]
    assert [spans[one].is_error for one in (job_id, failed)] == [False, True]
    origin = predict.requests[0].origin
    assert origin is not None
    assert origin.request_id == job_id
    assert origin.traceparent == f"00-{spans[job_id].trace_id}-{spans[job_id].span_id}-01"


async def test_the_id_goes_along_when_nothing_is_watched(
    redis: Redis, client: Client, start_bridge: StartBridge, predict: FakeModel
) -> None:
    async with start_bridge():
        job_id = await client.push((1, 2, 3))
        await eventually(lambda: redis.exists(job_id))
    origin = predict.requests[0].origin
    assert origin is not None
    assert (origin.request_id, origin.traceparent) == (job_id, None)
