"""The zip file that Keras 3 writes as `.keras`: entries, sizes, and the weights in it. Runs nothing of it.

Layout: `config.json` (the layers as data), `metadata.json`, `model.weights.h5`. HDF5 can point to other files,
unpack through plugins and claim sizes that it does not hold. The weights are walked through in a process of their
own, as damaged files keep the HDF5 library busy for ever. Imports neither Keras nor TensorFlow, for that process.
"""

import io
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py

from deployments.checkpoints.hdf5_trial import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, run_trial
from deployments.errors import ModelUnavailable

MAX_CONFIG_BYTES = 32 * 2**20
MAX_DIRECTORY_BYTES = 2**16
_END_BYTES, _END64_BYTES, _LOCATOR64_BYTES = 22, 56, 20
_ENTRIES = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_DAMAGE = (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError)

_REFUSED = 3
"""The status by which a child tells `run_trial` that it refuses the file."""

_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from deployments.families import keras_zip; keras_zip.main()"


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
        raise ModelUnavailable(f"{path.name}: no model that Keras 3 has saved: {_first_line(error)}") from error


def try_weights(path: Path, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Let a child walk through the weights. Raises ModelUnavailable for what it refuses, and when it dies or takes
    longer than the limit."""
    run_trial([sys.executable, "-I", "-c", _PROGRAM, str(path), *filter(None, sys.path)], path.name, time_limit_s)


def check_weights(path: Path) -> None:
    """Walk through the weights in this process. Raises ModelUnavailable with what was found in them."""
    read_config(path)
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(content), "r") as file:
            held_bytes = _check_groups(file)
        if held_bytes > len(content):
            raise _Refusal(f"weights of {held_bytes} bytes overlap in a file of {len(content)} bytes")
    except _Refusal as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, TypeError, MemoryError, OverflowError, *_DAMAGE) as error:
        raise ModelUnavailable(f"{path.name}: model.weights.h5 is damaged: {_first_line(error)}") from error


def main() -> None:
    """The child: the first argument is the path; its refusal goes to stdout."""
    path = Path(sys.argv[1])
    try:
        import resource

        limit_bytes = MEMORY_LIMIT_BYTES + 2 * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    except ImportError:
        # Not on Windows, where the limit of time must do.
        pass
    try:
        check_weights(path)
    except ModelUnavailable as error:
        sys.stdout.buffer.write(error.message.encode())
        sys.exit(_REFUSED)


class _Refusal(Exception):
    """Why weights are not loaded."""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _check_directory(path: Path) -> None:
    """Bound the zip directory beforehand, as zipfile makes an object of each entry before anyone can count them."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _END64_BYTES + _LOCATOR64_BYTES + _END_BYTES), 2)
        tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(b"PK\x05\x06"):
        raise ValueError("no zip archive, or one that is cut short")
    entries, directory_bytes = struct.unpack_from("<HI", end, 10)
    if tail.startswith(b"PK\x06\x06") and tail[_END64_BYTES:].startswith(b"PK\x06\x07"):
        entries, directory_bytes = struct.unpack_from("<2Q", tail, 32)
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise ValueError(f"{entries} entries in a directory of {directory_bytes} bytes, limit {MAX_DIRECTORY_BYTES}")


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
    """Bytes of all arrays. HDF5 lets groups hold each other; then there is no end of ways through them."""
    waiting = [("", file)]
    known = {h5py.h5o.get_info(file.id).addr}
    total_bytes = 0
    while waiting:
        path, group = waiting.pop()
        for key in group:
            place = f"{path}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _Refusal(f"{place[:80]!r} in the weights is a link to another place or file")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in known:
                raise _Refusal(f"{place[:80]!r} in the weights stands in two places")
            known.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((place, item))
            else:
                total_bytes += _check_array(item, place[:80])
    return total_bytes


def _check_array(array: Any, place: str) -> int:
    if array.external or array.is_virtual:
        raise _Refusal(f"{place!r} in the weights lies in another file")
    if array.dtype.hasobject:
        raise _Refusal(f"{place!r} in the weights holds no numbers")
    if array.id.get_create_plist().get_nfilters():
        raise _Refusal(f"{place!r} in the weights is compressed; Keras stores its weights as they are")
    held_bytes = int(array.id.get_storage_size())
    if array.nbytes != held_bytes:
        raise _Refusal(f"{place!r} in the weights claims {array.nbytes} bytes and holds {held_bytes}")
    return held_bytes
