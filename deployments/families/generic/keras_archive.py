"""The configuration in a `.keras` file of Keras 3, checked before Keras makes anything of it.

It is data, JSON, but can name any class, among them some that run code or read other files when they are made. So
only those are let through that are known to do neither. `keras_zip.py` reads the file around it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from deployments.errors import ModelUnavailable
from deployments.families.generic.keras_zip import read_config

MAX_DEPTH = 200

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
    """The one image input of a model."""

    name: str
    dtype: str

    batch_shape: tuple[int | None, ...]
    """None for a side that is free."""


def check_archive(path: Path) -> KerasInput:
    """Check the file at `path`. Raises ModelUnavailable with what was found in it."""
    try:
        config = json.loads(read_config(path))
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name}: config.json is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(config, dict):
        raise ModelUnavailable(f"{path.name}: config.json holds no model")
    try:
        # How the model was trained is not needed, and is not loaded.
        _check_object({**config, "compile_config": None}, 0)
        return _only_input(config)
    except _UnsafeConfig as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error


class _UnsafeConfig(ValueError):
    """Why a configuration is not loaded."""


def _check_object(value: Any, depth: int) -> None:
    """Raise _UnsafeConfig for a class or function that may not be made from this configuration."""
    if depth > MAX_DEPTH:
        raise _UnsafeConfig(f"config.json is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        if "class_name" in value:
            _check_class(value)
        for key, inner in value.items():
            if key == "compile_config" and inner:
                raise _UnsafeConfig("a model inside the model has its own training")
            _check_object(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_object(inner, depth + 1)


def _check_class(value: dict[str, Any]) -> None:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if name in _DATA_CLASSES and module is None:
        return
    if not isinstance(name, str) or not isinstance(module, str):
        raise _UnsafeConfig(
            f"config.json names {str(name)[:80]!r} without a module, expected a class of Keras itself"
        )
    if name == "function":
        if module != "builtins" or not _is_activation(value.get("config")):
            raise _UnsafeConfig(
                f"the function {module[:80]}.{str(value.get('config'))[:80]} is none of keras.activations"
            )
        return
    if module == "keras.layers" and name in UNSAFE_LAYERS:
        raise _UnsafeConfig(f"the layer {name} can run code or read other files")
    if not _is_builtin(module, name) or registered not in (None, name):
        known = "is not a layer or operation of Keras itself, and others are not loaded"
        raise _UnsafeConfig(f"{module[:80]}.{name[:80]} (registered as {str(registered)[:80]}) {known}")


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
        raise _UnsafeConfig(f"the model has {len(inputs)} inputs, expected one, of images")
    settings = inputs[0].get("config", {})
    shape = settings.get("batch_shape")
    if not isinstance(shape, list) or not all(side is None or type(side) is int for side in shape):
        raise _UnsafeConfig(f"its input has the shape {str(shape)[:80]}, expected a batch of images")
    return KerasInput(str(settings.get("name", "input")), str(settings.get("dtype", "float32")), tuple(shape))
