"""The paths by which models come and go."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.byte_budget import HeldBytes
from deployments.catalogue import Catalogue
from deployments.errors import InvalidRequest, ModelNotFound
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.admin.changes import Changed, ChangeModels
from serve_app.faces.admin.described import MAX_BLOCK_BYTES, READ, SCHEMAS, add_operation, adding, removing
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import Face, FaceParts
from serve_app.http.origins import id_of
from serve_app.http.problems import status_problem

LISTED_WITHIN_S = 4.0
"""The door looks for new models every two seconds."""

_POLL_INTERVAL_S = 0.1
_JSON = "application/json"


def admin_face(parts: FaceParts, change: ChangeModels) -> Face:
    """Adding and removing models."""
    admin = _Admin(parts, change)
    router = APIRouter(tags=["admin"])

    @router.post(
        "/v1/models", status_code=202, responses=adding(), openapi_extra=add_operation(), summary="Add a model"
    )
    async def add_model(request: Request) -> Response:
        return await Endpoint(parts.budget).answer(request, admin.add)

    @router.delete("/v1/models/{model}", status_code=202, responses=removing(), summary="Remove a model")
    async def remove_model(model: str, request: Request) -> Response:
        del model  # read from the path by `remove`
        return await Endpoint(parts.budget).answer(request, admin.remove)

    return Face(router, schemas=SCHEMAS)


@dataclass(frozen=True, slots=True)
class _Admin:
    parts: FaceParts
    change: ChangeModels

    async def add(self, request: Request, held: HeldBytes) -> Response:
        noted = self._noted(request)
        is_json = _is_json(request.headers.get("content-type", ""))
        limits = replace(UploadLimits.of(self.parts.settings), max_bytes=MAX_BLOCK_BYTES)
        body = await read_body(request, limits, held)
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"the block is not UTF-8: {error.reason} at byte {error.start}") from None
        changed = await self.change({"add": text, "is_json": is_json, "noted": noted})
        if changed.status != HTTPStatus.ACCEPTED:
            return _refused(changed)
        await _wait_until_listed(self.parts.models.catalogue, changed.model)
        # Relative, as all addresses here: the door may stand behind a prefix.
        members = {"model": changed.model, "state": "starting", "notes": list(changed.notes)}
        return JSONResponse(members, HTTPStatus.ACCEPTED, {"Location": f"models/{changed.model}"})

    async def remove(self, request: Request, held: HeldBytes) -> Response:
        del held
        noted, name = self._noted(request), request.path_params["model"]
        changed = await self.change({"remove": name, "noted": noted})
        if changed.status != HTTPStatus.ACCEPTED:
            return _refused(changed)
        return JSONResponse({"model": changed.model, "state": "stopping", "notes": []}, HTTPStatus.ACCEPTED)

    def _noted(self, request: Request) -> Mapping[str, Any]:
        """Who asks, for the log of changes. Raises HTTPException where nobody has shown a key."""
        key = self.parts.key_of(request)
        if not key:
            raise HTTPException(
                HTTPStatus.FORBIDDEN,
                "models are added and removed over HTTP only where the server asks for API keys "
                "(FATHOM_API_KEYS_FILE), by a key with the scope admin; this one asks for none",
            )
        client = request.client.host if request.client else ""
        return {"key": key, "client": client, "request": id_of(request.scope)}


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in READ:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type {content_type[:100]!r} is not read; it must be one of {', '.join(READ)}",
            {"Accept": ", ".join(READ)},
        )
    return media_type == _JSON


def _refused(changed: Changed) -> Response:
    code = {404: "model-not-found", 409: "conflict", 422: "invalid-request"}.get(changed.status, "model-unavailable")
    beside = {"code": code, "problems": list(changed.problems)}
    response = status_problem(changed.status, "; ".join(changed.problems), beside)
    if changed.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "5"
    return response


async def _wait_until_listed(catalogue: Catalogue, name: str) -> None:
    """Returns when this door knows the model, so that whoever added it may ask for it, or after LISTED_WITHIN_S."""
    for _ in range(round(LISTED_WITHIN_S / _POLL_INTERVAL_S)):
        if _is_listed(catalogue, name):
            return
        await asyncio.sleep(_POLL_INTERVAL_S)


def _is_listed(catalogue: Catalogue, name: str) -> bool:
    try:
        return catalogue.resolve(name).name == name
    except ModelNotFound:
        return False
