"""What a face is, and how it reaches the models."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp

from deployments.byte_budget import ByteBudget
from deployments.catalogue import Catalogue, ModelRecord, ModelState
from deployments.client.protocols import Predict
from deployments.errors import DeadlineExceeded, InvalidRequest, ServingError
from deployments.external import AskExternal, ExternalRequest, Task, no_external_workers
from deployments.prediction import Outcome, Prediction
from deployments.request import Request
from deployments.vectors import Vectors
from serve_app.activity import Activity
from serve_app.fetching.fetcher import ImageFetcher
from serve_app.http.openapi_parts import PROBLEM_TYPE
from serve_app.settings import DoorSettings


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """The models of the running system, as every face may ask them."""

    catalogue: Catalogue
    """All models with their states, those that run elsewhere included."""

    predict: Predict
    """Asks a model that runs here."""

    ask_external: AskExternal = no_external_workers
    """Asks a model that runs elsewhere."""

    vectors: Vectors | None = None
    """Embeddings that are kept, where somebody keeps any."""

    activity: Activity = field(default_factory=Activity)
    """What the models are asked by this door."""

    async def ask(self, record: ModelRecord, request: Request) -> Outcome:
        """The outcome of one image, wherever its model runs. Raises ModelUnavailable when it cannot answer now."""
        return await self.activity.watched(record.name, self._ask(record, request))

    async def ask_all(self, record: ModelRecord, requests: Sequence[Request]) -> list[Outcome]:
        """The outcomes in the order of the requests, which are asked at the same time. Cancelling ends them all."""
        if len(requests) == 1:
            return [await self._ask_or_error(record, requests[0])]
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask_or_error(record, request)) for request in requests]
        return [task.result() for task in asked]

    async def predictions(self, record: ModelRecord, requests: Sequence[Request]) -> list[Prediction]:
        """Those of a model that runs here, for a face that writes them down in its own way, where an image without an
        answer has no place. Raises the error of the first such image, with its number where there are several."""
        if record.is_external:
            raise InvalidRequest(
                f"{record.name} runs elsewhere; what it answers is only passed on as it is, by /predictor/ and /v1"
            )
        found = []
        for number, outcome in enumerate(await self.ask_all(record, requests), start=1):
            if isinstance(outcome, ServingError):
                raise outcome if len(requests) == 1 else type(outcome)(f"image {number}: {outcome.message}")
            if isinstance(outcome, Prediction):
                found.append(outcome)
        return found

    async def _ask_or_error(self, record: ModelRecord, request: Request) -> Outcome:
        try:
            return await self.ask(record, request)
        except ServingError as error:
            return error

    async def _ask(self, record: ModelRecord, request: Request) -> Outcome:
        if not record.can_answer and record.state is not ModelState.STARTING:
            raise record.unavailable()
        if record.is_external:
            task = ExternalRequest(Task.PREDICT, request.image, request.deadline_s, origin=request.origin)
            return await self.ask_external(record.name, task)
        [outcome] = await self.predict(record.name, [request])
        if isinstance(outcome, DeadlineExceeded) and not record.can_answer:
            return record.unavailable()
        return outcome


KeyOf = Callable[[HttpRequest], str]
"""The name of the API key that a request showed; '' where the server asks for none."""


def no_key(http_request: HttpRequest) -> str:
    """Of a door that asks for none."""
    del http_request
    return ""


@dataclass(frozen=True, slots=True)
class FaceParts:
    """What each face is made of."""

    models: ModelAccess
    settings: DoorSettings
    budget: ByteBudget
    """Memory for all uploads, and for images that are fetched."""
    fetcher: ImageFetcher
    """Fetches images that clients give as addresses."""
    key_of: KeyOf = no_key

    def record_of(self, name: str = "") -> ModelRecord:
        """The model of this name or queue, or the default one. Raises InvalidRequest and ModelNotFound."""
        wanted = name or self.settings.default_model
        if not wanted:
            raise InvalidRequest("no model is named, and no default model is configured")
        return self.models.catalogue.resolve(wanted)


@dataclass(frozen=True, slots=True)
class Face:
    """One protocol of the HTTP door."""

    router: APIRouter
    """Its routes. They are also what the OpenAPI document says of them."""

    problem_members: Mapping[str, Any] = field(default_factory=dict)
    """Members that every problem on these routes holds beside those of RFC 9457. A value may be
    `serve_app.http.problems.SENTENCE`, for which the problem's own sentence is put."""

    prefix: str = ""
    """Such as `/v2`, where all paths below it are this face's: those that it does not answer then get its problems
    too."""

    problem_type: str = PROBLEM_TYPE
    """Media type of the problems below `prefix`: some clients read an error only where it is `application/json`."""

    mounts: Mapping[str, ASGIApp] = field(default_factory=dict)
    """Path prefix -> application that answers below it, such as static files."""

    schemas: Mapping[str, Any] = field(default_factory=dict)
    """Schemas of the OpenAPI document, by the names by which its routes refer to them."""

    finish: Callable[[], Awaitable[None]] | None = None
    """Awaited when the door stops, while the models can still be asked: ends what goes on without a request."""

    def paths(self) -> frozenset[str]:
        """The paths of its routes, without a slash at the end."""
        return frozenset(route.path.rstrip("/") for route in self.router.routes if isinstance(route, APIRoute))


class DirectRoute(APIRoute):
    """A POST route that `serve_app.api` calls without the framework: its endpoint takes the request, returns the
    response, and answers every error that it expects by itself.

    It is declared like any other route, as `route_class_override`, so the OpenAPI document describes it.
    """
