"""Masks from prototypes: each is a weighted sum of the prototypes of its image, cut out by its box.

Only those of kept detections are made, one at a time, and only around the box, so that memory is bounded by one mask.
Sources: ultralytics 8.4 `utils/ops.py` `process_mask`, `models/yolo/segment/predict.py`; ultralytics/yolov5
`utils/segment/general.py` `process_mask`.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Outputs
from deployments.families.shared.letterbox import Letterbox
from deployments.families.yolo.heads.ending import Ending, Place
from deployments.prediction import Detections, Masks

Span = tuple[int, int]
"""Along one axis, the second exclusive."""


class MaskEnding(Ending):
    """Upright boxes with masks: after the classes come coefficients (k, m) and prototypes (height, width, m).

    is_cut_first: whether a mask is cut by its box before it is enlarged, as YOLOv5 does, and not after, as its
    successors do. Those also leave out a detection whose mask is empty.
    """

    def __init__(self, is_cut_first: bool = False) -> None:
        self._is_cut_first = is_cut_first

    def detections(self, outputs: Outputs, kept: NDArray[np.intp], place: Place) -> Detections:
        """Boxes and masks. The grid of the masks is the part of the canvas that the image covers."""
        boxes, _, _, coefficients, prototypes = outputs
        maker = (_CutFirst if self._is_cut_first else _CutLast)(prototypes, place.geometry)
        is_seen = np.zeros(len(kept), np.bool_)

        def mask_of(index: int) -> NDArray[np.bool_]:
            chosen = kept[index]
            part, corner = maker.part(boxes[chosen].astype(np.float64), coefficients[chosen])
            is_seen[index] = part.any()
            return _on_image(part, corner, place.geometry)

        masks = Masks.of(len(kept), mask_of, place.geometry.resized_px)
        found = replace(super().detections(outputs, kept, place), masks=masks)
        return found if self._is_cut_first else found.picked(np.flatnonzero(is_seen))


class _CutLast:
    """Makes masks of one image that are enlarged and then cut.

    Arrays are (columns, rows): run lengths go column by column.
    """

    threshold = 0.0

    def __init__(self, prototypes: NDArray[np.float32], geometry: Letterbox) -> None:
        self._prototypes = prototypes
        self._canvas_px = geometry.canvas_px
        self._factor = geometry.canvas_px[0] // prototypes.shape[0]

    def part(self, box: NDArray[np.float64], coefficients: NDArray[Any]) -> tuple[NDArray[np.bool_], Span]:
        """The pixels of a mask within a part of the canvas, (columns, rows), and the part's corner, x y."""
        factor, (height, width, _) = self._factor, self._prototypes.shape
        columns, rows = _span(box[0::2], self._canvas_px[1]), _span(box[1::2], self._canvas_px[0])
        # One more on each side, from which the pixels at an edge are interpolated.
        around = [
            (max(start // factor - 1, 0), min((stop - 1) // factor + 2, most))
            for (start, stop), most in ((columns, width), (rows, height))
        ]
        if columns[0] == columns[1] or rows[0] == rows[1]:
            return np.zeros((0, 0), np.bool_), (0, 0)
        large = self.enlarged(self.values(around, coefficients))
        cut = large[
            columns[0] - around[0][0] * factor : columns[1] - around[0][0] * factor,
            rows[0] - around[1][0] * factor : rows[1] - around[1][0] * factor,
        ]
        return cut > self.threshold, (columns[0], rows[0])

    def values(self, around: list[Span], coefficients: NDArray[Any]) -> NDArray[np.float32]:
        """The weighted sum of the prototypes in some of their columns and rows: (columns, rows)."""
        (left, right), (top, bottom) = around
        # Weights that are not numbers give a mask that is nowhere.
        with np.errstate(all="ignore"):
            total = self._prototypes[top:bottom, left:right] @ coefficients
        return np.ascontiguousarray(total.T, np.float32)

    def enlarged(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """At the size of the canvas."""
        size = values.shape[1] * self._factor, values.shape[0] * self._factor
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)


class _CutFirst(_CutLast):
    """Makes masks of one image that are cut and then enlarged, so that they reach beyond the box a little."""

    threshold = 0.5

    def part(self, box: NDArray[np.float64], coefficients: NDArray[Any]) -> tuple[NDArray[np.bool_], Span]:
        """As of `_CutLast`."""
        height, width, _ = self._prototypes.shape
        inner = [
            _span(box[0::2] * (width / self._canvas_px[1]), width),
            _span(box[1::2] * (height / self._canvas_px[0]), height),
        ]
        around = [
            (max(start - 1, 0), min(stop + 1, most))
            for (start, stop), most in zip(inner, (width, height), strict=True)
        ]
        values = self.values(around, coefficients)
        with np.errstate(all="ignore"):
            shares = 1.0 / (1.0 + np.exp(-values))
        cut = np.zeros_like(values)
        window = tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(inner, around, strict=True))
        cut[window] = shares[window]
        corner = around[0][0] * self._factor, around[1][0] * self._factor
        return self.enlarged(cut) > self.threshold, corner


def _span(ends: NDArray[np.float64], most: int) -> Span:
    """The whole numbers from one end to before the other, of 0 to `most`."""
    start, stop = np.clip(np.ceil(ends), 0, most).astype(int).tolist()
    return start, max(start, stop)


def _on_image(part: NDArray[np.bool_], corner: Span, geometry: Letterbox) -> NDArray[np.bool_]:
    """Part of a canvas (columns, rows) on the grid of the image, (height, width), without the canvas's border."""
    height, width = geometry.resized_px
    grid = np.zeros((width, height), np.bool_)
    left, top = corner[0] - geometry.pad_left_px, corner[1] - geometry.pad_top_px
    right, bottom = min(left + part.shape[0], width), min(top + part.shape[1], height)
    if right > max(left, 0) and bottom > max(top, 0):
        inside = part[max(-left, 0) : right - left, max(-top, 0) : bottom - top]
        grid[max(left, 0) : right, max(top, 0) : bottom] = inside
    return grid.T
