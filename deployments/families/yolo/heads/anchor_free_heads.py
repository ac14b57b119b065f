"""The anchor-free heads of ultralytics in the graph: what each says of a cell besides its distances and classes.

Sources: ultralytics 8.4 `nn/modules/head.py`, `utils/tal.py` (`dist2rbox`).
"""

import math
from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.anchor_free import Places
from deployments.families.yolo.heads.ending import Ending
from deployments.families.yolo.heads.keypoint_ending import KeypointEnding
from deployments.families.yolo.heads.mask_ending import MaskEnding
from deployments.families.yolo.heads.mask_head import WholeImage, mask_count, prototypes
from deployments.families.yolo.heads.rotated_ending import RotatedEnding
from deployments.families.yolo.layers.torch_layers import LayerBuilder

MAX_KEYPOINTS = 500
MAX_ROTATED = 4096
"""Candidates of an image: the work of suppressing them grows with the square, to a second of one core."""


class AnchorFreeHead:
    """`Detect`: upright boxes and nothing else."""

    branches: tuple[str, ...] = ()
    """Lists with a module for each level, besides those of distances and classes. Of a level, one takes what the one
    before gives."""

    modules: tuple[str, ...] = ()
    """Children that are there once."""

    numbers = 0
    """What the last of the branches gives for each cell."""

    most_candidates = 30_000
    """Of one image."""

    ending: Ending = Ending()

    def __init__(self, head: ModuleStub) -> None:
        """Raises ModelUnavailable for a head that does not fit."""

    def decoded(self, places: Places) -> tuple[Any, ...]:
        """Boxes of some cells, and what comes besides."""
        return (places.boxes(),)

    def whole_image(self, head: ModuleStub, builder: LayerBuilder, stride_px: int) -> WholeImage:
        """The program of `modules`. stride_px: canvas pixels per cell of the first feature map."""
        return lambda features: ()


class SegmentHead(AnchorFreeHead):
    """`Segment` and `Segment26`: coefficients of masks for each cell, prototypes for each image."""

    branches: tuple[str, ...] = ("cv4",)
    modules = ("proto",)
    ending = MaskEnding()

    def __init__(self, head: ModuleStub) -> None:
        self.numbers = mask_count(head)

    def decoded(self, places: Places) -> tuple[Any, ...]:
        """Upright boxes, and coefficients (n, k, masks)."""
        return places.boxes(), places.beside

    def whole_image(self, head: ModuleStub, builder: LayerBuilder, stride_px: int) -> WholeImage:
        """Prototypes float32 (n, height, width, masks)."""
        return prototypes(head, builder, stride_px)


class PoseHead(AnchorFreeHead):
    """`Pose`: keypoints."""

    branches: tuple[str, ...] = ("cv4",)
    ending = KeypointEnding()
    _scale, _shift = 2.0, 0.5

    def __init__(self, head: ModuleStub) -> None:
        shape = head.state.get("kpt_shape")
        pair = tuple(shape) if isinstance(shape, list | tuple) else ()
        if len(pair) != 2 or any(type(one) is not int for one in pair):
            raise ModelUnavailable(f"'kpt_shape' of {head.kind} is not two integers")
        self._points, self._values = pair
        if not 1 <= self._points <= MAX_KEYPOINTS or self._values not in (2, 3):
            raise ModelUnavailable(
                f"the head has {self._points} keypoints of {self._values} values, "
                f"expected 1 to {MAX_KEYPOINTS} of 2 or 3"
            )
        self.numbers = self._points * self._values

    def decoded(self, places: Places) -> tuple[Any, ...]:
        """Upright boxes, and points (n, k, points, 3), x y in canvas pixels and visibility, 1 where it is unknown."""
        count = int(places.beside.shape[1])
        raw = ops.reshape(places.beside, (-1, count, self._points, self._values))
        strides, centres = ops.expand_dims(places.strides, -1), ops.expand_dims(places.centres, -2)
        points = (raw[..., :2] * self._scale - self._shift) * strides + centres
        seen = ops.sigmoid(raw[..., 2:]) if self._values == 3 else ops.ones_like(raw[..., :1])
        return places.boxes(), ops.concatenate([points, seen], axis=-1)


class Pose26Head(PoseHead):
    """`Pose26`: keypoints as distances from the cell's centre; what it says of their spread is for training only."""

    branches: tuple[str, ...] = ("cv4", "cv4_kpts")
    _scale, _shift = 1.0, 0.0


class RotatedHead(AnchorFreeHead):
    """`OBB`: boxes with an angle."""

    branches: tuple[str, ...] = ("cv4",)
    numbers = 1
    most_candidates = MAX_ROTATED
    ending = RotatedEnding()

    def __init__(self, head: ModuleStub) -> None:
        if head.integer("ne") != 1:
            raise ModelUnavailable(f"the head has {head.integer('ne')} angles for each box, expected 1")

    def angles(self, raw: Any) -> Any:
        """In radians, from what the branch gives."""
        return (ops.sigmoid(raw) - 0.25) * math.pi

    def decoded(self, places: Places) -> tuple[Any, ...]:
        """Boxes (n, k, 5), centre x y, width, height in canvas pixels, angle."""
        angles, distances, strides = self.angles(places.beside), places.distances(), places.strides
        before, after = distances[..., :2], distances[..., 2:]
        x, y = ops.split((after - before) / 2.0, 2, axis=-1)
        cos, sin = ops.cos(angles), ops.sin(angles)
        turned = ops.concatenate([x * cos - y * sin, x * sin + y * cos], axis=-1)
        centres = places.centres + turned * strides
        return (ops.concatenate([centres, (before + after) * strides, angles], axis=-1),)


class Rotated26Head(RotatedHead):
    """`OBB26`: the branch gives the angle itself."""

    def angles(self, raw: Any) -> Any:
        """In radians."""
        return raw


HEADS: dict[str, type[AnchorFreeHead]] = {
    "Detect": AnchorFreeHead,
    "v10Detect": AnchorFreeHead,
    "Segment": SegmentHead,
    "Segment26": SegmentHead,
    "Pose": PoseHead,
    "Pose26": Pose26Head,
    "OBB": RotatedHead,
    "OBB26": Rotated26Head,
}
"""By the name of the class in the file."""
