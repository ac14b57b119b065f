"""The demo model's weights on disk: a plain float16 `.npz`, never a pickle.

A convolution's batch normalisation
is folded into it on writing (ultralytics `utils/torch_utils.py` `fuse_conv_and_bn` does the same).
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable

_LABELS_KEY = "labels"
_NORM_SUFFIX = ".norm"


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """What the file holds: class names in index order, and arrays by `layer/kernel`, `layer/bias`."""

    labels: tuple[str, ...]
    arrays: dict[str, NDArray[Any]]


def read(path: Path) -> StoredWeights:
    """Read a weights file. Raises ModelUnavailable when it is missing, broken or unsafe."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        labels = tuple(str(label) for label in arrays.pop(_LABELS_KEY))
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"the weights {path.name} cannot be read: {error}") from error
    return StoredWeights(labels, arrays)


def write(path: Path, stored: StoredWeights) -> None:
    """Write a weights file as float16, replacing the old one at once."""
    content: dict[str, Any] = {_LABELS_KEY: np.array(stored.labels)}
    content |= {name: array.astype(np.float16) for name, array in stored.arrays.items()}
    draft = path.with_name(f"{path.stem}.draft.npz")
    np.savez_compressed(draft, **content)
    draft.replace(path)


def fold(model: Any, labels: tuple[str, ...]) -> StoredWeights:
    """Take the convolutions of a training network, each with its batch normalisation folded in."""
    layers = {layer.name: layer for layer in model.layers}
    arrays: dict[str, NDArray[Any]] = {}
    for name, layer in layers.items():
        if not hasattr(layer, "kernel"):
            continue
        kernel = np.asarray(layer.kernel)
        norm = layers.get(name + _NORM_SUFFIX)
        if norm is None:
            bias = np.asarray(layer.bias)
        else:
            gamma, beta = np.asarray(norm.gamma), np.asarray(norm.beta)
            mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
            scale = gamma / np.sqrt(variance + norm.epsilon)
            kernel, bias = kernel * scale, beta - mean * scale
        arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = kernel, bias
    return StoredWeights(labels, arrays)


def load_into(model: Any, stored: StoredWeights) -> None:
    """Set the convolutions of a folded network. Raises ModelUnavailable on any misfit."""
    expected = {
        f"{layer.name}/{kind}": variable
        for layer in model.layers
        if hasattr(layer, "kernel")
        for kind, variable in (("kernel", layer.kernel), ("bias", layer.bias))
    }
    if expected.keys() != stored.arrays.keys():
        odd = sorted(expected.keys() ^ stored.arrays.keys())
        raise ModelUnavailable(f"weights and network differ in {len(odd)} arrays, first {odd[0]}")
    for name, variable in expected.items():
        array = stored.arrays[name]
        if tuple(variable.shape) != array.shape:
            raise ModelUnavailable(f"{name}: expected shape {tuple(variable.shape)}, found {array.shape}")
        variable.assign(array.astype(np.float32))
