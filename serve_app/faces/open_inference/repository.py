"""Waking a model, which is what loading one comes to here."""

from typing import Any

import numpy as np

from deployments.errors import InvalidRequest, ServingError
from deployments.request import Image, Request
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.option_values import shown
from serve_app.faces.face import FaceParts
from serve_app.faces.open_inference.envelope import object_in_body
from serve_app.faces.open_inference.named import NamedModel

_SIZE_PX = 64
_GREY = 114
_UNLOADING = "unload_dependents"


def is_only_ready(body: bytes) -> bool:
    """Whether an index of the models that are ready is asked for. Raises InvalidRequest."""
    members = object_in_body(body)
    for name in members:
        if name != "ready":
            raise InvalidRequest(f"unknown member {name[:64]!r}; {nearest_of(name, ['ready'])}")
    said = members.get("ready", False)
    if not isinstance(said, bool):
        raise InvalidRequest(f"ready must be true or false, got {shown(said)}")
    return said


async def load(parts: FaceParts, named: NamedModel, body: bytes) -> None:
    """Returns when the model answers: one that is asleep is woken by an empty image. Raises why it does not, and
    InvalidRequest for a configuration or files, as models are what the server's own configuration says."""
    for name in _parameters_in(body):
        raise InvalidRequest(
            f"parameters: {name[:64]!r} cannot be set from here: models are those of the server's configuration"
        )
    if named.record.is_external:
        if not named.record.can_answer:
            raise named.record.unavailable()
        return
    image = Image.from_pixels(np.full((_SIZE_PX, _SIZE_PX, 3), _GREY, np.uint8))
    outcome = await parts.models.ask(named.record, Request(image, deadline_s=parts.settings.deadline_s))
    if isinstance(outcome, ServingError):
        raise outcome


def refuse_unloading(named: NamedModel, body: bytes) -> None:
    """Raises InvalidRequest, always: nobody may take a model from others."""
    for name in _parameters_in(body):
        if name != _UNLOADING:
            raise InvalidRequest(f"parameters: unknown {name[:64]!r}; {nearest_of(name, [_UNLOADING])}")
    raise InvalidRequest(
        f"{named.name} cannot be unloaded from here: a model sleeps by itself when nothing asks for it, and is "
        f"removed by the server's configuration"
    )


def _parameters_in(body: bytes) -> dict[str, Any]:
    members = object_in_body(body)
    for name in members:
        if name != "parameters":
            raise InvalidRequest(f"unknown member {name[:64]!r}; {nearest_of(name, ['parameters'])}")
    found = members.get("parameters", {})
    if not isinstance(found, dict):
        raise InvalidRequest(f"parameters must be an object, got {shown(found)}")
    return found
