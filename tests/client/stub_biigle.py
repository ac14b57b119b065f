"""BIIGLE as far as `fathom biigle` asks it: one volume, its images and labels, and the rules for new annotations.

Shapes and rules: biigle/core, `app/Http/Controllers/Api/` and `app/Rules/AnnotationPoints.php`."""

import base64
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

VOLUME, VIDEOS, PROJECT = 4, 5, 11
FISH = 301
EMAIL, TOKEN = "a@example.org", "a-token"
BASIC = "Basic " + base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()


@dataclass
class StubBiigle:
    """files: number of an image -> its file; None for one that is in tiles. labels: number -> name."""

    files: dict[int, bytes | None]
    labels: dict[int, str] = field(default_factory=lambda: {FISH: "Fish"})
    kept: list[dict[str, Any]] = field(default_factory=list)
    elsewhere: str = ""
    """Where the files are, if not here."""
    authorised_elsewhere: list[str | None] = field(default_factory=list)
    answers_everything: Response | None = None

    def app(self) -> Starlette:
        routes = {
            f"volumes/{VOLUME}": self._volume,
            f"volumes/{VOLUME}/filenames": self._names,
            f"volumes/{VIDEOS}/filenames": lambda _: JSONResponse({"21": "dive.mp4"}),
            f"projects/{PROJECT}/label-trees": self._trees,
            "images/{image:int}": self._image,
            "images/{image:int}/file": self._file,
            "images/{image:int}/annotations": self._annotations,
        }
        api = [Route(f"/api/v1/{path}", self._guarded(answer)) for path, answer in routes.items()]
        write = Route("/api/v1/image-annotations", self._guarded(self._create), methods=["POST"])
        return Starlette(routes=[*api, write, Route("/elsewhere/{image:int}", self._elsewhere)])

    def _guarded(self, answer: Any) -> Any:
        async def guarded(request: Request) -> Response:
            if self.answers_everything is not None:
                return self.answers_everything
            if request.headers.get("authorization") != BASIC:
                return JSONResponse({"message": "Unauthenticated."}, 401)
            given = answer(request)
            return given if isinstance(given, Response) else await given

        return guarded

    async def _volume(self, _: Request) -> Response:
        return JSONResponse({"id": VOLUME, "name": "dive 7", "projects": [{"id": PROJECT, "name": "A project"}]})

    async def _names(self, _: Request) -> Response:
        return JSONResponse({str(number): f"{number}.jpg" for number in self.files} or [])

    async def _trees(self, _: Request) -> Response:
        labels = [{"id": number, "name": name, "parent_id": None} for number, name in self.labels.items()]
        return JSONResponse([{"id": 1, "name": "Global", "labels": labels}])

    async def _image(self, request: Request) -> Response:
        number = request.path_params["image"]
        # The image 21 is of another volume; 21 in the volume of videos is a video.
        volume = VOLUME if number in self.files else 99
        return JSONResponse({"id": number, "filename": f"{number}.jpg", "volume": {"id": volume}})

    async def _file(self, request: Request) -> Response:
        number = request.path_params["image"]
        file = self.files[number]
        if file is None:
            return JSONResponse({"uuid": "x", "width": 50_000, "height": 50_000})
        if self.elsewhere:
            return RedirectResponse(f"{self.elsewhere}/elsewhere/{number}")
        return Response(file, media_type="image/jpeg")

    async def _elsewhere(self, request: Request) -> Response:
        self.authorised_elsewhere.append(request.headers.get("authorization"))
        return Response(self.files[request.path_params["image"]] or b"", media_type="image/jpeg")

    async def _annotations(self, request: Request) -> Response:
        number = request.path_params["image"]
        return JSONResponse([one for one in self.kept if one["image_id"] == number])

    async def _create(self, request: Request) -> Response:
        sent = await request.json()
        problem = next((said for one in sent if (said := _refused(one))), "")
        if problem or not 1 <= len(sent) <= 100:
            errors = {"0.points": [problem or "too many"]}
            return JSONResponse({"message": "The given data was invalid.", "errors": errors}, 422)
        self.kept += [
            {
                "id": len(self.kept) + number,
                "image_id": one["image_id"],
                "shape_id": one["shape_id"],
                "points": [round(at, 2) for at in one["points"]],
                "labels": [{"label_id": one["label_id"], "user_id": 1, "confidence": one["confidence"]}],
            }
            for number, one in enumerate(sent, 1)
        ]
        return JSONResponse([{}] * len(sent))


def _refused(one: dict[str, Any]) -> str:
    points = list(zip(one["points"][::2], one["points"][1::2], strict=True))
    if not 0 <= one["confidence"] <= 1:
        return "The confidence must be between 0 and 1."
    if one["shape_id"] == 5 and not len(points) == len(set(points)) == 4:
        return "Invalid points for shape rectangle or ellipse: Not all 4 points are distinct."
    if one["shape_id"] == 3 and (len(set(points)) < 3 or points[0] != points[-1]):
        return "The first and last coordinate of a polygon must be the same."
    return ""
