"""The parts of which each face makes what the OpenAPI document says of its routes: answers, problem documents,
parameters of the query."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from deployments.errors import all_error_types

Described = dict[int | str, dict[str, Any]]
"""Status -> what the document says of it, as FastAPI's `responses` takes it."""

PROBLEM_TYPE = "application/problem+json"

WHEN: Mapping[int, str] = {
    401: "This server asks for an API key, and this one is missing, wrong, revoked or expired.",
    403: "The API key has not the scope that this route asks for.",
    404: "There is no such model.",
    406: "None of the accepted media types can be written.",
    408: "The upload paused, or was too slow.",
    413: "The body or an image is larger than the limit, which the detail names.",
    415: "The body is compressed, or of a content type that is not read.",
    422: "A field, an option or an image is wrong; the detail says which, and what is right.",
    429: "Too much work waits, or this address has too many connections. Retry-After says when to try again.",
    431: "The head of the request is too large.",
    500: "A failure of the server; its log has the details.",
    503: "The model, or the door, cannot answer now. Retry-After says when to try again.",
    504: "No answer in time.",
}

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, for people"},
        "code": {"type": "string", "examples": sorted({kind.code for kind in all_error_types()})},
    },
}


def ref(schema: str) -> dict[str, str]:
    """A reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{schema}"}


def problems(*statuses: int) -> Described:
    """Problem documents with these statuses."""
    return {
        status: answers(f"{HTTPStatus(status).phrase}. {WHEN[status]}", ref("Problem"), PROBLEM_TYPE)
        for status in statuses
    }


def answers(description: str, schema: Mapping[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    """One answer with a body."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


def query_parameters(schemas: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> list[dict[str, Any]]:
    """Optional parameters of the query, one for each name."""
    return [{"name": name, "in": "query", "required": False, "schema": schemas[name]} for name in names]
