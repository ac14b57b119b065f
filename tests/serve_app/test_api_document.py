"""The OpenAPI document is true: schemathesis asks every route, rightly and wrongly, and each answer must be in it."""

import itertools
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import hypothesis.strategies as st
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from deployments.catalogue import ModelRecord, resolve_among
from deployments.errors import InvalidImage
from deployments.external import ExternalRequest, ExternalWorker, record_of
from deployments.prediction import Opaque, Outcome, Result
from deployments.request import Request
from deployments.vectors import Source
from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, base64_of, prediction, two_animals
from tests.serve_app.fake_vectors import FakeVectors
from tests.serve_app.uploads import picture

ROOT = Path(__file__).parents[2]
PICTURE = picture()
RESULTS: dict[str, Result] = {"detector": two_animals(), "classifier": SCORES, "embedder": EMBEDDING}


class Models:
    """A detector, a classifier, an embedder and an external worker, without event loops of their own."""

    def records(self) -> tuple[ModelRecord, ...]:
        worker = record_of(ExternalWorker("image_queue_coral"))
        return (*(record(name) for name in RESULTS), worker)

    def resolve(self, name: str) -> ModelRecord:
        return resolve_among(self.records(), name)

    def unhealthy_applications(self) -> dict[str, str]:
        return {}

    async def predict(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        return [self._answer(model, request) for request in requests]

    def _answer(self, model: str, request: Request) -> Outcome:
        encoded = request.image.encoded
        if encoded is None or encoded.tobytes() != PICTURE:
            return InvalidImage("the image is of no format that is read")
        return prediction(RESULTS[model], model)

    async def ask_external(self, queue: str, request: ExternalRequest) -> Opaque:
        del request
        return Opaque(b'[{"box": [1, 2]}]', queue)


async def metrics_text() -> str:
    return "fathom_requests_total 1\n"


MODELS = Models()
OF_EMBEDDER = Source("embedder", "1", len(EMBEDDING.values))
VECTORS = FakeVectors({"testproject": (OF_EMBEDDER, {("Crab", "crab-1"): EMBEDDING.values})})
DOOR = create_api(
    ModelAccess(MODELS, MODELS.predict, MODELS.ask_external, VECTORS),
    System(MODELS, metrics_text, Path("no samples")),
    DoorSettings(default_model="detector", deadline_s=5, faces=KNOWN_FACES),
    CountedAnswers(),
)
# What is no image, has no such class or names no such model is told so, and no schema can say which these are. A door
# that asks for no keys lets nobody change its models (403).
REFUSALS_OF_WHAT_FITS = [200, 201, 403, 404, 413, 415, 422]
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": REFUSALS_OF_WHAT_FITS}},
        "generation": {"max-examples": 10, "deterministic": True},
    }
)
schemathesis.openapi.format("binary", st.just(PICTURE) | st.binary(max_size=20))
# A path with a slash at its end is the one without.
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", DOOR, config=CONFIG).exclude(path_regex=".+/$")


LABEL_CONFIG = """<View><Image name="image" value="$image"/>
    <RectangleLabels name="box" toName="image"><Label value="Crab"/></RectangleLabels>
    <Choices name="kind" toName="image"><Choice value="Crab"/></Choices></View>"""

TURNS = itertools.cycle([*RESULTS, "image_queue_coral", ""])
OF_DETECTORS = (
    *("score_threshold", "iou_threshold", "max_detections", "classes", "tiling", "tiling_overlap"),
    *("confidence", "overlap", "class_filter", "response_mask_format", "conf", "iou", "confidence_threshold"),
)
NEVER_USEFUL = ("classes", "class_filter", "tiling_overlap")


@SCHEMA.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """Most of what fits the document gets a model that is there, an image, and no option for which it has no use, as
    nothing would be answered otherwise; a fifth stays as it is."""
    del context
    model = next(TURNS)
    if not model or case.meta is None or case.meta.generation.mode is not schemathesis.GenerationMode.POSITIVE:
        return case
    if "model" in (case.path_parameters or {}):
        case.path_parameters["model"] = model
    if "project" in (case.path_parameters or {}):
        case.path_parameters["project"] = "testproject"
    if "x-nuclio-function-name" in (case.headers or {}):
        case.headers["x-nuclio-function-name"] = model
    for options in (case.body, case.query):
        if isinstance(options, dict):
            _make_useful(options, model)
    if isinstance(case.body, bytes):
        case.body = PICTURE
    if isinstance(case.body, str):
        case.body = base64_of(PICTURE)
    return case


