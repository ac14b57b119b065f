"""Files of safetensors, read without trust: a header of JSON, and after it the bytes of tensors.

Layout: 8 bytes, the length of the header; the header, which names each tensor's dtype, shape and bytes; the bytes, in
which every one belongs to one tensor (https://huggingface.co/docs/safetensors). Only the header is read when a file
is opened; a tensor is read when it is asked for, and not mapped: a mapped file that is cut short later kills the
process.

Why not the package `safetensors`: it takes headers of 100 MB, gives no bfloat16 to NumPy, and says of a bad file
little that its owner could use.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.file_kinds import HEAD_BYTES, kind_by_head
from deployments.checkpoints.tensors import MAX_DIMENSIONS, MAX_NUMEL
from deployments.errors import ModelUnavailable

MAX_HEADER_BYTES = 8 * 2**20
MAX_TENSORS = 20_000
MAX_FILE_BYTES = 2**63

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}

_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_OTHER_BYTES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_ITEM_BYTES = {**{name: np.dtype(kind).itemsize for name, kind in _FLOATS.items()}, **_OTHER_BYTES}


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where one tensor lies."""

    dtype: str
    """As the format names it, such as "F32"."""

    shape: tuple[int, ...]
    begin: int
    """In bytes, behind the header."""

    end: int


class SafetensorsFile:
    """One file, its header checked. Raises ModelUnavailable, with the file's name and what was found in it."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        if path.exists() and not path.is_file():
            raise ModelUnavailable(f"{path}: not a plain file")
        try:
            size_bytes = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(_LENGTH_BYTES)
                length = self._header_length(head + file.read(HEAD_BYTES), size_bytes)
                file.seek(_LENGTH_BYTES)
                text = file.read(length)
        except OSError as error:
            raise ModelUnavailable(f"{path}: cannot read the weights: {error.strerror}") from error
        self._start = _LENGTH_BYTES + length
        self._data_bytes = size_bytes - self._start
        self.places = self._checked_places(parse_object(text, f"{self.name}: the header"))

    def refusal(self, reason: str) -> ModelUnavailable:
        """The error that refuses this file."""
        return ModelUnavailable(f"{self.name}: {reason}")

    def numpy(self, name: str) -> NDArray[Any]:
        """One tensor of floating-point numbers, bfloat16 as float32. Reads its bytes and no others."""
        place = self.places.get(name)
        if place is None:
            raise self.refusal(f"holds no tensor {name[:80]!r}")
        kind = _FLOATS.get(place.dtype)
        if kind is None:
            raise self.refusal(f"tensor {name[:80]!r} has the type {place.dtype}, expected {', '.join(_FLOATS)}")
        values = np.empty(place.shape, kind)
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._start + place.begin)
                self._fill(file, values)
        except OSError as error:
            raise self.refusal(f"cannot be read: {error.strerror}") from error
        if place.dtype == "BF16":
            widened: NDArray[np.float32] = (values.astype(np.uint32) << 16).view(np.float32)
            return widened
        return values

    def _fill(self, file: Any, values: NDArray[Any]) -> None:
        missing = values.reshape(-1).view(np.uint8).data
        while missing:
            count = file.readinto(missing)
            if not count:
                raise self.refusal("was cut short while it was read")
            missing = missing[count:]

    def _header_length(self, head: bytes, size_bytes: int) -> int:
        if len(head) < _LENGTH_BYTES + 2:
            raise self.refusal(f"not a safetensors file: it has {size_bytes} bytes")
        length = int.from_bytes(head[:_LENGTH_BYTES], "little")
        # Its limit says more to the owner of a file of another format than what its first bytes amount to.
        if head[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
            kind = kind_by_head(head) or f"starts with {head[:8]!r}, expected a length and a JSON header"
            raise self.refusal(f"not a safetensors file: {kind}")
        if length > MAX_HEADER_BYTES:
            raise self.refusal(f"a header of {length} bytes, the limit is {MAX_HEADER_BYTES}")
        if length > size_bytes - _LENGTH_BYTES:
            raise self.refusal(f"a header of {length} bytes in a file of {size_bytes}: damaged, or not all of it")
        return length

    def _checked_places(self, header: dict[str, Any]) -> dict[str, TensorPlace]:
        header = {name: entry for name, entry in header.items() if name != _METADATA}
        if len(header) > MAX_TENSORS:
            raise self.refusal(f"{len(header)} tensors, the limit is {MAX_TENSORS}")
        places = {name: self._place(name, entry) for name, entry in header.items()}
        at = 0
        for name, place in sorted(places.items(), key=lambda one: (one[1].begin, one[1].end)):
            if place.begin != at:
                what = "overlaps another" if place.begin < at else "leaves bytes before it that belong to none"
                raise self.refusal(f"tensor {name[:80]!r} {what}: it begins at {place.begin}, expected {at}")
            at = place.end
        if at != self._data_bytes:
            raise self.refusal(f"tensors of {at} bytes in all, and {self._data_bytes} bytes behind the header")
        return places

    def _place(self, name: str, entry: Any) -> TensorPlace:
        shown = repr(name[:80])
        if not isinstance(entry, dict) or set(entry) != _FIELDS:
            raise self.refusal(f"tensor {shown} is not described by {', '.join(sorted(_FIELDS))}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
            raise self.refusal(f"tensor {shown} has the unknown type {str(dtype)[:20]!r}")
        if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
            raise self.refusal(f"tensor {shown} has the shape {str(shape)[:80]}")
        if not _are_counts(offsets) or len(offsets) != 2:
            raise self.refusal(f"tensor {shown} lies at {str(offsets)[:80]}, expected two offsets")
        numel = 1
        for side in shape:
            numel *= side
        # NumPy cannot make what is empty along one side and endless along another.
        if max(numel, *shape, 0) > MAX_NUMEL:
            raise self.refusal(f"tensor {shown} of shape {tuple(shape)} has more than {MAX_NUMEL} elements")
        begin, end = offsets
        if not begin <= end <= self._data_bytes:
            raise self.refusal(f"tensor {shown} lies at {begin} to {end}, outside of {self._data_bytes} bytes")
        if end - begin != numel * _ITEM_BYTES[dtype]:
            raise self.refusal(
                f"tensor {shown} of {dtype} and shape {tuple(shape)} has {end - begin} bytes, "
                f"expected {numel * _ITEM_BYTES[dtype]}"
            )
        return TensorPlace(dtype, tuple(shape), begin, end)


def parse_object(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object that says everything once. what: for the message. Raises ModelUnavailable."""
    try:
        parsed = json.loads(text.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # A long text is repeated in none of their messages but that of a wrong character, which is short.
        raise ModelUnavailable(f"{what} is not valid JSON: {str(error)[:120]}") from None
    if not isinstance(parsed, dict):
        raise ModelUnavailable(f"{what} is not a JSON object")
    return parsed


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:80]!r} stands there twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _are_counts(values: Any) -> bool:
    # The bound is beyond any file; without it numbers of thousands of digits would fill a message.
    return isinstance(values, list) and all(type(one) is int and 0 <= one <= MAX_FILE_BYTES for one in values)
