"""The one table from the core's errors to HTTP answers (RFC 9457 problem details).

On the legacy routes, and in HAProxy's own answers, the members `"success": false, "predictions": null` stand beside
the problem's own: old clients show an error for null, while an empty list would read as "no animals here".
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InternalError,
    InvalidImage,
    InvalidRequest,
    ModelCrashed,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)

STATUS: dict[type[ServingError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ModelNotFound: HTTPStatus.NOT_FOUND,
    ModelUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelCrashed: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    InternalError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ServingError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

TITLE: dict[type[ServingError], str] = {
    InvalidRequest: "The request is not valid",
    InvalidImage: "The image cannot be read",
    ImageTooLarge: "The image is too large",
    ModelNotFound: "There is no such model",
    ModelUnavailable: "The model cannot answer now",
    ModelCrashed: "The model fails on this request",
    Overloaded: "Too much work is waiting",
    DeadlineExceeded: "The model did not answer in time",
    InternalError: "Something went wrong in the server",
    ServingError: "Something went wrong in the server",
}

RETRY_AFTER_S: dict[type[ServingError], float] = {ModelUnavailable: 5, Overloaded: 1}

LEGACY_MEMBERS: Mapping[str, Any] = {"success": False, "predictions": None}


NO_MEMBERS: Mapping[str, Any] = {}

SENTENCE = object()
"""Stands for the problem's `detail`, where clients look for it under another name: `{"error": SENTENCE}`."""


def problem_members(error: ServingError) -> dict[str, Any]:
    """The problem document of `error`, for a route that answers several things at once."""
    kind = type(error)
    return _members(STATUS[kind], TITLE[kind], error.message) | {"code": error.code}


def problem(error: ServingError, beside: Mapping[str, Any] = NO_MEMBERS) -> Response:
    """The answer for `error`. beside: members that clients of this route look for beside the problem's own."""
    kind = type(error)
    members = problem_members(error)
    headers = {}
    if kind in RETRY_AFTER_S:
        headers["Retry-After"] = str(math.ceil(RETRY_AFTER_S[kind]))
    return _response(members, headers, beside)


def status_problem(status: int, detail: str, beside: Mapping[str, Any] = NO_MEMBERS) -> Response:
    """The answer for an HTTP condition outside the core, such as an unknown route."""
    title = HTTPStatus(status).phrase
    return _response(_members(HTTPStatus(status), title, detail), {}, beside)


def http_problem(error: HTTPException, detail: str, beside: Mapping[str, Any] = NO_MEMBERS) -> Response:
    """The answer for an HTTP condition that was raised, with the headers that it brings."""
    response = status_problem(error.status_code, detail, beside)
    response.headers.update(error.headers or {})
    return response


def _members(status: HTTPStatus, title: str, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": int(status), "detail": detail}


def _response(members: dict[str, Any], headers: dict[str, str], beside: Mapping[str, Any]) -> Response:
    own = {name: members["detail"] if value is SENTENCE else value for name, value in beside.items()}
    body = {**own, **members}
    return Response(
        orjson.dumps(body),
        status_code=members["status"],
        headers=headers,
        media_type="application/problem+json",
    )
