"""CVAT as far as `cvat-cli` 2.80 asks it for a task: its labels, its frames in one chunk, and where annotations go.

The shapes of the answers are those of cvat-sdk's models (TaskRead, DataMetaRead, PaginatedLabelList, About)."""

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TASK = 5
TOKEN = "a-personal-access-token"
WHEN = "2026-11-01T12:00:00Z"


@dataclass
class StubCvat:
    """labels: name -> type, numbered from 100. frames: name -> image file."""

    labels: dict[str, str]
    frames: dict[str, bytes]
    written: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Method and body of what annotated the task."""
    functions: list[dict[str, Any]] = field(default_factory=list)
    asked_without_token: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        task = f"/api/tasks/{TASK}"
        routes = [
            Route("/api/server/about", lambda _: JSONResponse(ABOUT)),
            Route(task, self._task),
            Route("/api/functions", self._create_function, methods=["POST"]),
            Route("/api/labels", self._labels),
            Route(f"{task}/data/meta", self._meta),
            Route(f"{task}/data", self._chunk),
            Route(f"{task}/annotations/", self._annotate, methods=["PATCH", "PUT"]),
            Route(f"{task}/annotations", self._annotate, methods=["PATCH", "PUT"]),
        ]
        return Starlette(routes=routes)

    def _look(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            self.asked_without_token.append(request.url.path)

    async def _task(self, request: Request) -> Response:
        self._look(request)
        summary = {"url": f"http://{request.url.netloc}/api/labels?task_id={TASK}"}
        return JSONResponse(
            {
                "id": TASK,
                "name": "dive 7",
                "size": len(self.frames),
                "data_chunk_size": 100,
                "data_original_chunk_type": "imageset",
                "mode": "annotation",
                "dimension": "2d",
                "organization": None,
                "updated_date": WHEN,
                "created_date": WHEN,
                "labels": summary,
                "jobs": {"completed": 0, "validation": 0, "count": 1, **summary},
            }
        )

    async def _create_function(self, request: Request) -> Response:
        self._look(request)
        sent = await request.json()
        self.functions.append(sent)
        return JSONResponse({"id": len(self.functions), **sent}, 201)

    async def _labels(self, request: Request) -> Response:
        self._look(request)
        results = [
            {"id": number, "name": name, "type": kind, "attributes": [], "sublabels": [], "has_parent": False}
            for number, (name, kind) in enumerate(self.labels.items(), 100)
        ]
        return JSONResponse({"count": len(results), "next": None, "previous": None, "results": results})

    async def _meta(self, request: Request) -> Response:
        self._look(request)
        frames = [{"name": name, "width": 100, "height": 50, "related_files": 0} for name in self.frames]
        return JSONResponse(
            {
                "chunks_updated_date": WHEN,
                "chunk_size": 100,
                "size": len(frames),
                "image_quality": 70,
                "start_frame": 0,
                "stop_frame": len(frames) - 1,
                "frame_filter": "",
                "deleted_frames": [],
                "frames": frames,
            }
        )

    async def _chunk(self, request: Request) -> Response:
        self._look(request)
        asked = {name: request.query_params.get(name) for name in ("type", "number", "quality")}
        assert asked == {"type": "chunk", "number": "0", "quality": "original"}, asked
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as chunk:
            for number, file in enumerate(self.frames.values()):
                chunk.writestr(f"{number:06d}.png", file)
        return Response(buffer.getvalue(), media_type="application/zip")

    async def _annotate(self, request: Request) -> Response:
        self._look(request)
        body = await request.json()
        self.written.append((f"{request.method} {request.query_params.get('action', '')}".strip(), body))
        return JSONResponse({"version": 1, "tags": [], "shapes": [], "tracks": []})


ABOUT = {
    "name": "Computer Vision Annotation Tool",
    "description": "",
    "version": "2.80.0",
    "logo_url": "http://localhost/logo.svg",
    "subtitle": "",
}
