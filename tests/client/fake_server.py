"""A server in the shape of the product, written from the contract of /v1: what it was asked, and what goes wrong."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.waiting import wait_for

OPTIONS = {
    "score_threshold",
    "iou_threshold",
    "max_detections",
    "classes",
    "tiling",
    "tiling_overlap",
    "regions",
    "format",
}
MODEL = {"name": "demo", "external": False, "description": "A demo", "queues": ["image_queue"], "family": "yolov5",
         "revision": "1", "labels": ["Fish", "Crab"], "licence": "CC-BY-4.0", "state": "ready"}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request to predict. images: name and content of each."""

    model: str
    query: list[tuple[str, str]]
    images: list[tuple[str | None, bytes]]
    headers: dict[str, str]


@dataclass
class FakeServer:
    """An image is text: a number is the score of its one fish. 'bad' cannot be read, 'huge' has too many tiles, 'cut'
    gets half an answer, 'slow' gets none."""

    asked: list[Asked] = field(default_factory=list)
    first: deque[Response] = field(default_factory=deque)
    """What the next requests to predict get instead."""
    most_at_once: int = 0
    kind: str = "detections"
    ready: bool = True
    _now: int = 0

    def app(self) -> Starlette:
        routes = [
            Route("/v1/models/{model}/predict", self.predict, methods=["POST"]),
            Route("/v1/models/{model}", self.model),
            Route("/v1/models", self.models),
            Route("/v1/system", lambda _: JSONResponse({"models": [], "last_errors": []})),
            Route("/health/ready", self.readiness),
        ]
        return Starlette(routes=routes)

    async def models(self, _: Request) -> Response:
        return JSONResponse({"default_model": "demo", "models": [MODEL, MODEL | {"name": "other", "licence": None}]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["model"]
        if name == "broken":
            return JSONResponse(MODEL | {"name": name, "state": "failed", "reason": "no such file: best.pt"})
        return JSONResponse(MODEL) if name == "demo" else problem(404, "model-not-found", f"no model {name}")

    async def readiness(self, _: Request) -> Response:
        reasons = [] if self.ready else [{"model": "demo", "state": "starting", "reason": "loading"}]
        body = {"status": "ready" if self.ready else "not ready", "reasons": reasons, "degraded": []}
        return JSONResponse(body, 200 if self.ready else 503)

    async def predict(self, request: Request) -> Response:
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            return await self._predict(request)
        finally:
            self._now -= 1

    async def _predict(self, request: Request) -> Response:
        model, query = request.path_params["model"], request.query_params.multi_items()
        images = await images_of(request)
        self.asked.append(Asked(model, query, images, dict(request.headers)))
        if self.first:
            return self.first.popleft()
        if model != "demo":
            return problem(404, "model-not-found", f"no model {model}")
        if unknown := {name for name, _ in query} - OPTIONS:
            return problem(422, "invalid-request", f"unknown: {', '.join(sorted(unknown))}")
        if any(content == b"slow" for _, content in images):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if any(content == b"cut" for _, content in images):
            return CutOff()
        if any(content == b"huge" for _, content in images):
            return problem(422, "invalid-request", "too many tiles")
        if any(content == b"bad" for _, content in images):
            return problem(422, "invalid-image", "the image cannot be read")
        await asyncio.sleep(0)
        file_format = dict(query).get("format", "json")
        if file_format == "json":
            entries = [{"name": name, "width": 960, "height": 540, **self.result(text)} for name, text in images]
            return JSONResponse({"model": model, "revision": "1", "licence": "CC-BY-4.0", "images": entries})
        return exported(file_format, images)

    def result(self, text: bytes) -> dict[str, Any]:
        score = float(text) / 100 if text.isdigit() else 0.5
        box = {"x1": 1.0, "y1": 2.0, "x2": 30.5, "y2": 40.0}
        results = {
            "detections": [{"label": "Fish", "class_id": 0, "score": score, "box": box}],
            "classes": [{"label": "Fish", "class_id": 0, "score": score}],
            "embedding": [score, 1.0],
            "answer": {"bboxes": [[1, 2, 3, 4]]},
        }
        return {self.kind: results[self.kind], "timings": {"decode_s": 0.001, "batch_size": 2}}


async def images_of(request: Request) -> list[tuple[str | None, bytes]]:
    if "multipart/form-data" not in request.headers.get("content-type", ""):
        return [(None, await request.body())]
    async with request.form() as form:
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        return [(file.filename, await file.read()) for file in files]


def exported(file_format: str, images: list[tuple[str | None, bytes]]) -> Response:
    """A file of this format, of which each counts from 1."""
    names = [name or f"image-{at}.jpg" for at, (name, _) in enumerate(images, 1)]
    found = list(enumerate(zip(names, (text.decode(errors="replace") for _, text in images), strict=True), 1))
    box = [1.0, 2.0, 29.5, 38.0]
    category = {"id": 1 + int(names[0][-5:-4] in "13579"), "name": "Crab" if names[0][-5:-4] in "13579" else "Fish"}
    match file_format:
        case "fathomnet-csv":
            text = "".join(["concept,image,score\r\n", *(f"Fish,{name},{score}\r\n" for _, (name, score) in found)])
            return Response(text, media_type="text/csv")
        case "viame-csv":
            lines = ["# 1: Detection or Track-id,2: image,3: frame,4-7: box", "# written by a fake"]
            lines += [f'{at},"{name}",{at - 1},1,2,30,40,0.5,-1,Fish,0.5' for at, (name, _) in found]
            return Response("\n".join(lines) + "\n", media_type="text/csv")
        case "vars" | "tator":
            return JSONResponse([{"media": name, "localizations": []} for _, (name, _) in found])
        case "coco":
            return JSONResponse([{"image_id": at, "file_name": name, "score": 0.5} for at, (name, _) in found])
        case "coco-dataset":
            rows = [{"id": at, "file_name": name, "width": 960, "height": 540} for at, (name, _) in found]
            notes = [{"id": at, "image_id": at, "category_id": category["id"], "bbox": box} for at, _ in found]
            document = {"info": {"description": "fake"}, "images": rows, "annotations": notes}
            return JSONResponse(document | {"categories": [category]})
        case "megadetector":
            rows = [
                {"file": name, "detections": [{"category": "1", "conf": 0.5, "bbox": box}]} for _, (name, _) in found
            ]
            return JSONResponse({"info": {}, "detection_categories": {"1": category["name"]}, "images": rows})
        case "voc":
            return Response(f"<annotation><filename>{names[0]}</filename></annotation>", media_type="application/xml")
        case "picture":
            return Response(b"\x89PNG" + names[0].encode(), media_type="image/png")
    return problem(422, "invalid-request", f"format={file_format}: did you mean coco?")


def problem(status: int, code: str, detail: str, retry_after: str | None = None) -> Response:
    body = {"type": "about:blank", "title": "No", "status": status, "detail": detail, "code": code}
    headers = {"X-Request-Id": "abc"} | ({} if retry_after is None else {"Retry-After": retry_after})
    return Response(json.dumps(body), status, headers, media_type="application/problem+json")


class CutOff(StreamingResponse):
    """An answer whose connection is lost in the middle."""

    def __init__(self) -> None:
        async def half() -> AsyncIterator[bytes]:
            yield b"{"

        super().__init__(half(), headers={"Content-Length": "1000"})


@dataclass
class Door:
    """A real socket, behind which one fake after the other stands."""

    address: str = ""
    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@contextmanager
def open_door() -> Iterator[Door]:
    """On a port of its own, in a thread of its own."""
    door = Door()
    server = uvicorn.Server(uvicorn.Config(door, port=0, lifespan="off", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, 10, "the start of the fake server", 0.005)
        [port] = {one.getsockname()[1] for one in server.servers[0].sockets}
        door.address = f"http://127.0.0.1:{port}"
        yield door
    finally:
        server.should_exit = server.force_exit = True
        thread.join()
