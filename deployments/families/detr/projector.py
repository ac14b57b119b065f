"""From the backbone's feature maps to the decoder's: one C2f over all of them for each level.

As in rfdetr 1.11 `models/backbone/projector.py`, where every convolution is followed by a LayerNorm over its
channels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_sizes import PROJECTOR
from deployments.families.detr.rf_detr_tensors import C2F_BOTTLENECKS, NamedTensors
from deployments.families.shared.convolution import ConvolutionGeometry, dense_convolution
from deployments.families.shared.transformer import Dense, Norm, make_layer_norm, make_linear

MapProgram = Callable[[Any], Any]
"""A map (n, rows, columns, channels) to another."""

_EPSILON = 1e-6


class Projector:
    """The maps of all levels; call it inside a compiled function."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, dtype: str) -> None:
        self._make = _LayerMaker(tensors, dtype)
        self._stages = [self._stage(index, level, layout) for index, level in enumerate(layout.levels)]

    def __call__(self, features: Sequence[Any]) -> list[Any]:
        """Feature maps (n, rows, columns, width) to one map (n, rows', columns', channels) for each level."""
        maps = []
        for resizing, c2f, norm in self._stages:
            joined = ops.concatenate(
                [resize(feature) for resize, feature in zip(resizing, features, strict=True)], axis=-1
            )
            maps.append(norm(c2f(joined)))
        return maps

    def _stage(self, index: int, level: str, layout: RfDetrLayout) -> tuple[list[MapProgram], MapProgram, MapProgram]:
        resizing = [
            self._make.resizing(f"{PROJECTOR}.stages_sampling.{index}.{feature}.0", level)
            for feature in range(len(layout.features))
        ]
        stage = f"{PROJECTOR}.stages.{index}"
        return resizing, self._make.c2f(f"{stage}.0"), self._make.norm(f"{stage}.1")


class _LayerMaker:
    """Makes layers from named tensors."""

    def __init__(self, tensors: NamedTensors, dtype: str) -> None:
        self._tensors = tensors
        self._dtype = dtype

    def resizing(self, name: str, level: str) -> MapProgram:
        if level == "P3":
            return self._doubled(name)
        if level == "P5":
            return self._convolution(name, ops.relu, stride=2)
        return lambda x: x

    def norm(self, name: str) -> MapProgram:
        norm = Norm(self._tensors(f"{name}.weight"), self._tensors(f"{name}.bias"), _EPSILON)
        return make_layer_norm(norm, self._dtype)

    def c2f(self, name: str) -> MapProgram:
        """A CSP bottleneck with two convolutions, without shortcuts."""
        first, last = (self._convolution(f"{name}.{part}", ops.silu) for part in ("cv1", "cv2"))
        bottlenecks = [
            [self._convolution(f"{name}.m.{index}.{part}", ops.silu) for part in ("cv1", "cv2")]
            for index in range(C2F_BOTTLENECKS)
        ]

        def run(x: Any) -> Any:
            x = first(x)
            half = int(x.shape[-1]) // 2
            parts = [x[..., :half], x[..., half:]]
            for one, two in bottlenecks:
                parts.append(two(one(parts[-1])))
            return last(ops.concatenate(parts, axis=-1))

        return run

    def _convolution(self, name: str, activation: MapProgram, stride: int = 1) -> MapProgram:
        weight = self._tensors(f"{name}.conv.weight")
        size = (int(weight.shape[2]), int(weight.shape[3]))
        geometry = ConvolutionGeometry.of(size, (stride, stride), (size[0] // 2, size[1] // 2))
        convolve = dense_convolution(weight, np.zeros(len(weight), np.float32), geometry, self._dtype)
        norm = self.norm(f"{name}.bn")
        return lambda x: activation(norm(convolve(x)))

    def _doubled(self, name: str) -> MapProgram:
        """A transposed convolution of 2 x 2 with a stride of 2: four linear layers, one for each corner."""
        weight = self._tensors(f"{name}.weight")
        out = weight.shape[1]
        corners = weight.transpose(2, 3, 1, 0).reshape(4 * out, -1)
        layer = make_linear(Dense(corners, np.tile(self._tensors(f"{name}.bias"), 4)), self._dtype)

        def run(x: Any) -> Any:
            rows, columns = int(x.shape[1]), int(x.shape[2])
            split = ops.reshape(layer(x), (-1, rows, columns, 2, 2, out))
            return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, 2 * rows, 2 * columns, out))

        return run
