"""The backbone of RF-DETR: DINOv2 (Oquab et al. 2023, arXiv:2304.07193) whose attention mostly stays within windows.

As in rfdetr 1.11 `models/backbone/dinov2_with_windowed_attn.py`: each window has a class token of its own, and every
few blocks tokens of all windows see each other.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.detr.named_layers import dense
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_settings import Size
from deployments.families.detr.rf_detr_sizes import BACKBONE, BACKBONE_HEAD, PATCHES, POSITIONS, REGISTERS
from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.shared.convolution import ConvolutionGeometry, dense_convolution, variable
from deployments.families.shared.position_table import resized_positions
from deployments.families.shared.transformer import (
    Attention,
    Dense,
    EncoderBlock,
    Mlp,
    Norm,
    make_block,
    make_layer_norm,
)

_EPSILON = 1e-6


class WindowedDinov2:
    """The backbone for one size of canvas; call it inside a compiled function."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, size_px: Size, dtype: str) -> None:
        """size_px: height and width of the network's input, multiples of the layout's divisor."""
        self._layout = layout
        self._grid = (size_px[0] // layout.patch_px, size_px[1] // layout.patch_px)
        patch = (layout.patch_px, layout.patch_px)
        self._patches = dense_convolution(
            tensors(f"{PATCHES}.weight"),
            tensors(f"{PATCHES}.bias"),
            ConvolutionGeometry.of(patch, patch, (0, 0)),
            dtype,
        )
        first, table = _positions(tensors, layout, self._grid)
        self._positions = variable(table[None], dtype)
        extra = [tensors(f"{BACKBONE}.embeddings.cls_token")[0] + first]
        if layout.registers:
            extra.append(tensors(REGISTERS)[0])
        self._extra = variable(np.concatenate(extra)[None], dtype)
        self._blocks = [make_block(_block(tensors, index), dtype) for index in range(layout.features[-1])]
        self._norm = make_layer_norm(_norm(tensors, f"{BACKBONE}.layernorm"), dtype)

    def __call__(self, images: Any) -> list[Any]:
        """Normalised images (n, height, width, 3) to feature maps (n, rows, columns, channels)."""
        windows = self._layout.windows**2
        tokens = self._in_windows(self._patches(images) + self._positions)
        extra = ops.zeros_like(tokens[:, :1]) + self._extra
        tokens = ops.concatenate([extra, tokens], axis=1)
        count, width = int(tokens.shape[1]), self._layout.width
        found = []
        for index, block in enumerate(self._blocks):
            if index in self._layout.features:
                tokens = ops.reshape(tokens, (-1, windows * count, width))
            tokens = ops.reshape(block(tokens, None), (-1, count, width))
            if index + 1 in self._layout.features:
                found.append(self._as_map(tokens))
        return found

    def _in_windows(self, patches: Any) -> Any:
        """(n, rows, columns, channels) to (n * windows, tokens, channels), window by window."""
        windows, width = self._layout.windows, self._layout.width
        rows, columns = self._grid[0] // windows, self._grid[1] // windows
        split = ops.reshape(patches, (-1, windows, rows, windows, columns, width))
        return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, rows * columns, width))

    def _as_map(self, tokens: Any) -> Any:
        windows, width = self._layout.windows, self._layout.width
        rows, columns = self._grid[0] // windows, self._grid[1] // windows
        patches = self._norm(tokens[:, self._extra.shape[1] :])
        split = ops.reshape(patches, (-1, windows, windows, rows, columns, width))
        return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, *self._grid, width))


def _positions(tensors: NamedTensors, layout: RfDetrLayout, grid: Size) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of the class token (1, channels), and of the patches (rows, columns, channels)."""
    stored = tensors(POSITIONS)[0]
    table = stored[1:].reshape(*layout.positions, layout.width)
    if layout.positions != grid:
        table = resized_positions(table, grid, is_antialiased=True)
    return stored[:1], table


def _block(tensors: NamedTensors, index: int) -> EncoderBlock:
    name = f"{BACKBONE}.encoder.layer.{index}"
    inputs = [dense(tensors, f"{name}.attention.attention.{part}") for part in ("query", "key", "value")]
    output = dense(tensors, f"{name}.attention.output.dense")
    return EncoderBlock(
        attention_norm=_norm(tensors, f"{name}.norm1"),
        attention=Attention(len(output.weight) // BACKBONE_HEAD, Dense.stacked(inputs), output),
        mlp_norm=_norm(tensors, f"{name}.norm2"),
        mlp=Mlp(dense(tensors, f"{name}.mlp.fc1"), dense(tensors, f"{name}.mlp.fc2")),
        attention_scale=tensors(f"{name}.layer_scale1.lambda1"),
        mlp_scale=tensors(f"{name}.layer_scale2.lambda1"),
    )


def _norm(tensors: NamedTensors, name: str) -> Norm:
    return Norm(tensors(f"{name}.weight"), tensors(f"{name}.bias"), _EPSILON)
