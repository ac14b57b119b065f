"""Traces: one batch is in the trace of each of its images, and what is not sampled is not passed on."""

import asyncio
from collections.abc import Iterator

import pytest

from deployments.origin import Origin
from deployments.watching.settings import tracing_problems
from deployments.watching.tracing import Tracing
from deployments.watching.watch import Watch, current, start_watching
from tests.support.otlp_collector import Collector, collector

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.url)
        yield kept


def begun(watch: Watch, parent: str | None = None) -> str:
    """The traceparent of a request that has come and gone."""
    span = watch.begin("POST", parent, Origin("a-request"))
    assert span is not None
    traceparent = watch.traceparent_of(span)
    watch.end(span, {}, "")
    assert traceparent is not None
    return traceparent


async def test_a_batch_is_in_the_trace_of_each_of_its_images(collected: Collector) -> None:
    watch = Watch(log_requests=False, tracing=Tracing("test", 1.0))
    parents = [begun(watch) for _ in range(3)]
    with watch.batch("m", [*(Origin(str(i), one) for i, one in enumerate(parents)), Origin("untraced"), None]):
        pass
    await watch.stop()
    first, *others = collected.named("batch m")
    assert [span.trace_id for span in (first, *others)] == [one.split("-")[1] for one in parents]
    assert list(first.links) == [one.split("-")[2] for one in parents]
    assert [span.links for span in others] == [(first.span_id,)] * 2
    assert first.attributes["fathom.batch_size"] == 5


async def test_a_batch_that_fails_is_an_error_in_every_trace(collected: Collector) -> None:
    watch = Watch(log_requests=False, tracing=Tracing("test", 1.0))
    with pytest.raises(ZeroDivisionError), watch.batch("m", [Origin("a", begun(watch)), Origin("b", begun(watch))]):
        raise ZeroDivisionError
    await watch.stop()
    spans = collected.named("batch m")
    assert [(span.is_error, span.attributes["error.type"]) for span in spans] == [(True, "ZeroDivisionError")] * 2


@pytest.mark.parametrize(("share", "flags", "is_passed_on"), [(0.0001, "01", True), (1.0, "00", False)])
async def test_a_trace_that_a_client_began_is_followed_as_the_client_decided(
    collected: Collector, share: float, flags: str, is_passed_on: bool
) -> None:
    watch = Watch(log_requests=False, tracing=Tracing("test", share))
    span = watch.begin("POST", CLIENT + flags, Origin("a"))
    assert span is not None
    assert (watch.traceparent_of(span) is not None) == is_passed_on
    watch.end(span, {}, "")
    await watch.stop()
    assert [one.parent_id for one in collected.spans] == (["b7ad6b7169203331"] if is_passed_on else [])


@pytest.mark.parametrize("nonsense", ["", "x", "00-zz-yy-01", "é" * 5000])
async def test_nonsense_from_a_client_begins_a_trace_of_its_own(collected: Collector, nonsense: str) -> None:
    watch = Watch(log_requests=False, tracing=Tracing("test", 1.0))
    begun(watch, nonsense)
    await watch.stop()
    assert [span.parent_id for span in collected.spans] == [""]


async def test_a_collector_that_is_away_does_not_hold_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    watch = Watch(log_requests=False, tracing=Tracing("test", 1.0))
    begun(watch)
    async with asyncio.timeout(5):
        await watch.stop()


def test_nothing_is_watched_unless_the_environment_asks_for_it() -> None:
    assert start_watching({}, "test") is None
    assert current() is None
    assert start_watching({"FATHOM_LOG_REQUESTS": "0", "FATHOM_TRACE_SHARE": "0"}, "test") is None


def test_an_endpoint_that_is_no_address_is_named() -> None:
    assert tracing_problems({}) == []
    [problem] = tracing_problems({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"})
    assert problem.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: must be http://HOST:PORT")
