"""The HTTP door over product-shaped fakes: a model that answers in process and a catalogue of two models."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from deployments.catalogue import ModelRecord, ModelState, resolve_among
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import ServingError
from deployments.external import ExternalRequest
from deployments.prediction import Opaque, Outcome
from deployments.request import Request
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.fake_vectors import FakeVectors
from tests.support.no_meter import NoMeter


@dataclass
class FakeSystem:
    """Stands in for the running system: its models, what they are asked, and what goes wrong."""

    records_now: list[ModelRecord] = field(default_factory=list)
    unhealthy: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Request]] = field(default_factory=list)
    fails_with: Outcome | Exception | None = None
    replica: Replica | None = None
    asked_external: list[tuple[str, ExternalRequest]] = field(default_factory=list)
    external_answers: list[Opaque | ServingError] = field(default_factory=list)
    vectors: FakeVectors | None = field(default_factory=FakeVectors)

    async def ask_external(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        self.asked_external.append((queue, request))
        return self.external_answers.pop(0)

    def records(self) -> tuple[ModelRecord, ...]:
        return tuple(self.records_now)

    def resolve(self, name: str) -> ModelRecord:
        return resolve_among(self.records(), name)

    def unhealthy_applications(self) -> Mapping[str, str]:
        return self.unhealthy

    async def predict(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        self.asked += [(model, request) for request in requests]
        if isinstance(self.fails_with, Exception) and not hasattr(self.fails_with, "code"):
            raise self.fails_with
        if self.fails_with is not None:
            return [self.fails_with for _ in requests]  # type: ignore[misc]
        if self.replica is None:
            self.replica = Replica(model, ModelDefinition(family="fixed-answer"), Resources(), NoMeter())
        return await self.replica.predict(requests)


@dataclass
class CountedAnswers:
    """Keeps (route, status) of every answer."""

    answers: list[tuple[str, int]] = field(default_factory=list)

    def answered(self, route: str, status: int) -> None:
        self.answers.append((route, status))


def record(name: str, state: ModelState = ModelState.READY, **definition: object) -> ModelRecord:
    full = ModelDefinition.model_validate({"family": "fixed-answer", **definition})
    reason = "" if state in (ModelState.READY, ModelState.ASLEEP) else "ValueError: no such file"
    return ModelRecord(name, full, ModelKnobs(), state, reason, int(state is ModelState.READY))


@pytest.fixture
def system() -> FakeSystem:
    queues = ["image_queue_yolov5", "image_queue_detectron2"]
    return FakeSystem([record("benthic-demo", queues=queues, required=True), record("other")])


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(
        default_model="benthic-demo",
        deadline_s=5,
        max_upload_bytes=200_000,
        max_held_bytes=400_000,
        faces=KNOWN_FACES,
    )


@pytest.fixture
def counted() -> CountedAnswers:
    return CountedAnswers()


@pytest.fixture
async def api(
    system: FakeSystem, settings: DoorSettings, counted: CountedAnswers, tmp_path: Path
) -> AsyncIterator[ASGIApp]:
    (tmp_path / "frame.png").write_bytes(b"\x89PNG")

    async def metrics_text() -> str:
        return "fathom_requests_total 1\n"

    models = ModelAccess(system, system.predict, system.ask_external, system.vectors)
    yield create_api(models, System(system, metrics_text, tmp_path), settings, counted)
    if system.replica is not None:
        await system.replica.close()


@pytest.fixture
async def client(api: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
        yield http
