"""The ids of uploads in the log of the door, and the traces that begin or go on there."""

import io
import logging
from collections.abc import Iterator

import httpx
import PIL.Image
import pytest

from deployments.errors import InternalError, Overloaded, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import Origin
from deployments.watching import watch as watching
from deployments.watching.tracing import Tracing
from deployments.watching.watch import Watch
from tests.serve_app.conftest import FakeSystem
from tests.support.otlp_collector import Collector, collector

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "x-request-id": "frame-1"}


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Switches both on; to be named before `client`, whose door looks when it is made."""
    with collector() as kept:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", kept.url)
        watching.use(Watch(log_requests=True, tracing=Tracing("door", 1.0)))
        yield kept
        watching.use(None)


async def upload(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(file, "PNG")
    return await client.post("/predictor/", files={"file": ("a.png", file.getvalue(), "image/png")}, headers=headers)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(getattr(one, "request_id", ""), one.getMessage().split(" in ")[0]) for one in caplog.records]


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, OWN_LOGGER)
    return caplog


async def test_a_trace_goes_on_to_the_replica_and_the_line_has_the_clients_id(
    collected: Collector, client: httpx.AsyncClient, system: FakeSystem, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await upload(client, CLIENT)).status_code == 200
    current = watching.current()
    assert current is not None
    await current.stop()
    [span] = collected.named("POST /predictor/")
    assert (span.name, span.trace_id, span.parent_id) == ("POST /predictor/", TRACE, "b7ad6b7169203331")
    assert span.attributes["http.response.status_code"] == 200
    [(_, request)] = system.asked
    assert request.origin == Origin("frame-1", f"00-{TRACE}-{span.span_id}-01")
    assert lines(caplog) == [("frame-1", "benthic-demo: ok"), ("frame-1", "POST /predictor/ 200")]
    [predicted], [batch] = collected.named("predict benthic-demo"), collected.named("batch benthic-demo")
    assert predicted.parent_id == batch.parent_id == span.span_id
    assert batch.links == (span.span_id,)


@pytest.mark.parametrize("error", [Overloaded("x"), InternalError("x")], ids=["429", "500"])
async def test_a_fault_of_the_server_is_an_error_of_the_span(
    collected: Collector, client: httpx.AsyncClient, system: FakeSystem, error: ServingError
) -> None:
    system.fails_with = error
    status = (await upload(client, CLIENT)).status_code
    current = watching.current()
    assert current is not None
    await current.stop()
    [span] = collected.named("POST /predictor/")
    assert (span.is_error, span.attributes["http.response.status_code"]) == (status >= 500, status)


async def test_what_is_asked_by_get_is_not_watched(
    collected: Collector, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await client.get("/health/live", headers=CLIENT)).status_code == 200
    assert lines(caplog) == []


async def test_a_line_has_what_an_access_log_has_and_nothing_that_clients_say(
    collected: Collector, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/v1/models/secret-name", params={"q": "secret-query"}, headers=CLIENT)
    answer = await client.get("/v1/models")
    await upload(client, CLIENT)
    await client.get("/secret-path")
    about_http = [one for one in caplog.records if hasattr(one, "bytes_out")]
    members = ("method", "route", "status", "bytes_out", "client", "key")
    assert [tuple(getattr(one, name) for name in members[:3]) for one in about_http] == [
        ("GET", "/v1/models/{model}", 404),
        ("GET", "/v1/models", 200),
        ("POST", "/predictor/", 200),
        ("GET", "other", 404),
    ]
    listed, uploaded = about_http[1].__dict__, about_http[2].__dict__
    assert (listed["bytes_in"], listed["bytes_out"]) == (0, len(answer.content))
    assert 70 < uploaded["bytes_in"] < 400
    assert (listed["client"], listed["key"]) == ("127.0.0.1", "")
    assert "secret" not in "".join(str(one.__dict__) for one in about_http)


async def test_an_unexpected_fault_is_logged_with_the_id_when_watching_is_off(
    client: httpx.AsyncClient, system: FakeSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.fails_with = ZeroDivisionError("a fault")
    assert (await upload(client, CLIENT)).status_code == 500
    assert lines(caplog) == [("frame-1", "an upload failed unexpectedly")]
    [(_, request)] = system.asked
    assert request.origin == Origin("frame-1", None)
