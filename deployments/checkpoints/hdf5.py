"""HDF5 files that Keras 2 wrote, whole models or weights only, read as data: layers, their weights, the description.

Layout: a group for each layer with an attribute `weight_names`, in `model_weights` or at the root, whose attribute
`layer_names` lists them; for a whole model the attribute `model_config` of the root, JSON, of which nothing is run.
HDF5 can point outside its file, unpack through plugins and claim sizes that it does not hold: only plain arrays
that lie in this file in one piece are read. Every refusal is a ModelUnavailable.
"""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.file_kinds import HEAD_BYTES, found_instead
from deployments.checkpoints.sandbox import TIME_LIMIT_S, FileReader, try_in_child
from deployments.errors import ModelUnavailable

MAX_NAMES = 10_000
MAX_NAME_CHARACTERS = 500
MAX_DIMENSIONS = 8
MAX_DESCRIPTION_BYTES = 8 * 2**20

_MAGIC = b"\x89HDF\r\n\x1a\n"
_WEIGHTS_OF_A_WHOLE_MODEL = "model_weights"
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One weight: checked when found, read when asked for."""

    file: "KerasFile" = field(repr=False)
    dataset: Any = field(repr=False)
    shape: tuple[int, ...]

    def numpy(self) -> NDArray[Any]:
        """The values in their own floating type. Raises ModelUnavailable when the file is damaged or closed."""
        with self.file.reading():
            values: NDArray[Any] = self.dataset[()]
        return values


class KerasFile:
    """One open file; close it when the weights have been read.

    Raises ModelUnavailable, from every method, with the file's name and what was found in it.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            found = path.stat()
            # A pipe would keep whoever opens it waiting.
            if not stat.S_ISREG(found.st_mode):
                raise self.refusal("not a file, expected an HDF5 file")
            self._size_bytes = found.st_size
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise ModelUnavailable(f"{path}: cannot read the weights: {error.strerror}") from error
        if not head.startswith(_MAGIC):
            told = found_instead(head, f"starts with {head[: len(_MAGIC)]!r}, expected {_MAGIC!r}")
            raise self.refusal(f"not an HDF5 file: {told}")
        with self.reading():
            # Not locked: weights may lie on a file system that is read-only or has no locks.
            self._file = h5py.File(path, "r", locking=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; weights cannot be read any more."""
        self._file.close()

    def refusal(self, reason: str) -> ModelUnavailable:
        """The error that refuses this file."""
        return ModelUnavailable(f"{self.name}: {reason}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what h5py raises for a damaged file into a refusal."""
        try:
            yield
        except _DAMAGE as error:
            raise self.refusal(f"the HDF5 file is damaged: {str(error)[:200]}") from error

    def layers(self) -> dict[str, dict[str, StoredArray]]:
        """The weights of every layer by their names, in the order of the file; layers without weights too."""
        with self.reading():
            top = self._file
            if _WEIGHTS_OF_A_WHOLE_MODEL in top:
                top = self._group(top, _WEIGHTS_OF_A_WHOLE_MODEL)
            backend = self._text(top, "backend")
            if backend not in (None, "tensorflow"):
                raise self.refusal(f"written by Keras on {backend[:40]!r}, expected 'tensorflow'")
            names = self._names(top, "layer_names")
            layers = {name: self._weights(self._group(top, name)) for name in names}
        if len(layers) != len(names):
            raise self.refusal("two layers have the same name")
        total_bytes = sum(
            array.dataset.id.get_storage_size() for layer in layers.values() for array in layer.values()
        )
        if total_bytes > self._size_bytes:
            raise self.refusal(f"weights of {total_bytes} bytes overlap in a file of {self._size_bytes} bytes")
        return layers

    def description(self) -> dict[str, Any] | None:
        """How the network is built, as Keras described it; None in a file of weights only."""
        with self.reading():
            text = self._text(self._file, "model_config")
        if text is None:
            return None
        if len(text) > MAX_DESCRIPTION_BYTES:
            raise self.refusal(f"model_config has {len(text)} characters, the limit is {MAX_DESCRIPTION_BYTES}")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.refusal(f"model_config is not valid JSON: {str(error)[:200]}") from error
        if not isinstance(content, dict):
            raise self.refusal(f"model_config is a {type(content).__name__}, expected an object")
        return content

    def _weights(self, layer: Any) -> dict[str, StoredArray]:
        names = self._names(layer, "weight_names")
        weights = {name: self._array(layer, name) for name in names}
        if len(weights) != len(names):
            raise self.refusal(f"two weights of {layer.name!r} have the same name")
        return weights

    def _array(self, layer: Any, name: str) -> StoredArray:
        *folders, last = name.split("/")
        for folder in folders:
            layer = self._group(layer, folder)
        found = self._child(layer, last)
        if not isinstance(found, h5py.Dataset):
            raise self.refusal(f"{name!r} is not an array")
        self._check(found, name)
        return StoredArray(self, found, tuple(int(side) for side in found.shape))

    def _check(self, dataset: Any, name: str) -> None:
        """Refuse all but floating-point numbers in one piece of this file."""
        kind, shape = dataset.dtype, dataset.shape
        if kind.kind != "f" or kind.itemsize > 8 or shape is None or len(shape) > MAX_DIMENSIONS:
            raise self.refusal(
                f"{name!r} is of type {str(kind)[:40]} and shape {shape}, expected floating-point numbers"
            )
        stored = dataset.id.get_create_plist()
        if stored.get_layout() == h5py.h5d.VIRTUAL:
            raise self.refusal(f"{name!r} is a virtual dataset, put together from other files")
        if stored.get_external_count():
            raise self.refusal(f"{name!r} lies in another file")
        if stored.get_nfilters() or stored.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT):
            raise self.refusal(f"{name!r} is stored in chunks or compressed; Keras 2 stores its weights as they are")
        claimed_bytes = kind.itemsize * int(np.prod([int(side) for side in shape], dtype=object))
        held_bytes = dataset.id.get_storage_size()
        if claimed_bytes != held_bytes or claimed_bytes > self._size_bytes:
            raise self.refusal(f"{name!r} of shape {shape} needs {claimed_bytes} bytes, the file holds {held_bytes}")

    def _group(self, parent: Any, name: str) -> Any:
        found = self._child(parent, name)
        if not isinstance(found, h5py.Group):
            raise self.refusal(f"{name[:80]!r} is not a group")
        return found

    def _child(self, parent: Any, name: str) -> Any:
        """What lies under `name`, one step down, and in this file."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise self.refusal(f"the name {name[:80]!r} is not the name of a layer or weight")
        link = parent.get(name, getlink=True)
        if link is None:
            raise self.refusal(f"{str(parent.name)[:80]!r} holds no {name[:80]!r}, which its list names")
        if not isinstance(link, h5py.HardLink):
            raise self.refusal(f"{name[:80]!r} is a {type(link).__name__}, which may lead to another file")
        return parent[name]

    def _names(self, group: Any, attribute: str) -> list[str]:
        """A list of names; Keras splits a long one into numbered attributes."""
        keys = [attribute]
        if attribute not in group.attrs:
            parts = (f"{attribute}{index}" for index in range(MAX_NAMES))
            keys = list(takewhile(group.attrs.__contains__, parts))
        if not keys:
            raise self.refusal(f"{str(group.name)[:80]!r} has no {attribute!r}, expected a file that Keras 2 wrote")
        names: list[str] = []
        for key in keys:
            names += self._name_list(group, key)
        if len(names) > MAX_NAMES or max(map(len, names), default=0) > MAX_NAME_CHARACTERS:
            raise self.refusal(f"{attribute!r} has {len(names)} names, or one is too long")
        return names

    def _name_list(self, group: Any, key: str) -> list[str]:
        held = group.attrs.get_id(key)
        # An empty list of names is written as an empty list of numbers.
        if held.shape == (0,):
            return []
        is_long = len(held.shape) != 1 or held.shape[0] > MAX_NAMES
        if is_long or h5py.check_string_dtype(held.dtype) is None or held.dtype.itemsize > MAX_NAME_CHARACTERS:
            raise self.refusal(
                f"{key!r} of {str(group.name)[:80]!r} is of type {held.dtype} and shape {held.shape}, "
                f"expected up to {MAX_NAMES} names"
            )
        return [_decoded(name) for name in group.attrs[key].tolist()]

    def _text(self, group: Any, key: str) -> str | None:
        if key not in group.attrs:
            return None
        held = group.attrs.get_id(key)
        is_text = held.shape == () and h5py.check_string_dtype(held.dtype) is not None
        if not is_text or held.dtype.itemsize > MAX_DESCRIPTION_BYTES:
            raise self.refusal(f"{key!r} is of type {held.dtype} and shape {held.shape}, expected one text")
        return _decoded(group.attrs[key])


def open_tried(path: Path, time_limit_s: float = TIME_LIMIT_S) -> KerasFile:
    """Open a file of Keras 2 after a child has read all of it but the numbers.

    Raises ModelUnavailable for what `KerasFile` refuses, and when the child dies or takes longer than the limit.
    """
    try_in_child(FileReader("deployments.checkpoints.hdf5:check_file"), path, time_limit_s)
    return KerasFile(path)


def check_file(path: Path) -> None:
    """Read all of a file but the numbers. Raises ModelUnavailable with what was found in it."""
    with KerasFile(path) as file:
        file.layers()
        file.description()


def _decoded(text: Any) -> str:
    """Text however it was stored. Raises UnicodeDecodeError, a ValueError."""
    return text if isinstance(text, str) else bytes(text).decode()
