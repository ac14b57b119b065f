"""The demo network: a narrow CSP backbone, a two-way pyramid and a decoupled head.

The plan follows YOLOv8 (ultralytics `cfg/models/v8/yolov8.yaml`: C2f blocks,
SPPF, PAN, decoupled anchor-free head) at a fraction of its width, with ReLU for cheap training.
"""

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from deployments.families.shared.anchor_free import HeadMaps, decode

STRIDES_PX = (8, 16, 32)
"""Canvas pixels per cell of the three levels."""

_WIDTHS = (16, 24, 48, 80, 112)
_HEAD_WIDTH = 40
# Scores start near 1 %, so that the many empty cells do not swamp the first steps.
_PRIOR_LOGIT = -4.6


@dataclass(frozen=True)
class _Builder:
    """Adds layers; `folded` leaves out batch normalisation, whose effect then sits in the conv."""

    folded: bool

    def conv(self, x: Any, width: int, name: str, size: int = 3, step: int = 1) -> Any:
        x = layers.Conv2D(
            width,
            size,
            step,
            "same",
            use_bias=self.folded,
            name=name,
            kernel_initializer="he_normal",
        )(x)
        if not self.folded:
            x = layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}.norm")(x)
        return layers.Activation("relu", name=f"{name}.relu")(x)

    def split_block(self, x: Any, width: int, name: str, depth: int = 1, add: bool = True) -> Any:
        """C2f: split channels, run small bottlenecks on one half, join everything."""
        half = width // 2
        x = self.conv(x, width, f"{name}.in", 1)
        parts = [x[..., :half], x[..., half:]]
        for index in range(depth):
            y = self.conv(parts[-1], half, f"{name}.{index}a")
            y = self.conv(y, half, f"{name}.{index}b")
            parts.append(parts[-1] + y if add else y)
        return self.conv(ops.concatenate(parts, axis=-1), width, f"{name}.out", 1)

    def pooled(self, x: Any, width: int, name: str) -> Any:
        """SPPF: the same map pooled once, twice and three times, joined."""
        x = self.conv(x, width // 2, f"{name}.in", 1)
        parts = [x]
        for _ in range(3):
            parts.append(layers.MaxPooling2D(5, 1, "same")(parts[-1]))
        return self.conv(ops.concatenate(parts, axis=-1), width, f"{name}.out", 1)

    def head(self, x: Any, classes: int, name: str) -> tuple[Any, Any]:
        box = self.conv(x, _HEAD_WIDTH, f"{name}.box")
        box = layers.Conv2D(4, 1, name=f"{name}.box.out")(box)
        label = self.conv(x, _HEAD_WIDTH, f"{name}.class")
        label = layers.Conv2D(
            classes,
            1,
            name=f"{name}.class.out",
            bias_initializer=keras.initializers.Constant(_PRIOR_LOGIT),
        )(label)
        # Softplus keeps distances positive and smooth; the shift starts them near two cells.
        return ops.softplus(ops.cast(box, "float32") + 2.0), ops.cast(label, "float32")


def head_maps(pixels: Any, classes: int, folded: bool) -> list[HeadMaps]:
    """Apply a fresh network to uint8 RGB (N, h, w, 3), 0..255, h and w multiples of 32.

    Returns three levels; distances (N, h/s, w/s, 4) are in strides (`decode` with bins = 1).
    """
    add = _Builder(folded)
    x = ops.cast(pixels, "float32") / 255.0
    x = add.conv(x, _WIDTHS[0], "stem", 3, 2)
    x = add.conv(x, _WIDTHS[1], "down4", 3, 2)
    x = add.split_block(x, _WIDTHS[1], "stage4")
    x = add.conv(x, _WIDTHS[2], "down8", 3, 2)
    p8 = add.split_block(x, _WIDTHS[2], "stage8", 2)
    x = add.conv(p8, _WIDTHS[3], "down16", 3, 2)
    p16 = add.split_block(x, _WIDTHS[3], "stage16", 2)
    x = add.conv(p16, _WIDTHS[4], "down32", 3, 2)
    p32 = add.pooled(add.split_block(x, _WIDTHS[4], "stage32"), _WIDTHS[4], "pool32")
    grow = layers.UpSampling2D
    up16 = ops.concatenate([grow()(p32), p16], axis=-1)
    up16 = add.split_block(up16, _WIDTHS[3], "up16", add=False)
    out8 = ops.concatenate([grow()(up16), p8], axis=-1)
    out8 = add.split_block(out8, _WIDTHS[2], "up8", add=False)
    x = ops.concatenate([add.conv(out8, _WIDTHS[2], "back16", 3, 2), up16], axis=-1)
    out16 = add.split_block(x, _WIDTHS[3], "out16", add=False)
    x = ops.concatenate([add.conv(out16, _WIDTHS[3], "back32", 3, 2), p32], axis=-1)
    out32 = add.split_block(x, _WIDTHS[4], "out32", add=False)
    levels = zip((out8, out16, out32), STRIDES_PX, strict=True)
    return [HeadMaps(*add.head(x, classes, f"head{s}"), s) for x, s in levels]


def trainable_network(canvas_px: tuple[int, int], classes: int) -> keras.Model:
    """The network with batch normalisation: six tensors, distances and class logits per level."""
    pixels = keras.Input((*canvas_px, 3), dtype="uint8", name="pixels")
    maps = head_maps(pixels, classes, folded=False)
    return keras.Model(pixels, [t for level in maps for t in (level.distances, level.class_logits)])


def serving_network(canvas_px: tuple[int, int], classes: int) -> keras.Model:
    """The folded network with its decoder: uint8 RGB (N, h, w, 3) to boxes, scores, classes."""
    pixels = keras.Input((*canvas_px, 3), dtype="uint8", name="pixels")
    return keras.Model(pixels, decode(head_maps(pixels, classes, folded=True)), name="benthic_demo")
