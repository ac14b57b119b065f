"""SQUIDLE+ as far as sqapi 0.60 asks it for an annotation set: its media and points, and where suggestions go.

The shapes are those that sqapi reads and writes (`sqapi/annotate.py`, `sqapi/request.py`)."""

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

SET, SCHEME, COLLECTION, USER = 40, 5, 60, 9
KEY = "a-key"
LABELS = {"Seastars": 501, "Fishes": 502}


@dataclass
class StubSquidle:
    """media: id -> image file. points: of each medium; x and y None for the whole image."""

    media: dict[int, bytes]
    points: list[tuple[float | None, float | None]]
    sets: list[dict[str, Any]] = field(default_factory=list)
    written: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sets.append(
            {
                "id": SET,
                "name": "dive 7",
                "label_scheme": {"id": SCHEME},
                "media_collection": {"id": COLLECTION},
                "user": {"id": 1, "username": "a.person"},
            }
        )

    def app(self) -> Starlette:
        routes = [
            Route("/api/users/login", self._user),
            Route("/api/annotation_set", self._sets),
            Route("/api/annotation_set", self._new_set, methods=["POST"]),
            Route(f"/api/label_scheme/{SCHEME}", lambda _: JSONResponse({"parent_label_scheme_ids": [SCHEME, 1]})),
            Route("/api/label", self._label),
            Route("/api/media", self._media),
            Route("/api/media/{medium:int}/annotations/{set:int}", self._points),
            Route("/api/annotation", self._annotation, methods=["POST"]),
            Route("/files/{medium:int}", self._file),
        ]
        return Starlette(routes=routes)

    async def _user(self, request: Request) -> Response:
        if request.headers.get("x-auth-token") != KEY:
            return JSONResponse({"message": "Unauthorised"}, 401)
        return JSONResponse({"id": USER, "first_name": "A", "last_name": "Bot"})

    async def _sets(self, request: Request) -> Response:
        wanted = {one["name"]: one["val"] for one in json.loads(request.query_params["q"])["filters"]}
        found = [one for one in self.sets if all(one.get(name) == value for name, value in wanted.items())]
        return JSONResponse({"num_results": len(found), "page": 1, "total_pages": 1, "objects": found})

    async def _new_set(self, request: Request) -> Response:
        assert request.headers.get("x-auth-token") == KEY
        sent = await request.json()
        made = {**sent, "id": SET + len(self.sets), "media_collection": {"id": sent["media_collection_id"]}}
        self.sets.append(made)
        return JSONResponse(made)

    async def _label(self, request: Request) -> Response:
        query = json.loads(request.query_params["q"])
        by_name, of_scheme = query["filters"]
        assert query["single"] is True
        assert of_scheme == {"name": "label_scheme_id", "op": "in", "val": [SCHEME, 1]}
        [wanted] = by_name["and"]
        if wanted["val"] not in LABELS:
            return JSONResponse({"message": "No result found"}, 404)
        return JSONResponse({"id": LABELS[wanted["val"]], "name": wanted["val"]})

    async def _media(self, request: Request) -> Response:
        page, size = int(request.query_params["page"]), int(request.query_params["results_per_page"])
        host = f"http://{request.url.netloc}/files"
        objects = [{"id": one, "path_best": f"{host}/{one}", "media_type": {"name": "image"}} for one in self.media]
        shown = objects[(page - 1) * size : page * size]
        return JSONResponse({"num_results": len(objects), "page": page, "total_pages": 1, "objects": shown})

    async def _points(self, request: Request) -> Response:
        assert request.path_params["set"] == SET
        medium = request.path_params["medium"]
        points = [
            {"id": medium * 10 + number, "x": x, "y": y, "t": None} for number, (x, y) in enumerate(self.points)
        ]
        return JSONResponse({"annotations": points})

    async def _annotation(self, request: Request) -> Response:
        self.written.append(await request.json())
        return JSONResponse({"id": len(self.written)})

    async def _file(self, request: Request) -> Response:
        return Response(self.media[request.path_params["medium"]], media_type="image/png")
