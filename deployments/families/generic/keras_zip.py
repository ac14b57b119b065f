"""The zip file that Keras 3 writes as `.keras`: entries, sizes, and the weights in it. Runs nothing of it.

Layout: `config.json` (the layers as data), `metadata.json`, `model.weights.h5`. HDF5 can point to other files,
unpack through plugins and claim sizes that it does not hold. A child process walks through the weights first, which
is why this module imports neither Keras nor TensorFlow.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py

from deployments.checkpoints.file_kinds import HEAD_BYTES, kind_by_head
from deployments.checkpoints.sandbox import TIME_LIMIT_S, FileReader, try_in_child
from deployments.checkpoints.zip_directory import read_zip_directory
from deployments.errors import ModelUnavailable
from deployments.text.error_text import first_line

MAX_CONFIG_BYTES = 32 * 2**20
MAX_DIRECTORY_BYTES = 2**16
_ENTRIES = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_DAMAGE = (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError)

_READER = FileReader("deployments.families.generic.keras_zip:check_weights", copies_in_memory=2)


def read_config(path: Path) -> bytes:
    """The configuration in the file at `path`. Raises ModelUnavailable with what was found instead."""
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
            return archive.read("config.json")
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot read the model: {error.strerror}") from error
    except _DAMAGE as error:
        with path.open("rb") as file:
            kind = kind_by_head(file.read(HEAD_BYTES))
        is_zip = kind.startswith("a zip archive")
        found = f"it is {kind}" if kind and not is_zip else first_line(error)
        raise ModelUnavailable(f"{path.name}: not a model that Keras 3 saved: {found}") from error


def try_weights(path: Path, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Let a child walk through the weights. Raises ModelUnavailable for what it refuses, and when it dies or takes
    longer than the limit."""
    try_in_child(_READER, path, time_limit_s)


def check_weights(path: Path) -> None:
    """Walk through the weights in this process. Raises ModelUnavailable with what was found in them."""
    read_config(path)
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(content), "r") as file:
            held_bytes = _check_groups(file)
        if held_bytes > len(content):
            raise _UnsafeWeights(f"weights of {held_bytes} bytes overlap in a file of {len(content)} bytes")
    except _UnsafeWeights as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, TypeError, MemoryError, OverflowError, *_DAMAGE) as error:
        raise ModelUnavailable(f"{path.name}: model.weights.h5 is damaged: {first_line(error)}") from error


class _UnsafeWeights(ValueError):
    """Why weights are not loaded."""


def _check_directory(path: Path) -> None:
    with path.open("rb") as file:
        found = read_zip_directory(file)
    if found.size_bytes > MAX_DIRECTORY_BYTES:
        raise ValueError(
            f"{found.entries} entries in a directory of {found.size_bytes} bytes, limit {MAX_DIRECTORY_BYTES}"
        )


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Keras stores its entries uncompressed: with that, none is larger than the file itself."""
    entries = archive.infolist()
    names = sorted(entry.filename for entry in entries)
    if names != sorted(_ENTRIES):
        shown = ", ".join(repr(name[:80]) for name in names[:6])
        raise ValueError(f"it holds {len(names)} entries ({shown}), expected {', '.join(sorted(_ENTRIES))}")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"entry {entry.filename!r} is compressed; Keras stores its entries as they are")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its entries overlap")
    size = archive.getinfo("config.json").file_size
    if size > MAX_CONFIG_BYTES:
        raise ValueError(f"config.json has {size} bytes, the limit is {MAX_CONFIG_BYTES}")


def _check_groups(file: Any) -> int:
    """Bytes of all arrays. HDF5 groups may hold each other, so the addresses seen are remembered."""
    waiting = [("", file)]
    known = {h5py.h5o.get_info(file.id).addr}
    total_bytes = 0
    while waiting:
        path, group = waiting.pop()
        for key in group:
            place = f"{path}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _UnsafeWeights(f"{place[:80]!r} in the weights is a link to another place or file")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in known:
                raise _UnsafeWeights(f"{place[:80]!r} in the weights is in two places")
            known.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((place, item))
            else:
                total_bytes += _check_array(item, place[:80])
    return total_bytes


def _check_array(array: Any, place: str) -> int:
    if array.external or array.is_virtual:
        raise _UnsafeWeights(f"{place!r} in the weights lies in another file")
    if array.dtype.hasobject:
        raise _UnsafeWeights(f"{place!r} in the weights does not hold numbers")
    if array.id.get_create_plist().get_nfilters():
        raise _UnsafeWeights(f"{place!r} in the weights is compressed; Keras stores its weights as they are")
    held_bytes = int(array.id.get_storage_size())
    if array.nbytes != held_bytes:
        raise _UnsafeWeights(f"{place!r} in the weights claims {array.nbytes} bytes and holds {held_bytes}")
    return held_bytes
