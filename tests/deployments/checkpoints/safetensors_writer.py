"""Writes safetensors files, right ones and such as nobody would write."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64"}


def header_of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The header that describes these tensors, one behind the other."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, values in tensors.items():
        place = [at, at + values.nbytes]
        header[name] = {"dtype": _NAMES[values.dtype.name], "shape": list(values.shape), "data_offsets": place}
        at = place[1]
    return header


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]], header: Any = None) -> Path:
    """A file of these tensors; `header` describes them otherwise than they are, as bytes or as what JSON can say."""
    text = header_of(tensors) if header is None else header
    data = b"".join(np.ascontiguousarray(values).tobytes() for values in tensors.values())
    return write_raw(path, text if isinstance(text, bytes) else json.dumps(text).encode(), data)


def write_raw(path: Path, header: bytes, data: bytes, length: int | None = None) -> Path:
    """length: what the file claims of its header."""
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path