def _make_useful(options: dict[str, Any], model: str) -> None:
    for useless in OF_DETECTORS if model != "detector" else NEVER_USEFUL:
        options.pop(useless, None)
    for name in ("model_type", "model_id"):
        if name in options:
            options[name] = model
    for config in ("label_config", "schema"):
        if config in options:
            options[config] = LABEL_CONFIG
            options["extra_params"] = options["params"] = None
    _fill_with_pictures(options)


def _fill_with_pictures(options: dict[str, Any]) -> None:
    if isinstance(options.get("image"), dict):
        options["image"] = {"type": "base64", "value": base64_of(PICTURE)}
    for part, content in (("image", base64_of(PICTURE)), ("file", PICTURE)):
        if isinstance(options.get(part), str | bytes):
            options[part] = content if isinstance(options[part], str) else PICTURE
    if isinstance(options.get("tasks"), list):
        options["tasks"] = [{"data": {"image": f"data:image/png;base64,{base64_of(PICTURE)}"}}]
    if isinstance(options.get("files"), list):
        options["files"] = [PICTURE] * len(options["files"])
    if isinstance(options.get("images"), list):
        options["images"] = [base64_of(PICTURE)] * len(options["images"])


@SCHEMA.parametrize()
def test_every_answer_is_in_the_document(case: schemathesis.Case) -> None:
    case.call_and_validate()


@pytest.mark.parametrize("path", ["/openapi.json", "/model/v1/openapi.json"])
async def test_no_answer_of_a_framework_is_in_the_document(client: httpx.AsyncClient, path: str) -> None:
    text = (await client.get(path)).text
    assert "HTTPValidationError" not in text
    operations = [one for methods in json.loads(text)["paths"].values() for one in methods.values()]
    assert all({"500", "503"} <= set(one["responses"]) for one in operations)
    assert all(one["responses"].keys() & {"200", "201", "202"} for one in operations)


async def test_every_route_is_in_the_document(client: httpx.AsyncClient) -> None:
    documented = (await client.get("/openapi.json")).json()["paths"]
    page = (ROOT / "docs/http-api.md").read_text(encoding="utf-8")
    routes = re.findall(r"`(?:DELETE|GET|POST) (/[^`]*)`", page)
    assert len(routes) > 20
    files = ("/static/", "/openapi.json")
    assert [route for route in routes if route not in documented and not route.startswith(files)] == []


async def test_head_answers_as_get_does_wherever_a_get_is_documented(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    assert system.vectors is not None
    job = "6e1b1c2e-3f5a-4a55-9d1a-0d4f3c3b2a10"
    system.vectors.kept["testproject"] = (Source("other", "1", 3), {("Crab", "crab-1"): EMBEDDING.values})
    await system.vectors.keep_job("testproject", job, b'{"status":"pending"}\n', 60)
    documented = (await client.get("/openapi.json")).json()["paths"]
    named = {"model": "other", "version": "1", "project": "testproject", "job": job}
    filled = {
        re.sub(r"{(\w+)}", lambda found: named.get(found[1], "a"), path): one for path, one in documented.items()
    }
    paths = [path for path, methods in filled.items() if "get" in methods]
    assert len(paths) > 10
    for path in [*paths, "/openapi.json", "/docs/start.js", "/docs/swagger/swagger-ui.css"]:
        read, asked = await client.get(path), await client.head(path)
        assert (asked.status_code, asked.headers, asked.content) == (200, read.headers, b""), path


async def test_the_document_is_written_once(client: httpx.AsyncClient) -> None:
    """Written anew for each of many clients it would keep all others waiting: it is large."""
    first = (await client.get("/openapi.json")).content
    began_s = time.process_time()
    for _ in range(20):
        assert (await client.get("/openapi.json")).content == first
    assert (time.process_time() - began_s) / 20 < 0.004
