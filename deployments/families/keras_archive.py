"""The zip file that Keras 3 writes as `.keras`, looked through before Keras opens it. Runs nothing of it.

Layout: `config.json` (the layers as data), `metadata.json`, `model.weights.h5`. A configuration can name any
class, among them some that run code or read other files when they are made, so that only those are let through
that are known to do neither.
"""

import io
import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from deployments.errors import ModelUnavailable

MAX_CONFIG_BYTES = 32 * 2**20
MAX_DIRECTORY_BYTES = 2**16
MAX_DEPTH = 200
_END_BYTES, _END64_BYTES, _LOCATOR64_BYTES = 22, 56, 20
_ENTRIES = frozenset({"config.json", "metadata.json", "model.weights.h5"})

UNSAFE_LAYERS = frozenset(
    {
        "Lambda",  # Python code from the file
        "TFSMLayer",  # loads a SavedModel of any path
        "TorchModuleWrapper",  # a pickle
        "JaxLayer",
        "FlaxLayer",
        "StringLookup",  # these three read their vocabulary from any path
        "IntegerLookup",
        "TextVectorization",
    }
)
"""Layers of Keras itself that run code or read files that the configuration names."""

_DATA_CLASSES = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_MODELS = frozenset({"Functional", "Sequential"})
_OPERATIONS = tuple(f"keras.src.ops.{name}" for name in ("core", "einops", "image", "linalg", "math", "nn", "numpy"))


@dataclass(frozen=True, slots=True)
class KerasInput:
    """The one image input of a model. batch_shape: None for free sides."""

    name: str
    dtype: str
    batch_shape: tuple[int | None, ...]


def check_archive(path: Path) -> KerasInput:
    """Look through the file at `path`. Raises ModelUnavailable with what was found in it."""
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            config = json.loads(_checked_entries(archive, path)["config.json"])
            _check_weights(archive)
    except _Refusal as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot read the model: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name}: no model that Keras 3 has saved: {_first_line(error)}") from error
    if not isinstance(config, dict):
        raise ModelUnavailable(f"{path.name}: config.json holds no model")
    try:
        # How the model was trained is not needed, and is not loaded.
        _check_object({**config, "compile_config": None}, 0)
        return _only_input(config)
    except _Refusal as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error


class _Refusal(ValueError):
    """Why a configuration is not loaded."""


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


def _checked_entries(archive: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    """The small entries. Keras stores its entries uncompressed: with that, none is larger than the file itself."""
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
    return {"config.json": archive.read("config.json")}


def _check_weights(archive: zipfile.ZipFile) -> None:
    """HDF5 can point to other files, unpack through plugins, and claim sizes that it does not hold."""
    content = archive.read("model.weights.h5")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            held_bytes = _check_groups(file)
    except _Refusal:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _Refusal(f"model.weights.h5 is damaged: {_first_line(error)}") from error
    if held_bytes > len(content):
        raise _Refusal(f"weights of {held_bytes} bytes overlap in a file of {len(content)} bytes")


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


def _check_object(value: Any, depth: int) -> None:
    """Raises _Refusal for a class or function that may not be made from this configuration."""
    if depth > MAX_DEPTH:
        raise _Refusal(f"config.json is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        if "class_name" in value:
            _check_class(value)
        for key, inner in value.items():
            if key == "compile_config" and inner:
                raise _Refusal("a model inside the model has its own training")
            _check_object(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_object(inner, depth + 1)


def _check_class(value: dict[str, Any]) -> None:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if name in _DATA_CLASSES and module is None:
        return
    if not isinstance(name, str) or not isinstance(module, str):
        raise _Refusal(f"config.json names {str(name)[:80]!r} without a module, expected a class of Keras itself")
    if name == "function":
        if module != "builtins" or not _is_activation(value.get("config")):
            raise _Refusal(f"the function {module[:80]}.{str(value.get('config'))[:80]} is none of keras.activations")
        return
    if module == "keras.layers" and name in UNSAFE_LAYERS:
        raise _Refusal(f"the layer {name} can run code or read other files")
    if not _is_builtin(module, name) or registered not in (None, name):
        known = "is no layer or operation of Keras itself, and others are not loaded"
        raise _Refusal(f"{module[:80]}.{name[:80]} (registered as {str(registered)[:80]}) {known}")


def _is_activation(name: Any) -> bool:
    return isinstance(name, str) and not name.startswith("_") and callable(getattr(keras.activations, name, None))


def _is_builtin(module: str, name: str) -> bool:
    if name.startswith("_"):
        return False
    if name in _MODELS:
        return module in ("keras", "keras.models", "keras.src.models.functional", "keras.src.models.sequential")
    bases: dict[str, tuple[Any, Any]] = {
        "keras": (keras, keras.DTypePolicy),
        "keras.layers": (keras.layers, keras.layers.Layer),
        "keras.initializers": (keras.initializers, keras.initializers.Initializer),
        "keras.regularizers": (keras.regularizers, keras.regularizers.Regularizer),
        "keras.constraints": (keras.constraints, keras.constraints.Constraint),
        "keras.dtype_policies": (keras.dtype_policies, keras.DTypePolicy),
    }
    if module in bases:
        namespace, base = bases[module]
    elif module in _OPERATIONS:
        namespace, base = _operations(module), keras.Operation
    else:
        return False
    found = getattr(namespace, name, None)
    return isinstance(found, type) and issubclass(found, base)


def _operations(module: str) -> Any:
    """The module in which Keras keeps the operations that graphs of `keras.ops` consist of."""
    namespace: Any = keras
    for part in module.split(".")[1:]:
        namespace = getattr(namespace, part, None)
    return namespace


def _only_input(config: dict[str, Any]) -> KerasInput:
    layers = config.get("config", {}).get("layers", []) if isinstance(config.get("config"), dict) else []
    inputs = [layer for layer in layers if isinstance(layer, dict) and layer.get("class_name") == "InputLayer"]
    if len(inputs) != 1:
        raise _Refusal(f"the model has {len(inputs)} inputs, expected one, of images")
    settings = inputs[0].get("config", {})
    shape = settings.get("batch_shape")
    if not isinstance(shape, list) or not all(side is None or type(side) is int for side in shape):
        raise _Refusal(f"its input has the shape {str(shape)[:80]}, expected a batch of images")
    return KerasInput(str(settings.get("name", "input")), str(settings.get("dtype", "float32")), tuple(shape))
