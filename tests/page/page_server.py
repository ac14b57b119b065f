"""A server that answers the page as the HTTP door does, on a real port, with answers that a test chooses.

Knows the wire (docs/http-api.md) and nothing of models, Ray or the door's own code, so that the page is tested
by itself. It sends the strict Content-Security-Policy that the page promises to work under.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = Path(__file__).parents[2] / "serve_app" / "page"
POLICY = "default-src 'self'; img-src 'self' blob: data:"
PREFIXES = ("", "/model/v1")
DEADLINE_S = 20.0


def model(name: str, state: str = "ready", **members: Any) -> dict[str, Any]:
    """One entry of `GET /v1/models`."""
    return {
        "name": name,
        "description": f"{name} for tests",
        "queues": [f"queue_{name}"],
        "family": "fake",
        "revision": "3",
        "labels": ["Sea star", "Sea cucumber", "Fish"],
        "licence": "Apache-2.0",
        "required": False,
        "state": state,
        "reason": "",
        "replicas": 1,
        "knobs": {"score_threshold": 0.25},
        **members,
    }


def detection(label: str, score: float, *box: float) -> dict[str, Any]:
    """One row of `predictions`; box: x1, y1, x2, y2 in pixels."""
    return {"category_id": label, "scores": [score], "bbox": list(box)}


def success(*predictions: Any, model: str = "alpha") -> dict[str, Any]:
    """The body of a 200 of `POST /predictor/`."""
    return {"success": True, "predictions": list(predictions), "model": model, "revision": "3"}


def problem(status: int, title: str, detail: str) -> dict[str, Any]:
    """The body of a failure of `POST /predictor/`."""
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return {**members, "success": False, "predictions": None}


@dataclass
class Asked:
    """One question that arrived."""

    model: str
    filename: str
    content: bytes


@dataclass
class FakeServer:
    """What the server says next, and what it was asked.

    `answering` is cleared to let questions wait, `listing` to let the list of models wait.
    """

    models: list[dict[str, Any]] = field(default_factory=lambda: [model("alpha"), model("beta", "asleep")])
    default_model: str = "alpha"
    sample: bytes | None = None
    key: str | None = None
    """Asked for by the list of models and by questions."""
    answer: tuple[int, dict[str, Any]] = (200, success())
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    listing: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answering.set()
        self.listing.set()

    def app(self) -> ASGIApp:
        """The routes, bare and behind the legacy prefix."""
        routes: list[Route | Mount] = []
        for prefix in PREFIXES:
            routes += [
                Route(f"{prefix}/", self._index),
                Route(f"{prefix}/v1/models", self._models),
                Route(f"{prefix}/v1/samples", self._samples),
                Route(f"{prefix}/v1/samples/scene.png", self._sample),
                Route(f"{prefix}/predictor/", self._predict, methods=["POST"]),
                Mount(f"{prefix}/static", StaticFiles(directory=PAGE)),
            ]
        policy = Middleware(_Policy, seen=self.paths)
        return Starlette(routes=routes, middleware=[policy])

    def _index(self, _: Request) -> Response:
        text = (PAGE / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace('<base href="../">', '<base href="./">'))

    def _models(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        self.listing.wait(DEADLINE_S)
        return JSONResponse({"default_model": self.default_model, "models": self.models})

    def _samples(self, _: Request) -> Response:
        if self.sample is None:
            return JSONResponse({"title": "Not found", "detail": "No samples."}, 404)
        return JSONResponse([{"name": "scene.png", "url": "v1/samples/scene.png"}])

    def _sample(self, _: Request) -> Response:
        return Response(self.sample, media_type="image/png")

    def _refusal(self, request: Request) -> Response | None:
        if self.key is None or request.headers.get("x-api-key") == self.key:
            return None
        return JSONResponse(problem(401, "Unauthorized", "This server asks for an API key."), 401)

    async def _predict(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        async with request.form() as form:
            upload = form["file"]
            assert isinstance(upload, UploadFile)
            self.asked.append(Asked(str(form["model_type"]), upload.filename or "", await upload.read()))
        await run_in_threadpool(self.answering.wait, DEADLINE_S)
        status, body = self.answer
        return JSONResponse(body, status, headers=self.headers)


class _Policy:
    """Adds the policy to every answer and notes every path asked for."""

    def __init__(self, app: ASGIApp, seen: list[str]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", POLICY.encode()),
                    (b"cache-control", b"no-store"),
                ]
            await send(message)

        if scope["type"] == "http":
            self._seen.append(scope["path"])
            await self._app(scope, receive, send_with_policy)
        else:
            await self._app(scope, receive, send)


@contextmanager
def serving(fake: FakeServer) -> Iterator[str]:
    """Runs `fake` on a free port of the loopback; yields its root URL, without a slash at the end."""
    config = uvicorn.Config(fake.app(), host="127.0.0.1", port=0, ws="none", lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()  # a question that comes before uvicorn is up waits instead of being refused
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        fake.answering.set()
        fake.listing.set()
        server.should_exit = True
        server.force_exit = True
        thread.join(DEADLINE_S)
        listener.close()
