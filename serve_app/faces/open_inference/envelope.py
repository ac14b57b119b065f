"""The JSON of an inference request, with the binary tensors after it. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import orjson

from deployments.errors import InvalidRequest
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.option_values import shown
from serve_app.faces.open_inference.tensors import DATATYPES, MAX_DIMENSIONS, MAX_SIDE, InputTensor

MAX_NUMBERS = 2**21
"""Commas of the JSON, about as many as its values: room for an image of 800 x 800."""

MAX_BRACKETS = 2**16
"""Reading nested lists takes far longer than reading numbers."""

MAX_TENSORS = 32
MAX_ID_CHARACTERS = 256

_BYTES_PER_NUMBER = 48
_WIDEST_CHARACTER_BYTES = 4

_MEMBERS = frozenset({"id", "parameters", "inputs", "outputs"})
_OF_INPUT = frozenset({"name", "shape", "datatype", "parameters", "data"})
_OF_OUTPUT = frozenset({"name", "parameters"})


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that the client asks for."""

    name: str
    is_binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request as it was read. parameters: those that are options. wanted: None for all outputs, each of them then
    `is_binary`."""

    id: str
    parameters: Mapping[str, Any]
    inputs: list[InputTensor]
    wanted: list[WantedOutput] | None
    is_binary: bool


def needed_bytes(text: bytes | bytearray) -> int:
    """What reading adds to the JSON: its texts, a copy of them while base64 is decoded, the files, and numbers."""
    # One character that is not ASCII makes all others of its text as wide.
    is_narrow = text.isascii() and b"\\u" not in text
    text_bytes = len(text) * (1 if is_narrow else _WIDEST_CHARACTER_BYTES)
    return 2 * text_bytes + len(text) * 3 // 4 + text.count(b",") * _BYTES_PER_NUMBER


def read_envelope(text: bytes | bytearray, binary: memoryview) -> InferRequest:
    """Raises InvalidRequest, which names the member."""
    members = _checked(_object_in(text), _MEMBERS, "member of the request")
    parameters = dict(_parameters_of(members, "the request"))
    is_binary = _switch(parameters, "binary_data_output", "the request", False)
    inputs = _list_of(members, "inputs")
    if not inputs:
        raise InvalidRequest("inputs is missing or empty; it must hold the images")
    found: list[InputTensor] = []
    at = 0
    for index, member in enumerate(inputs):
        tensor, size_bytes = _tensor(member, f"inputs[{index}]", binary[at:])
        found.append(tensor)
        at += size_bytes
    if at != len(binary):
        raise InvalidRequest(f"{len(binary) - at} bytes stand after the last tensor; check binary_data_size")
    wanted = [_wanted(one, f"outputs[{index}]", is_binary) for index, one in enumerate(_list_of(members, "outputs"))]
    return InferRequest(_id_in(members), parameters, found, wanted or None, is_binary)


def object_in_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a small request; an empty body counts as one without members. Raises InvalidRequest."""
    return _object_in(body) if body.strip() else {}


def _object_in(text: bytes | bytearray) -> dict[str, Any]:
    if (commas := text.count(b",")) > MAX_NUMBERS:
        raise InvalidRequest(f"the JSON has {commas} commas, the limit is {MAX_NUMBERS}; send tensors as binary data")
    if (brackets := text.count(b"[") + text.count(b"{")) > MAX_BRACKETS:
        raise InvalidRequest(
            f"the JSON has {brackets} opening brackets, the limit is {MAX_BRACKETS}; send tensors flat or binary"
        )
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidRequest('the JSON must be an object such as {"inputs": [...]}')
    return found


