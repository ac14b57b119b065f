"""Tensors of the protocol, in JSON and in bytes. Pure.

In bytes, numbers are little-endian in C order, and an element of BYTES has its length before it, as four bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidRequest

BYTES = "BYTES"

NUMBERS: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""Datatype -> NumPy's, but for BYTES."""

DATATYPES = frozenset({BYTES, *NUMBERS})

MAX_DIMENSIONS = 8
MAX_SIDE = 2**31 - 1
LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class InputTensor:
    """An input as it came. data: its bytes, or a list of JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: memoryview | list[Any]

    @property
    def where(self) -> str:
        """What it is called in messages."""
        return f"the input {self.name[:64]!r}"

    def numbers(self) -> NDArray[Any]:
        """Its values in its shape; not for BYTES. A view of the bytes, where it came as such. Raises InvalidRequest
        where values and shape, or datatype, do not agree."""
        kind = NUMBERS[self.datatype]
        if isinstance(self.data, memoryview):
            needed_bytes = prod(self.shape) * kind.itemsize
            if len(self.data) != needed_bytes:
                raise InvalidRequest(
                    f"{self.where} has {len(self.data)} bytes, and its shape {list(self.shape)} of {self.datatype} "
                    f"needs {needed_bytes}"
                )
            return np.frombuffer(self.data, kind).reshape(self.shape)
        return _numbers_of(self, self._values(), kind).reshape(self.shape)

    def elements(self) -> Sequence[str | memoryview]:
        """Those of BYTES: text where it came in JSON. Raises InvalidRequest where they are not as many as the shape
        says, or their lengths lie."""
        if isinstance(self.data, memoryview):
            return _elements_in(self, self.data)
        values = self._values()
        if not set(map(type, values)) <= {str}:
            raise InvalidRequest(f"{self.where} of BYTES must hold text in JSON, or come as binary data")
        return values

    def _values(self) -> list[Any]:
        assert isinstance(self.data, list)
        values = _flat(self.data)
        if len(values) != prod(self.shape):
            raise InvalidRequest(
                f"{self.where} has {len(values)} values, and its shape {list(self.shape)} needs {prod(self.shape)}"
            )
        return values


def _flat(values: list[Any]) -> list[Any]:
    """Nested lists, row by row. What is no list among lists stays, and is found to be no value later."""
    for _ in range(MAX_DIMENSIONS):
        if not values or set(map(type, values)) != {list}:
            break
        values = list(chain.from_iterable(values))
    return values


def _numbers_of(tensor: InputTensor, values: list[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    # Looked at before NumPy sees them: among numbers, one long text would make all of them as wide.
    allowed = {bool} if kind.kind == "b" else {int, float} if kind.kind == "f" else {int}
    if not set(map(type, values)) <= allowed:
        raise InvalidRequest(f"{tensor.where} of {tensor.datatype} must hold {_words(kind)} only")
    try:
        found = np.array(values, np.float64 if kind.kind == "f" else None)
    except OverflowError:
        raise InvalidRequest(f"{tensor.where} holds a number that {tensor.datatype} cannot") from None
    if kind.kind in "iu" and len(values):
        bounds = np.iinfo(kind)
        if found.dtype.kind not in "iu" or int(found.min()) < bounds.min or int(found.max()) > bounds.max:
            raise InvalidRequest(f"{tensor.where} of {tensor.datatype} must hold {bounds.min} to {bounds.max}")
    with np.errstate(over="ignore"):
        return found.astype(kind)


def _words(kind: np.dtype[Any]) -> str:
    return {"b": "true and false", "f": "numbers"}.get(kind.kind, "whole numbers")


def _elements_in(tensor: InputTensor, data: memoryview) -> list[memoryview]:
    count = prod(tensor.shape)
    if count * LENGTH_BYTES > len(data):
        raise InvalidRequest(
            f"{tensor.where} has {len(data)} bytes, too few for the lengths of the {count} elements of its shape"
        )
    found: list[memoryview] = []
    at = 0
    for index in range(count):
        begins = at + LENGTH_BYTES
        length = int.from_bytes(data[at:begins], "little")
        at = begins + length
        if begins > len(data) or at > len(data):
            raise InvalidRequest(
                f"{tensor.where}: element {index} is said to have {length} bytes, of which "
                f"{max(0, len(data) - begins)} are there"
            )
        found.append(data[begins:at])
    if at != len(data):
        raise InvalidRequest(f"{tensor.where} has {len(data) - at} bytes after its {count} elements")
    return found


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """A tensor of an answer: numbers in their shape, or texts with a shape of their own."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | Sequence[str]

    @classmethod
    def numbers(cls, name: str, datatype: str, values: NDArray[Any]) -> "OutputTensor":
        """Of this datatype, in the shape of the values."""
        return cls(name, datatype, values.shape, np.ascontiguousarray(values, NUMBERS[datatype]))

    @classmethod
    def texts(cls, name: str, values: Sequence[str]) -> "OutputTensor":
        """Of BYTES, in one dimension."""
        return cls(name, BYTES, (len(values),), values)

    def in_json(self) -> dict[str, Any]:
        """Its members, for orjson with OPT_SERIALIZE_NUMPY."""
        data = self.data.ravel() if isinstance(self.data, np.ndarray) else list(self.data)
        return {**self._described(), "data": data}

    def in_bytes(self) -> tuple[dict[str, Any], bytes]:
        """Its members, and the bytes that stand after the JSON."""
        if isinstance(self.data, np.ndarray):
            content = self.data.tobytes()
        else:
            content = b"".join(with_length(text.encode("utf-8", "replace")) for text in self.data)
        return {**self._described(), "parameters": {"binary_data_size": len(content)}}, content

    def _described(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def with_length(content: bytes) -> bytes:
    """An element of BYTES, with its length before it."""
    return len(content).to_bytes(LENGTH_BYTES, "little") + content
