"""Images and options as roboflow's clients send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidImage, InvalidRequest
from serve_app.bodies.forms import FILE, Accepted, Form, add_query
from serve_app.bodies.json_bodies import file_in, json_object, read_bounded
from serve_app.bodies.option_values import shown
from serve_app.bodies.uploads import parse_form
from serve_app.faces.roboflow import options
from serve_app.faces.roboflow.options import RoboflowOptions

MAX_IMAGES = 32
"""Of one request."""

_IN_QUERY = Accepted(options.IN_QUERY)
_IN_QUERY_OF_JSON = Accepted(options.IN_QUERY_OF_JSON)


@dataclass(frozen=True, slots=True)
class RoboflowRequest:
    """model_id: '' in v0, where the path has it. is_list: whether the answer is a list, too."""

    images: Sequence[bytes | memoryview]
    wanted: RoboflowOptions
    model_id: str = ""
    is_list: bool = False


async def read_v0(content_type: str, body: bytes, query: bytes, held: HeldBytes) -> RoboflowRequest:
    """The body is an image in base64, whatever content type the client gives it, or a form with a part `file`."""
    form = Form()
    add_query(form, query, _IN_QUERY, {})
    wanted = options.from_query(form.fields)
    if content_type.lower().startswith("multipart/"):
        file = parse_form(content_type, body, Accepted(frozenset())).files.get(FILE)
        if not file:
            raise InvalidImage("the form has no part 'file' with an image in it")
        return RoboflowRequest([file], wanted)
    return RoboflowRequest([await read_bounded(_file_of_v0, body, held)], wanted)


async def read_v1(body: bytes, query: bytes, held: HeldBytes) -> RoboflowRequest:
    """The body is JSON: `{"model_id": "benthic-demo/1", "image": {"type": "base64", "value": "..."}}`, or a list of
    such images."""
    add_query(Form(), query, _IN_QUERY_OF_JSON, {})
    return await read_bounded(_sent_in_json, body, held)


async def read_model_id(body: bytes, query: bytes, held: HeldBytes) -> str:
    """Of `/model/add` and `/model/remove`."""
    add_query(Form(), query, _IN_QUERY_OF_JSON, {})

    def read(body: bytes) -> str:
        members = json_object(body, '{"model_id": "benthic-demo/1"}')
        options.refuse_unknown(members, options.UNUSED | {"model_id"})
        return _model_id(members)

    return await read_bounded(read, body, held)


def _file_of_v0(body: bytes) -> bytes:
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidImage("the body must be an image in base64, or a form with a part 'file'") from None
    return file_in(text, "the body")


def _sent_in_json(body: bytes) -> RoboflowRequest:
    members = json_object(body, '{"model_id": "benthic-demo/1", "image": {"type": "base64", "value": "..."}}')
    options.refuse_unknown(members, options.IN_JSON | {"model_id", "image"})
    model_id = _model_id(members)
    image = members.get("image")
    images = image if isinstance(image, list) else [image]
    if not 1 <= len(images) <= MAX_IMAGES:
        raise InvalidRequest(f"image must be one image or a list of 1 to {MAX_IMAGES}, got {len(images)} of them")
    named = [(f"image[{number}]" if len(images) > 1 else "image", one) for number, one in enumerate(images)]
    files = [_file_of_v1(one, where) for where, one in named]
    return RoboflowRequest(files, options.from_members(members), model_id, isinstance(image, list))


def _model_id(members: Mapping[str, Any]) -> str:
    model_id = members.get("model_id")
    if not isinstance(model_id, str) or not model_id:
        raise InvalidRequest(f"model_id must be text such as benthic-demo/1, got {shown(model_id)}")
    return model_id


def _file_of_v1(image: Any, where: str) -> bytes:
    if not isinstance(image, dict) or set(image) != {"type", "value"}:
        raise InvalidRequest(f'{where} must be {{"type": "base64", "value": "..."}}, got {shown(image)}')
    if image["type"] == "url":
        raise InvalidRequest(f"{where} is an address, and this server fetches nothing; send the file as base64")
    # `numpy` is a pickle, which runs whatever its writer likes.
    if image["type"] != "base64":
        raise InvalidRequest(f"{where}: type must be base64, got {shown(image['type'])}")
    return file_in(image["value"], f"{where}.value")
