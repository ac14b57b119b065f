"""A vision transformer with its weights, in Keras: from a batch of canvases to class scores or embeddings.

As in `models/{vit,dinov2,dinov2_with_registers,dinov3_vit}/modeling_*.py` of `transformers`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.huggingface.image_processor import ImageProcessor
from deployments.families.huggingface.vit_config import Dinov3Config
from deployments.families.huggingface.vit_tensors import VitTensors
from deployments.families.shared.convolution import variable
from deployments.families.shared.position_table import resized_positions
from deployments.families.shared.transformer import Rotate, make_block, make_layer_norm, make_linear

_LEAST_LENGTH = 1e-12


@dataclass(frozen=True, slots=True)
class VitAnswer:
    """What the network answers."""

    kind: Literal["softmax", "sigmoid", "embedding"]

    pooling: Literal["cls", "mean"] = "cls"
    """Of an embedding: the CLS token, or the mean of all patches."""

    normalise: bool = False
    """Whether an embedding gets the length 1."""


class VitGraph:
    """uint8 RGB (n, height, width, 3) to float32 (n, classes) or (n, channels)."""

    def __init__(self, tensors: VitTensors, processor: ImageProcessor, answer: VitAnswer, dtype: str) -> None:
        config = tensors.config
        self._processor = processor
        self._answer = answer
        self._dtype = dtype
        self._patch_px = config.patch_px
        self._head_reads_mean = config.head_reads_mean
        height, width = processor.canvas_px
        self._grid = height // self._patch_px[0], width // self._patch_px[1]

        prefix, self._positions = tensors.prefix_tokens().astype(np.float64), None
        if config.has_table:
            table = tensors.table().astype(np.float64)
            prefix[0] += table[0]
            patches = table[1:].reshape(*config.grid, -1)
            if self._grid != config.grid:
                patches = resized_positions(patches, self._grid, config.is_table_antialiased)
            self._positions = variable(patches.reshape(-1, patches.shape[-1]), dtype)
        self._prefix = variable(prefix[None], dtype)
        self._prefix_count = len(prefix)
        self._rotate = None
        if isinstance(config, Dinov3Config):
            turns = turns_of(self._grid, config.hidden_size // config.num_attention_heads, config.rope_theta)
            self._rotate = make_rotate(turns, self._prefix_count, dtype)
        self._patch = make_linear(tensors.patch(), dtype)
        self._blocks = [make_block(tensors.block(index), dtype) for index in range(config.num_hidden_layers)]
        self._norm = make_layer_norm(tensors.final_norm(), "float32")
        self._head = None if answer.kind == "embedding" else make_linear(tensors.classifier(), "float32")

    def __call__(self, batch: Any, training: bool = False) -> tuple[Any, ...]:
        """One answer for each image of the batch."""
        del training
        tokens = self._tokens(batch)
        for block in self._blocks:
            tokens = block(tokens, self._rotate)
        return (self._answered(ops.cast(tokens, "float32")),)

    def _tokens(self, batch: Any) -> Any:
        (rows, columns), (height, width) = self._grid, self._patch_px
        # Patches are cut out while a number is a byte.
        patches = ops.transpose(ops.reshape(batch, (-1, rows, height, columns, width, 3)), (0, 1, 3, 2, 4, 5))
        gain = np.array(self._processor.gain, np.float32)
        offset = np.array(self._processor.offset, np.float32)
        pixels = ops.reshape(ops.cast(patches, "float32") * gain + offset, (-1, rows * columns, height * width * 3))
        tokens = self._patch(ops.cast(pixels, self._dtype))
        if self._positions is not None:
            tokens = tokens + self._positions
        prefix = ops.broadcast_to(self._prefix, (ops.shape(tokens)[0], *self._prefix.shape[1:]))
        return ops.concatenate([prefix, tokens], axis=1)

    def _answered(self, tokens: Any) -> Any:
        if self._head is None:
            vector = self._cls(tokens) if self._answer.pooling == "cls" else self._mean(tokens)
            if not self._answer.normalise:
                return vector
            length = ops.sqrt(ops.sum(ops.square(vector), axis=-1, keepdims=True))
            return vector / ops.maximum(length, _LEAST_LENGTH)
        vector = self._cls(tokens)
        if self._head_reads_mean:
            vector = ops.concatenate([vector, self._mean(tokens)], axis=-1)
        logits = self._head(vector)
        return ops.softmax(logits, axis=-1) if self._answer.kind == "softmax" else ops.sigmoid(logits)

    def _cls(self, tokens: Any) -> Any:
        return self._norm(tokens[:, 0])

    def _mean(self, tokens: Any) -> Any:
        return ops.mean(self._norm(tokens[:, self._prefix_count :]), axis=1)


def turns_of(grid: tuple[int, int], width: int, theta: float) -> NDArray[np.float64]:
    """The angles (rows * columns, width) by which DINOv3 turns queries and keys: of the row first, then of the
    column, then both again. Centres of patches lie from -1 to 1 on both axes."""
    rows, columns = ((np.arange(count) + 0.5) / count * 2 - 1 for count in grid)
    centres = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    frequencies = theta ** -(np.arange(width // 4) * 4 / width)
    angles = 2 * np.pi * centres[:, :, None] * frequencies
    return np.asarray(np.tile(angles.reshape(len(centres), -1), 2))


def make_rotate(turns: NDArray[np.float64], still: int, dtype: str) -> Rotate:
    """Turns the second half of the width against the first (Su et al. 2021, arXiv:2104.09864); the first `still`
    tokens stay as they are."""
    angles = np.concatenate([np.zeros((still, turns.shape[1])), turns])
    cosine, sine = variable(np.cos(angles), dtype), variable(np.sin(angles), dtype)
    half = turns.shape[1] // 2

    def rotate(x: Any) -> Any:
        return x * cosine + ops.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sine

    return rotate
