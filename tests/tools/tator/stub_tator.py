"""Tator as far as `fathom tator` asks it, with tator-py 1.8.1: the schema, from which the package takes what it can
ask, two media, and localizations that are kept. Shapes: cvisionai/tator, `api/main/schema/`."""

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROJECT, BOXES, DOTS, IMAGE, VIDEO = 3, 7, 8, 11, 12
TOKEN = "a-token"


def _operation(name: str, *query: str, body: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": name,
        "parameters": [{"name": one, "in": "query", "schema": {"type": "string"}} for one in query],
        "responses": {"200": {}, "201": {}},
    }
    if body:
        found["requestBody"] = {"content": {"application/json": {"schema": {"oneOf": []}}}}
    return found


_LISTED = ("media_id", "type", "version", "after", "show_deleted", "start", "stop")
SCHEMA = {
    "paths": {
        "/rest/LocalizationType/{id}": {"get": _operation("GetLocalizationType")},
        "/rest/Media/{id}": {"get": _operation("GetMedia", "presigned")},
        "/rest/GetFrame/{id}": {"get": _operation("GetFrame", "frames", "tile", "quality")},
        "/rest/Localizations/{project}": {
            "get": _operation("GetLocalizationList", *_LISTED),
            "post": _operation("CreateLocalizationList", body=True),
        },
        "/rest/DownloadInfo/{project}": {"post": _operation("GetDownloadInfo", "expiration", body=True)},
    }
}
"""As JSON, which is YAML too."""


@dataclass
class StubTator:
    """frame: the file of the image, and of each frame of the video."""

    frame: bytes
    video_frames: int = 4
    kept: list[dict[str, Any]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    """Elemental ids that a person has deleted."""
    frames_asked: list[int] = field(default_factory=list)
    requests_to_write: int = 0
    silent_on_write: bool = False
    fails_on_write: int | None = None
    """The number of the request to write that fails."""

    def app(self) -> Starlette:
        routes = [
            Route("/schema", lambda _: Response(json.dumps(SCHEMA), media_type="application/yaml")),
            Route("/files/image.png", lambda _: Response(self.frame, media_type="image/png")),
            Route("/rest/LocalizationType/{id:int}", self._type),
            Route("/rest/Media/{id:int}", self._media),
            Route("/rest/GetFrame/{id:int}", self._frame),
            Route("/rest/DownloadInfo/{project:int}", self._download, methods=["POST"]),
            Route("/rest/Localizations/{project:int}", self._list),
            Route("/rest/Localizations/{project:int}", self._create, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _type(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Token {TOKEN}":
            return JSONResponse({"message": "Authentication credentials were not provided."}, 401)
        kind = request.path_params["id"]
        attributes = [{"name": "Label", "dtype": "string"}, {"name": "Confidence", "dtype": "float"}]
        shape = "box" if kind == BOXES else "dot"
        return JSONResponse({"id": kind, "name": "Boxes", "dtype": shape, "attribute_types": attributes})

    async def _media(self, request: Request) -> Response:
        medium = request.path_params["id"]
        members = {"id": medium, "project": PROJECT, "name": f"medium {medium}"}
        definition = {"path": "project/image.png", "resolution": [50, 100], "mime": "image/png"}
        if medium == IMAGE:
            return JSONResponse({**members, "media_files": {"image": [definition]}})
        if medium == VIDEO:
            video = {"path": "project/video.mp4", "resolution": [50, 100], "codec": "h264"}
            return JSONResponse({**members, "num_frames": self.video_frames, "media_files": {"streaming": [video]}})
        return JSONResponse({"message": f"Media matching query does not exist: {medium}"}, 404)

    async def _download(self, request: Request) -> Response:
        [key] = (await request.json())["keys"]
        return JSONResponse([{"key": key, "url": f"http://{request.url.netloc}/files/image.png"}])

    async def _frame(self, request: Request) -> Response:
        self.frames_asked.append(int(request.query_params["frames"]))
        return Response(self.frame, media_type="image/png")

    async def _list(self, request: Request) -> Response:
        asked = request.query_params
        found = [
            one
            for one in self.kept
            if str(one["media_id"]) in asked["media_id"].split(",")
            and str(one["type"]) == asked["type"]
            and (asked.get("show_deleted") == "1" or one["elemental_id"] not in self.deleted)
            and one["id"] > int(asked.get("after", 0))
        ]
        return JSONResponse(found[int(asked["start"]) : int(asked["stop"])])

    async def _create(self, request: Request) -> Response:
        self.requests_to_write += 1
        if self.silent_on_write:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        if self.requests_to_write == self.fails_on_write:
            return JSONResponse({"message": "the database is busy"}, 500)
        specs = await request.json()
        assert 1 <= len(specs) <= 500
        assert all(0 <= spec[side] <= 1 for spec in specs for side in ("x", "y", "width", "height"))
        ids = list(range(len(self.kept) + 1, len(self.kept) + 1 + len(specs)))
        self.kept += [{**spec, "id": number} for spec, number in zip(specs, ids, strict=True)]
        return JSONResponse({"message": f"Successfully created {len(ids)} localizations!", "id": ids}, 201)
