"""Which layers and weights a file of keras-retinanet 0.1 must have, and what its description must say.

Names as in fizyr/keras-retinanet 0.1 `models/retinanet.py`, keras-resnet 0.1 and 0.2 `models/_2d.py`. A description
is compared and never run; a file without one, of weights only, is taken at its layers' names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.hdf5 import StoredArray
from deployments.errors import ModelUnavailable
from deployments.families.retinanet.keras_retinanet_description import check_description
from deployments.families.retinanet.retinanet_blocks import RESNET50_BLOCKS

ANCHORS = 9
"""Anchors of a cell."""

PYRAMID = {"P5": 1, "C4_reduced": 1, "P4": 3, "C3_reduced": 1, "P3": 3, "P6": 3, "P7": 3}
"""Convolutions of the feature pyramid and the sides of their kernels. P5 has no 3x3 in version 0.1."""

HEADS = ("classification", "regression")
_HEAD_DEPTH = 4
_ANCHOR_LAYERS = {f"anchors_{index}" for index in range(5)}
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_KIND = "a RetinaNet of keras-retinanet 0.1 with a ResNet-50"


@dataclass(frozen=True, slots=True)
class KerasRetinaNetLayout:
    """The weights of one network, complete and of fitting shapes."""

    weights: Mapping[str, StoredArray]
    """By name, "layer/kind"."""

    class_count: int
    """Classes of the classification head."""

    has_padded_stem: bool
    """Whether the first convolution pads three pixels on each side (keras-resnet 0.1) or as TensorFlow does (0.2)."""

    def read(self, name: str) -> NDArray[Any]:
        """The values of one weight as float64."""
        return self.weights[name].numpy().astype(np.float64)


def block_name(stage: int, block: int) -> str:
    """What keras-resnet calls a bottleneck: stages count from 2, blocks are letters."""
    return f"{stage}{chr(ord('a') + block)}"


def head_layers(head: str) -> list[str]:
    """Names of the convolutions of a head, in order."""
    return [*(f"pyramid_{head}_{index}" for index in range(_HEAD_DEPTH)), f"pyramid_{head}"]


def read_layout(
    layers: Mapping[str, Mapping[str, StoredArray]], description: dict[str, Any] | None
) -> KerasRetinaNetLayout:
    """Check layers and description. Raises ModelUnavailable with what was found and what was expected."""
    if description is not None:
        check_description(description)
    weights: dict[str, StoredArray] = {}
    for layer, arrays in layers.items():
        if layer in {f"{head}_submodel" for head in HEADS}:
            weights |= _weights_of_head(layer, arrays)
        elif arrays and layer not in _ANCHOR_LAYERS:
            weights |= {f"{layer}/{_kind(name)}": array for name, array in arrays.items()}
    kernels = _kernels()
    expected = {f"{layer}/{kind}" for layer in kernels for kind in ("kernel", "bias")}
    expected -= {f"{layer}/bias" for layer in kernels if _norm_of(layer)}
    expected |= {f"{norm}/{kind}" for norm in filter(None, map(_norm_of, kernels)) for kind in _NORM}
    # What is surplus tells more than what is missing: a deeper ResNet, a later version.
    for odd, what in ((weights.keys() - expected, "has"), (expected - weights.keys(), "has no")):
        if odd:
            raise ModelUnavailable(f"{what} {min(odd)[:80]!r} (and {len(odd) - 1} more), expected {_KIND}")
    for layer, side in kernels.items():
        _check_shapes(weights, layer, side)
    _check_channels(weights)
    return KerasRetinaNetLayout(weights, _class_count(weights), "padding_conv1" in layers)


def _kernels() -> dict[str, int]:
    """All convolutions, and the sides of their kernels."""
    kernels = {"conv1": 7}
    for stage, blocks in enumerate(RESNET50_BLOCKS, 2):
        for block in range(blocks):
            name = f"res{block_name(stage, block)}_branch"
            kernels |= {f"{name}2a": 1, f"{name}2b": 3, f"{name}2c": 1}
            if block == 0:
                kernels[f"{name}1"] = 1
    return kernels | PYRAMID | {layer: 3 for head in HEADS for layer in head_layers(head)}


def _norm_of(layer: str) -> str | None:
    """The batch norm behind a convolution; None where it has a bias instead."""
    if layer == "conv1":
        return "bn_conv1"
    return f"bn{layer[3:]}" if layer.startswith("res") else None


def _kind(name: str) -> str:
    """ "layer/kernel:0" to "kernel"."""
    return name.rsplit("/", 1)[-1].removesuffix(":0")


def _weights_of_head(layer: str, arrays: Mapping[str, StoredArray]) -> dict[str, StoredArray]:
    """By order, since TensorFlow 1 numbers a name used again: `pyramid_regression_1` is the second or the last."""
    wanted = [(name, kind) for name in head_layers(layer.removesuffix("_submodel")) for kind in ("kernel", "bias")]
    is_known = len(arrays) == len(wanted) and all(
        re.fullmatch(rf"(?:.*/)?{name}(?:_\d+)?/{kind}(?::0)?", found)
        for found, (name, kind) in zip(arrays, wanted, strict=True)
    )
    if not is_known:
        raise ModelUnavailable(f"{layer} has the weights {list(arrays)[:4]} ..., expected those of {_KIND}")
    return {f"{name}/{kind}": array for array, (name, kind) in zip(arrays.values(), wanted, strict=True)}


def _check_shapes(weights: Mapping[str, StoredArray], layer: str, side: int) -> None:
    shape = weights[f"{layer}/kernel"].shape
    if len(shape) != 4 or shape[:2] != (side, side) or 0 in shape:
        raise ModelUnavailable(f"{layer}/kernel has shape {shape}, expected ({side}, {side}, in, out)")
    norm = _norm_of(layer)
    for name in [f"{norm}/{kind}" for kind in _NORM] if norm else [f"{layer}/bias"]:
        if weights[name].shape != (shape[3],):
            raise ModelUnavailable(f"{name} has shape {weights[name].shape}, expected {(shape[3],)}")


def _check_channels(weights: Mapping[str, StoredArray]) -> None:
    """That each convolution takes what the one before it gives."""

    def follow(layer: str, channels: int) -> int:
        shape = weights[f"{layer}/kernel"].shape
        if shape[2] != channels:
            raise ModelUnavailable(f"{layer}/kernel takes {shape[2]} channels and is given {channels}")
        return shape[3]

    channels, stages = follow("conv1", 3), []
    for stage, blocks in enumerate(RESNET50_BLOCKS, 2):
        for block in range(blocks):
            name = f"res{block_name(stage, block)}_branch"
            ends = follow(f"{name}1", channels) if block == 0 else channels
            channels = follow(f"{name}2c", follow(f"{name}2b", follow(f"{name}2a", channels)))
            if channels != ends:
                raise ModelUnavailable(f"{name}2c gives {channels} channels, its shortcut {ends}")
        stages.append(channels)
    features = [
        follow("P3", follow("C3_reduced", stages[1])),
        follow("P4", follow("C4_reduced", stages[2])),
        follow("P5", stages[3]),
        follow("P7", follow("P6", stages[3])),
    ]
    if len({weights[f"{layer}/kernel"].shape[3] for layer in PYRAMID}) != 1:
        raise ModelUnavailable(f"the levels of the pyramid have {features} channels, expected the same for all")
    for head in HEADS:
        given = features[0]
        for layer in head_layers(head):
            given = follow(layer, given)


def _class_count(weights: Mapping[str, StoredArray]) -> int:
    sides = weights["pyramid_regression/kernel"].shape[3]
    scores = weights["pyramid_classification/kernel"].shape[3]
    if sides != 4 * ANCHORS or scores % ANCHORS:
        raise ModelUnavailable(
            f"the heads give {sides} and {scores} numbers a cell, expected those of {ANCHORS} anchors"
        )
    return scores // ANCHORS
