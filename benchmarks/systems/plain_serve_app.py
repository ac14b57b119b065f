"""Plain Ray Serve, as the tutorials write it: a FastAPI ingress, a model with `@serve.batch`, every default.

Run by `python -m benchmarks.systems.plain_serve_main`.
"""

from typing import Any

from fastapi import FastAPI, UploadFile
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from benchmarks.limit.pipeline import Pipeline, Rows
from deployments.definition import ModelDefinition

api = FastAPI()


@serve.deployment
class Detector:
    """The model; batches are closed by Serve's timer."""

    def __init__(self, definition: str) -> None:
        self._pipeline = Pipeline(ModelDefinition.model_validate_json(definition))

    @serve.batch(max_batch_size=8)  # type: ignore[untyped-decorator]
    async def detect(self, files: list[bytes]) -> list[Rows]:
        """One list of detections for each file."""
        return self._pipeline.answer([self._pipeline.prepare(encoded) for encoded in files])

    async def __call__(self, encoded: bytes) -> Any:
        """The detections of one file."""
        return await self.detect(encoded)


@serve.deployment
@serve.ingress(api)
class Ingress:
    """The HTTP side."""

    def __init__(self, detector: DeploymentHandle) -> None:
        self._detector = detector

    @api.post("/predictor/")
    async def predict(self, file: UploadFile) -> dict[str, Any]:
        """The legacy answer."""
        rows = await self._detector.remote(await file.read())
        return {"success": True, "predictions": rows}


@serve.deployment
class Hello:
    """Answers without a model, to time Ray Serve's own start."""

    async def __call__(self) -> str:
        """A word."""
        return "hello"


def detector_application(definition: str) -> Application:
    """The ingress with its model."""
    application: Application = Ingress.bind(Detector.bind(definition))  # type: ignore[attr-defined]
    return application


def hello_application() -> Application:
    """The smallest application there is."""
    application: Application = Hello.bind()  # type: ignore[attr-defined]
    return application
