"""The way to external workers by Serve handle, over a handle that behaves as Ray Serve's does."""

import asyncio
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from deployments.client import external_client, gateway
from deployments.client.external_client import ExternalClient
from deployments.client.replica_calls import BY_REFERENCE_FROM_BYTES
from deployments.errors import DeadlineExceeded, InternalError, ModelUnavailable, Overloaded
from deployments.external import ExternalRequest, ExternalWorker, GatewayReport, Task
from deployments.prediction import Opaque
from deployments.request import Image

QUEUE = "image_queue_coral"


class Response:
    """A DeploymentResponse: awaitable once, and cancellable."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome
        self.is_cancelled = False

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        if self._outcome is None:
            await asyncio.Event().wait()
        if isinstance(self._outcome, Exception) and not hasattr(self._outcome, "code"):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        self.is_cancelled = True


class Handle:
    """A DeploymentHandle of the bridge. outcome: what each call ends in; None for never."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.calls: list[tuple[Any, ...]] = []
        self.given_options: list[dict[str, Any]] = []
        self.responses: list[Response] = []

    @property
    def ask_external(self) -> "Handle":
        return self

    report = ask_external

    def options(self, **options: Any) -> "Handle":
        self.given_options.append(options)
        return self

    def remote(self, *arguments: Any) -> Response:
        self.calls.append(arguments)
        self.responses.append(Response(self.outcome))
        return self.responses[-1]


def client_of(handle: Handle) -> ExternalClient:
    client = ExternalClient("bridge", period_s=0.01)
    client._gateway._handle = handle  # type: ignore[assignment]
    return client


def request(size_bytes: int = 10, deadline_s: float = 5.0) -> ExternalRequest:
    return ExternalRequest(Task.PREDICT, Image.from_encoded(bytes(size_bytes)), deadline_s)


async def test_an_answer_comes_through_as_it_is() -> None:
    handle = Handle(Opaque(b"[]", QUEUE))
    asked = request()
    assert await client_of(handle).ask(QUEUE, asked) == Opaque(b"[]", QUEUE)
    assert handle.calls == [(QUEUE, asked)]


@pytest.mark.parametrize("size_bytes", [10, BY_REFERENCE_FROM_BYTES])
async def test_questions_travel_by_reference_whatever_their_size_as_the_answer_may_be_large(size_bytes: int) -> None:
    handle = Handle(Opaque(b"[]", QUEUE))
    await client_of(handle).ask(QUEUE, request(size_bytes))
    assert handle.given_options == [{"_by_reference": True}]


async def test_the_list_of_workers_travels_by_reference_too() -> None:
    handle = Handle(GatewayReport((ExternalWorker(QUEUE, "c" * 5 * 2**20),)))
    client = client_of(handle)
    await client.start()
    await until(lambda: client.records())
    await client.stop()
    assert len(handle.given_options) >= len(handle.calls) > 0
    assert {tuple(options.items()) for options in handle.given_options} == {(("_by_reference", True),)}


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (RayActorError(), ModelUnavailable),
        (DeploymentUnavailableError("Bridge"), ModelUnavailable),
        (BackPressureError(num_queued_requests=1, max_queued_requests=1), Overloaded),
        (ValueError("something else"), InternalError),
    ],
)
async def test_failures_of_the_call_are_values(raised: Exception, kind: type[Exception]) -> None:
    assert isinstance(await client_of(Handle(raised)).ask(QUEUE, request()), kind)


async def test_errors_that_were_answered_come_through() -> None:
    error = DeadlineExceeded("too late")
    assert await client_of(Handle(error)).ask(QUEUE, request()) is error


async def test_a_gateway_that_hangs_is_given_up_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_client, "ANSWER_GRACE_S", 0.01)
    handle = Handle(None)
    outcome = await client_of(handle).ask(QUEUE, request(deadline_s=0.02))
    assert isinstance(outcome, DeadlineExceeded)
    assert handle.responses[0].is_cancelled


async def test_an_asker_who_goes_cancels_the_call() -> None:
    handle = Handle(None)
    asking = asyncio.create_task(client_of(handle).ask(QUEUE, request()))
    await until(lambda: handle.responses)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert handle.responses[0].is_cancelled


async def test_the_list_follows_the_gateway_and_outlives_its_absence() -> None:
    handle = Handle(GatewayReport((ExternalWorker(QUEUE, "corals"),)))
    client = client_of(handle)
    await client.start()
    await until(lambda: [record.name for record in client.records()] == [QUEUE])
    handle.outcome = RayActorError()
    calls = len(handle.calls)
    await until(lambda: len(handle.calls) > calls + 2)
    assert [record.name for record in client.records()] == [QUEUE]
    handle.outcome = GatewayReport(None)
    calls = len(handle.calls)
    await until(lambda: len(handle.calls) > calls + 2)
    assert [record.name for record in client.records()] == [QUEUE]
    handle.outcome = GatewayReport(())
    await until(lambda: client.records() == ())
    client.check()
    await client.stop()


async def test_what_the_gateway_says_of_redis_is_told_and_so_is_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_client, "SILENT_AFTER_S", 0.1)
    handle = Handle(GatewayReport((), "Redis is full"))
    client = client_of(handle)
    await client.start()
    await until(lambda: client.reason() == "Redis is full")
    handle.outcome = GatewayReport(())
    await until(lambda: client.reason() == "")
    handle.outcome = RayActorError()
    await until(lambda: "the application bridge has not answered for" in client.reason())
    handle.outcome = GatewayReport(())
    await until(lambda: client.reason() == "")
    await client.stop()


async def test_a_door_that_looks_no_more_is_not_well() -> None:
    client = client_of(Handle(GatewayReport(())))
    await client.start()
    client.check()
    await client.stop()
    with pytest.raises(RuntimeError, match="dead"):
        client.check()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


async def test_without_the_application_there_are_no_external_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such(deployment: str, application: str) -> None:
        raise KeyError(f"no deployment {deployment} in application {application}")

    monkeypatch.setattr(gateway.serve, "get_deployment_handle", no_such)
    client = ExternalClient("bridge", period_s=0.01)
    await client.start()
    outcome = await client.ask(QUEUE, request())
    await client.stop()
    assert isinstance(outcome, ModelUnavailable)
    assert "no application bridge" in outcome.message
    assert client.records() == ()


async def test_how_many_jobs_wait_is_told_until_the_bridge_is_not_heard_from() -> None:
    handle = Handle(GatewayReport((), waiting={QUEUE: 12}))
    client = client_of(handle)
    assert client.waiting() is None
    await client.start()
    await until(lambda: client.waiting() == {QUEUE: 12})
    handle.outcome = GatewayReport((), "Redis has not been reached yet", {QUEUE: 12})
    await until(lambda: client.waiting() is None)
    await client.stop()
