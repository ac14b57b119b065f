"""The network of an RF-DETR as one callable, from a canvas to the best pairs of query and class.

The end is that of rfdetr 1.11 `models/postprocess.py`: all rows of the head compete, also those that stand for no
class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.families.detr.deformable_decoder import DeformableDecoder
from deployments.families.detr.float_stretch import unstretched
from deployments.families.detr.projector import Projector
from deployments.families.detr.query_selection import QuerySelection
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_settings import Size
from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.detr.segmentation_head import SegmentationHead
from deployments.families.detr.windowed_dinov2 import WindowedDinov2
from deployments.families.shared.tensor_ops import rows_at

MEAN_RGB = (0.485, 0.456, 0.406)
STD_RGB = (0.229, 0.224, 0.225)

_LEVEL_PX = {"P3": 0.5, "P4": 1.0, "P5": 2.0}
"""Patches along the side of a pixel of each level."""


class RfDetrGraph:
    """Call it inside a compiled function, with canvases of the size that it was made for."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, size_px: Size, dtype: str) -> None:
        """size_px: height and width of the network's input.  dtype: of the backbone and the projector; the decoder is
        always in float32. Raises ModelUnavailable for weights that are not finite."""
        self._dtype = dtype
        self._selected = layout.selected
        self._backbone = WindowedDinov2(tensors, layout, size_px, dtype)
        self._projector = Projector(tensors, layout, dtype)
        sizes = level_sizes(layout, size_px)
        self._selection = QuerySelection(tensors, layout, sizes)
        self._decoder = DeformableDecoder(tensors, layout, sizes)
        self._to_masks = SegmentationHead(tensors, layout, size_px) if layout.mask_blocks else None

    def __call__(self, canvases: Any, training: bool = False) -> tuple[Any, ...]:
        """Canvases, uint8 RGB (n, rows, columns, 3), as `float_stretch` draws them, to the best pairs.

        Boxes float32 (n, k, 4) x1 y1 x2 y2 in parts of the image, not clipped; scores float32 (n, k), best first;
        rows of the head int32 (n, k). With a segmentation head also the query of each, int32 (n, k), and mask logits
        of all queries, float32 (n, queries, height, width).
        """
        del training
        boxes, logits, *masks = self.raw(canvases)
        queries, rows = int(logits.shape[1]), int(logits.shape[2])
        scores = ops.reshape(ops.sigmoid(logits), (-1, queries * rows))
        best, pair = ops.top_k(scores, k=min(self._selected, queries * rows))
        centre, half = boxes[..., :2], boxes[..., 2:] / 2
        corners = ops.concatenate([centre - half, centre + half], axis=-1)
        found = rows_at(corners, pair // rows), best, ops.cast(pair % rows, "int32")
        return (*found, ops.cast(pair // rows, "int32"), *masks) if masks else found

    def raw(self, canvases: Any) -> tuple[Any, ...]:
        """Of all queries: boxes (n, queries, 4), centre and size in parts of the image; logits (n, queries, rows);
        and mask logits (n, queries, height, width), if there are any."""
        images = (unstretched(canvases) / 255 - np.array(MEAN_RGB, np.float32)) / np.array(STD_RGB, np.float32)
        maps = self._projector(self._backbone(ops.cast(images, self._dtype)))
        maps = [ops.cast(one, "float32") for one in maps]
        memory = ops.concatenate([_pixels(one) for one in maps], axis=1)
        boxes, logits, queries = self._decoder(self._selection(memory), memory)
        return (boxes, logits) if self._to_masks is None else (boxes, logits, self._to_masks(maps[0], queries))


def level_sizes(layout: RfDetrLayout, size_px: Size) -> Sequence[Size]:
    """Rows and columns of the map of each level."""
    rows, columns = (side // layout.patch_px for side in size_px)
    factors = [_LEVEL_PX[level] for level in layout.levels]
    # P5 is a convolution with a stride of 2, which rounds up.
    return [(int(np.ceil(rows / factor)), int(np.ceil(columns / factor))) for factor in factors]


def _pixels(level: Any) -> Any:
    return ops.reshape(level, (-1, int(level.shape[1]) * int(level.shape[2]), int(level.shape[3])))
