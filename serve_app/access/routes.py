"""What each route of the door asks for: the one table, complete by a test.

A path that is not in it answers 404 while keys are asked for, so that a route which was forgotten here is closed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.routing import compile_path

from serve_app.access.keys import Scope

OPEN = None
"""For everybody: whether the system lives, the page's own files, and what the routes are."""

_SEGMENTING = ("/sam", "/sam_v2", "/sam_multi", "/sam_multi_v2", "/sam-embed", "/filet_predictor")

_ROBOFLOW_TASKS = ("object_detection", "classification", "instance_segmentation")
_ULTRALYTICS_MODELS = ("/{model}", "/api/models/{owner}/{project}/{model}", "/api/deployments/{owner}/{model}")
_FASTAPI_YOLOV5_PATHS = tuple(
    f"{model}{path}" for model in ("", "/{model}") for path in ("/", "/predict", "/predict/", "/image", "/image/")
)

ROUTES: Mapping[str, Scope | None] = {
    "/": OPEN,
    "/health/live": OPEN,
    "/health/ready": OPEN,
    **dict.fromkeys(("/health", "/healthz", "/livez", "/readyz", "/q/health"), OPEN),
    "/docs": OPEN,
    "/openapi.json": OPEN,
    "/v1/samples": OPEN,
    **{f"{path}{slash}": Scope.PREDICT for path in ("/predictor", *_SEGMENTING) for slash in ("", "/")},
    "/v1/models": Scope.PREDICT,
    "/v1/models/{model}": Scope.PREDICT,
    "/v1/models/{model}/predict": Scope.PREDICT,
    "/v1/models/{model}/ready": Scope.PREDICT,
    "/v1/system": Scope.PREDICT,
    **dict.fromkeys(("/api/functions", "/api/functions/{model}", "/api/function_invocations"), Scope.PREDICT),
    **{
        f"/label-studio/{{model}}{rest}": Scope.PREDICT
        for rest in ("", "/", "/health", "/versions", "/setup", "/predict", "/webhook")
    },
    "/metrics": Scope.METRICS,
    "/roboflow/info": OPEN,
    **dict.fromkeys((f"/roboflow/model/{verb}" for verb in ("registry", "add", "remove", "clear")), Scope.PREDICT),
    **dict.fromkeys((f"/roboflow/infer/{task}" for task in _ROBOFLOW_TASKS), Scope.PREDICT),
    "/roboflow/{model}/1": Scope.PREDICT,
    **dict.fromkeys((f"/ultralytics{path}/predict" for path in _ULTRALYTICS_MODELS), Scope.PREDICT),
    "/pythia/q/health": OPEN,
    **dict.fromkeys(("/pythia/predict", "/pythia/predict/"), Scope.PREDICT),
    **dict.fromkeys(("/vss", "/vss/", "/vss/health"), OPEN),
    **dict.fromkeys(("/vss/projects", "/vss/ids/{project}"), Scope.PREDICT),
    **{f"/vss/{what}/{{project}}{slash}": Scope.PREDICT for what in ("embed", "knn/{top_n}") for slash in ("", "/")},
    **{f"/vss{base}/predict/job/{{job}}/{{project}}": Scope.PREDICT for base in ("", "/knn", "/ws")},
    "/vss/vectors/{project}": Scope.ADMIN,
    "/fastapi-yolov5/health": OPEN,
    "/fastapi-yolov5/{model}/health": Scope.PREDICT,
    **{f"/fastapi-yolov5{path}": Scope.PREDICT for path in _FASTAPI_YOLOV5_PATHS},
    **dict.fromkeys(("/v2", "/v2/health/live", "/v2/health/ready"), OPEN),
    **{
        f"/v2/models/{{model}}{version}{path}": Scope.PREDICT
        for version in ("", "/versions/{version}")
        for path in ("", "/ready", "/config", "/stats", "/infer")
    },
    "/v2/models/stats": Scope.PREDICT,
    "/v2/repository/index": Scope.PREDICT,
    **{f"/v2/repository/models/{{model}}/{change}": Scope.PREDICT for change in ("load", "unload")},
}
"""Template of a route, as the router has it -> what a key needs."""

BY_METHOD: Mapping[str, Mapping[str, Scope]] = {
    "/v1/models": {"POST": Scope.ADMIN},
    "/v1/models/{model}": {"DELETE": Scope.ADMIN},
}
"""Templates of which a method needs another scope than the rest."""

OPEN_FOLDERS = ("/static", "/docs")
"""Prefixes of mounted files, all of them open."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table. path: its template, under the name that the router's own routes have for it."""

    path: str

    scope: Scope | None

    by_method: Mapping[str, Scope] = field(default_factory=dict)
    """Methods that need another scope."""

    def scope_for(self, method: str) -> Scope | None:
        """What a key needs for this method."""
        return self.by_method.get(method, self.scope)


class RouteTable:
    """Finds the row of a path."""

    def __init__(self, routes: Mapping[str, Scope | None] = ROUTES) -> None:
        rows = [Route(path, scope, BY_METHOD.get(path, {})) for path, scope in routes.items()]
        self._plain = {row.path: row for row in rows if "{" not in row.path}
        self._patterns: list[tuple[re.Pattern[str], Route]] = [
            (compile_path(row.path)[0], row) for row in rows if "{" in row.path
        ]

    def of(self, path: str) -> Route | None:
        """None for a path that no route answers."""
        if found := self._plain.get(path):
            return found
        for folder in OPEN_FOLDERS:
            if path == folder or path.startswith(f"{folder}/"):
                return Route(folder, OPEN)
        return next((route for pattern, route in self._patterns if pattern.match(path)), None)
