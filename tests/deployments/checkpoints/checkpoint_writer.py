"""Writes checkpoint files as torch does, and as an attacker would, without torch: opcode by opcode.

Every function gives the bytes that leave one object on the unpickler's stack; a file is their concatenation.
"""

import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROTOCOL = b"\x80\x02"
STORAGE_NAMES = {
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


def plain(value: object) -> bytes:
    """Anything made of dicts, lists, tuples, text and numbers."""
    return pickle.dumps(value, protocol=2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    """A class or function, by name."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def group(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """A function call: REDUCE."""
    return name(module, attribute) + group(*arguments) + b"R"


def mapping(items: Mapping[Any, bytes]) -> bytes:
    """A dict of finished objects."""
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def instance(kind: str, state: bytes) -> bytes:
    """An object of a class, with its state: NEWOBJ and BUILD."""
    module, _, attribute = kind.rpartition(".")
    return name(module, attribute) + b")\x81" + state + b"b"


def storage(key: str, kind: str, numel: int) -> bytes:
    """The persistent id of a storage."""
    return group(plain("storage"), name("torch", kind), plain(key), plain("cpu"), plain(numel)) + b"Q"


def view(source: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A tensor over a storage."""
    return call(
        "torch._utils", "_rebuild_tensor_v2", source, plain(offset), plain(shape), plain(strides), plain(False), b"}"
    )


class Weights:
    """Collects the storages of a file."""

    def __init__(self) -> None:
        self.storages: dict[str, bytes] = {}

    def tensor(self, values: NDArray[Any]) -> bytes:
        """A contiguous tensor with a storage of its own."""
        key = str(len(self.storages))
        self.storages[key] = np.ascontiguousarray(values).tobytes()
        kind = STORAGE_NAMES[values.dtype.name]
        strides = tuple(int(step // values.itemsize) for step in np.ascontiguousarray(values).strides)
        return view(storage(key, kind, values.size), 0, values.shape, strides)

    def module(
        self,
        kind: str,
        children: Mapping[str, bytes] | None = None,
        tensors: Mapping[str, NDArray[Any]] | None = None,
        **attributes: object,
    ) -> bytes:
        """A torch module with children, parameters and plain attributes (finished ones as bytes)."""
        state = {key: value if isinstance(value, bytes) else plain(value) for key, value in attributes.items()}
        state["_parameters"] = mapping({key: self.tensor(value) for key, value in (tensors or {}).items()})
        state["_buffers"] = b"}"
        state["_modules"] = mapping(children or {})
        return instance(kind, mapping(state))

    def sequence(self, kind: str, members: Sequence[bytes]) -> bytes:
        """A Sequential or a ModuleList."""
        return self.module(f"torch.nn.modules.container.{kind}", {str(i): m for i, m in enumerate(members)})


def write(
    path: Path, body: bytes, storages: Mapping[str, bytes] | None = None, root: str = "archive", **more: bytes
) -> Path:
    """A checkpoint file whose pickle is `body`. more: further entries, a dunder standing for a slash."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr(f"{root}/data.pkl", PROTOCOL + body + b".")
        for key, data in (storages or {}).items():
            file.writestr(f"{root}/data/{key}", data)
        file.writestr(f"{root}/version", b"3\n")
        for key, data in more.items():
            file.writestr(f"{root}/{key.replace('__', '/')}", data)
    return path


def integer_bytes(value: int) -> bytes:
    """A 32-bit integer as opcodes carry it."""
    return struct.pack("<i", value)
