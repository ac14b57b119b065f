"""A model that describes an image by its mean colour, and requests to it as clients of fastapi-vss send them."""

import asyncio
import io
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import PIL.Image

from deployments.errors import InvalidImage
from deployments.prediction import Embedding, Outcome, Prediction
from deployments.request import Request
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.fake_vectors import FakeVectors

PROJECT = "902004-Planktivore"


class EmbeddingSystem(FakeSystem):
    """`vit` embeds; all others answer what they always do. revision: that of its weights. gate: where it is set,
    what each image waits for.  waits, was_given_up: set when one does, and when it is cancelled then.
    most_at_once: images that were in work together."""

    revision = "1"
    gate: asyncio.Event | None = None
    at_once = most_at_once = 0
    waits = asyncio.Event()
    was_given_up = asyncio.Event()

    @property
    def kept(self) -> FakeVectors:
        assert self.vectors is not None
        return self.vectors

    async def predict(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        if model != "vit" or self.fails_with is not None:
            return await super().predict(model, requests)
        if self.gate is not None:
            self.waits.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.was_given_up.set()
                raise
        self.asked += [(model, request) for request in requests]
        self.at_once += len(requests)
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= len(requests)
        return [self._embedded(request) for request in requests]

    def _embedded(self, request: Request) -> Outcome:
        assert request.image.encoded is not None
        try:
            image = PIL.Image.open(io.BytesIO(request.image.encoded.tobytes()))
        except PIL.UnidentifiedImageError:
            return InvalidImage("the image is of no format that is read")
        values = np.asarray(image.convert("RGB"), np.float32).mean(axis=(0, 1))
        return Prediction(Embedding(values), (image.height, image.width), "vit", self.revision)


def embedding_system() -> EmbeddingSystem:
    embedder = record("vit", family="huggingface", parameters={"answer": "embedding"})
    return EmbeddingSystem([record("benthic-demo"), embedder])


def coloured(red: int, green: int, blue: int) -> bytes:
    """A PNG of one colour."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


RED, GREEN, BLUE = coloured(200, 10, 10), coloured(10, 200, 10), coloured(10, 10, 200)

Files = list[tuple[str, tuple[str, bytes]]]


def files(*contents: bytes, names: Sequence[str] = ()) -> Files:
    """One part `files` for each image."""
    called = names or [f"image-{number}.png" for number in range(len(contents))]
    return [("files", (name, content)) for name, content in zip(called, contents, strict=True)]


def error_in(answer: httpx.Response, status: int) -> str:
    """The sentence, where fastapi-vss has it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"] == body["detail"]
    assert "Traceback" not in answer.text
    error: str = body["error"]
    return error


def body_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


async def done(client: httpx.AsyncClient, submitted: httpx.Response, project: str = PROJECT) -> Any:
    """The result of a job that has been submitted."""
    job = body_of(submitted)["job_id"]
    told = body_of(await client.get(f"/vss/predict/job/{job}/{project}"))
    assert told["status"] == "done", told
    return told["result"]
