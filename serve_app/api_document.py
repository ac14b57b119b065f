"""Puts the OpenAPI document together: what FastAPI knows of the routes, what their faces say of them, and what any of
them may answer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from serve_app.access.routes import OPEN, ROUTES
from serve_app.faces.face import Face
from serve_app.http.openapi_parts import PROBLEM, PROBLEM_TYPE, problems, ref
from serve_app.http.problems import SENTENCE

EVERYWHERE = (429, 431, 500, 503, 504)
"""What every route may answer: a failure of ours, and what HAProxy says in the door's place."""

WITHOUT_KEY = (401, 403)
"""What a route that is not open may answer where the server asks for API keys."""

DOCUMENT_PATH = "/openapi.json"

ABOUT = """Finds animals in underwater images.

Every error is a problem document (RFC 9457). HAProxy, which stands in front, answers what is not HTTP with 400 and a
head that does not end with 408, as HTML. HEAD answers as GET does, without the body; OPTIONS names the methods of a
path. All paths are also there under `/model/v1`. Files of the page lie under `/static/`, those of this viewer under
`/docs/`."""


def describe_api(api: FastAPI, faces: Sequence[Face]) -> None:
    """Answers /openapi.json with the document of these faces. It is written once, when it is first asked for: writing
    its 300 kB for each of many clients would keep all others waiting."""
    written: list[bytes] = []

    @api.get(DOCUMENT_PATH, include_in_schema=False)
    async def openapi_document() -> Response:
        if not written:
            written.append(orjson.dumps(_document(api, faces)))
        return Response(written[0], media_type="application/json")


def _document(api: FastAPI, faces: Sequence[Face]) -> dict[str, Any]:
    found = get_openapi(title=api.title, version=api.version, description=ABOUT, routes=api.routes)
    schemas: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
    # FastAPI's own errors, which no route of ours answers.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = PROBLEM
    for face in faces:
        schemas |= face.schemas
    of_face = {path: face for face in faces for path in face.paths()}
    for path, methods in found["paths"].items():
        face = of_face[path.rstrip("/")]
        everywhere = EVERYWHERE if ROUTES.get(path) is OPEN else (*WITHOUT_KEY, *EVERYWHERE)
        for operation in methods.values():
            _complete(operation["responses"], everywhere, face.problem_members)
            _retype(operation["responses"], face.problem_type)
    # Where this document itself lies, also behind a prefix.
    found["servers"] = [{"url": "."}]
    return found


def _complete(responses: dict[str, Any], everywhere: Iterable[int], beside: Mapping[str, Any]) -> None:
    said = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if said.get("$ref", "").endswith("/HTTPValidationError"):
        del responses["422"]
    for status, said_everywhere in problems(*everywhere).items():
        known = responses.setdefault(str(status), said_everywhere)
        known["content"].setdefault(PROBLEM_TYPE, {"schema": ref("Problem")})
    for known in responses.values():
        if beside and PROBLEM_TYPE in known.get("content", {}):
            known["content"][PROBLEM_TYPE] = {"schema": _with_members(beside)}
    for code in sorted(responses):
        responses[code] = responses.pop(code)


def _retype(responses: dict[str, Any], problem_type: str) -> None:
    for known in responses.values():
        content = known.get("content", {})
        if problem_type != PROBLEM_TYPE and PROBLEM_TYPE in content:
            content[problem_type] = content.pop(PROBLEM_TYPE)


def _with_members(beside: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: {"type": "string"} if value is SENTENCE else {"const": value} for name, value in beside.items()}
    return {"allOf": [ref("Problem"), {"type": "object", "required": list(own), "properties": own}]}