def _tensor(member: Any, where: str, binary: memoryview) -> tuple[InputTensor, int]:
    """The tensor, and how many of the bytes are its own."""
    members = _checked(member, _OF_INPUT, f"member of {where}")
    name, datatype = (_text_of(members, one, where) for one in ("name", "datatype"))
    if datatype not in DATATYPES:
        raise InvalidRequest(f"{where}.datatype {datatype[:64]!r} is not one; {nearest_of(datatype, DATATYPES)}")
    shape = _shape_of(members, where)
    parameters = dict(_parameters_of(members, where))
    size_bytes = parameters.pop("binary_data_size", None)
    for other in parameters:
        raise InvalidRequest(
            f"{where}.parameters: {other[:64]!r} is not known; {nearest_of(other, ['binary_data_size'])}"
        )
    if (size_bytes is None) == ("data" not in members):
        raise InvalidRequest(f"{where} must have either data or parameters.binary_data_size")
    if size_bytes is None:
        if not isinstance(members["data"], list):
            raise InvalidRequest(f"{where}.data must be a list, got {shown(members['data'])}")
        return InputTensor(name, datatype, shape, members["data"]), 0
    if type(size_bytes) is not int or not 0 <= size_bytes <= len(binary):
        raise InvalidRequest(
            f"{where}.parameters.binary_data_size must be 0 to {len(binary)}, as many bytes as there are, "
            f"got {shown(size_bytes)}"
        )
    return InputTensor(name, datatype, shape, binary[:size_bytes]), size_bytes


def _shape_of(members: Mapping[str, Any], where: str) -> tuple[int, ...]:
    shape = members.get("shape")
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_DIMENSIONS:
        raise InvalidRequest(f"{where}.shape must be a list of 1 to {MAX_DIMENSIONS} sizes, got {shown(shape)}")
    for side in shape:
        if type(side) is not int or not 0 <= side <= MAX_SIDE:
            raise InvalidRequest(f"{where}.shape must hold whole numbers of 0 to {MAX_SIDE}, got {shown(side)}")
    if prod(shape) > MAX_SIDE:
        raise InvalidRequest(f"{where}.shape {shape} is {prod(shape)} values, the limit is {MAX_SIDE}")
    return tuple(shape)


def _wanted(member: Any, where: str, is_binary: bool) -> WantedOutput:
    members = _checked(member, _OF_OUTPUT, f"member of {where}")
    parameters = dict(_parameters_of(members, where))
    is_binary = _switch(parameters, "binary_data", where, is_binary)
    for other in parameters:
        raise InvalidRequest(f"{where}.parameters: {other[:64]!r} is not known; {nearest_of(other, ['binary_data'])}")
    return WantedOutput(_text_of(members, "name", where), is_binary)


def _id_in(members: Mapping[str, Any]) -> str:
    said = members.get("id", "")
    if not isinstance(said, str) or len(said) > MAX_ID_CHARACTERS:
        raise InvalidRequest(f"id must be text of at most {MAX_ID_CHARACTERS} characters, got {shown(said)}")
    return said


def _list_of(members: Mapping[str, Any], name: str) -> list[Any]:
    found = members.get(name, [])
    if not isinstance(found, list) or len(found) > MAX_TENSORS:
        got = f"{len(found)} of them" if isinstance(found, list) else shown(found)
        raise InvalidRequest(f"{name} must be a list of at most {MAX_TENSORS} tensors, got {got}")
    return found


def _parameters_of(members: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    found = members.get("parameters", {})
    if not isinstance(found, dict):
        raise InvalidRequest(f"parameters of {where} must be an object, got {shown(found)}")
    return found


def _switch(parameters: dict[str, Any], name: str, where: str, otherwise: bool) -> bool:
    said = parameters.pop(name, otherwise)
    if not isinstance(said, bool):
        raise InvalidRequest(f"{name} in parameters of {where} must be true or false, got {shown(said)}")
    return said


def _text_of(members: Mapping[str, Any], name: str, where: str) -> str:
    found = members.get(name)
    if not isinstance(found, str) or not found:
        raise InvalidRequest(f"{where}.{name} must be text, got {shown(found)}")
    return found


def _checked(members: Any, known: Collection[str], what: str) -> dict[str, Any]:
    if not isinstance(members, dict):
        raise InvalidRequest(f"a {what} was expected, got {shown(members)}")
    for name in members:
        if name not in known:
            raise InvalidRequest(f"unknown {what} {name[:64]!r}; {nearest_of(name, known)}")
    return members
