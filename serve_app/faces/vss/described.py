"""What the OpenAPI document says of the face for clients of fastapi-vss."""

from typing import Any

from deployments.vectors.limits import LONGEST_NAME, LONGEST_PROJECT, MAX_NEIGHBOURS
from serve_app.faces.vss.labelled import LABEL, MAX_LABELLED, MODEL
from serve_app.faces.vss.sent import FILES, MAX_IMAGES
from serve_app.http.openapi_parts import Described, answers, problems, query_parameters, ref

Schema = dict[str, Any]

VECTORS = "/vectors/{project}"

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NAME: Schema = {**_TEXT, "minLength": 1, "maxLength": LONGEST_NAME}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _lists(of: Schema, said: str) -> Schema:
    return {"type": "array", "items": {"type": "array", "items": of}, "description": said}


_RESULT = _object(
    ["filenames"],
    filenames=_TEXTS,
    embeddings=_lists({"type": "number"}, "One for each image, of /embed"),
    predictions=_lists(_TEXT, "Labels, the nearest first, for each image, of /knn"),
    scores=_lists({"type": "number"}, "1 minus the cosine of the angle, 0 to 2, of each of these labels"),
    ids=_lists(_TEXT, "The id of each of these labels"),
)

SCHEMAS: dict[str, Schema] = {
    "VssSubmitted": _object(["job_id", "Comment"], job_id={**_TEXT, "format": "uuid"}, Comment=_TEXT),
    "VssJob": _object(
        ["status"],
        status={"enum": ["pending", "done", "failed"]},
        result=_RESULT,
        results={**_RESULT, "description": "The same as `result`, of /knn: aipipeline reads this name"},
        message={**_TEXT, "description": "Why it failed"},
    ),
    "VssAdded": _object(
        ["project", "model", "revision", "dimension", "added", "count"],
        project=_TEXT,
        model=_TEXT,
        revision=_TEXT,
        dimension=_COUNT,
        added=_COUNT,
        count={**_COUNT, "description": "Images that the project has now"},
    ),
}

WELCOME: Described = {200: answers("Which server this is", _object(["message"], message=_TEXT))}
HEALTH: Described = {
    200: answers("The door answers; whether Redis does, /vss/projects says",
                 _object(["status", "version"], status={"const": "ok"}, version=_TEXT))
}  # fmt: skip
PROJECTS: Described = {
    200: answers("Projects with labelled images, and models that embed", _object(["projects"], projects=_TEXTS)),
    **problems(503),
}
IDS: Described = {
    200: answers("Up to 100, in no order", _object(["ids", "classes"], ids=_TEXTS, classes=_TEXTS)),
    **problems(404, 422, 503),
}
SUBMITTED: Described = {200: answers("A job", ref("VssSubmitted")), **problems(404, 408, 413, 415, 422, 503)}
JOB: Described = {200: answers("What became of it", ref("VssJob")), **problems(404, 422, 503)}
ADDED: Described = {
    200: answers("The project as it is now", ref("VssAdded")),
    **problems(403, 404, 408, 413, 415, 422, 503),
}
REMOVED: Described = {
    200: answers("How many were removed", _object(["project", "removed"], project=_TEXT, removed=_COUNT)),
    **problems(403, 404, 422, 503),
}

_PARAMETERS: dict[str, Schema] = {
    "project": {**_TEXT, "minLength": 1, "maxLength": LONGEST_PROJECT},
    "top_n": {"type": "integer", "minimum": 1, "maximum": MAX_NEIGHBOURS},
    "job": {**_TEXT, "format": "uuid"},
}


def request(method: str, path: str) -> dict[str, Any]:
    """What a route takes."""
    named = [name for name in _PARAMETERS if f"{{{name}}}" in path]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]} for name in named]
    if method == "DELETE":
        return {"parameters": [*parameters, *query_parameters({LABEL: _NAME}, [LABEL])]}
    if method == "POST":
        form = _form(MAX_LABELLED, LABEL, MODEL) if path == VECTORS else _form(MAX_IMAGES)
        body = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
        return {"parameters": parameters, "requestBody": body}
    return {"parameters": parameters}


def _form(most: int, *fields: str) -> Schema:
    """most: images.  fields: beside them, the first of which is required."""
    image = {**_TEXT, "format": "binary"}
    images = {"type": "array", "items": image, "minItems": 1, "maxItems": most}
    properties = {FILES: images, **dict.fromkeys(fields, _NAME)}
    return {**_object([FILES, *fields[:1]], **properties), "additionalProperties": False}
