"""What a model found, as CVAT's shapes and tags. Pure.

CVAT's types: `rectangle` (x1 y1 x2 y2; `rotation` in degrees, clockwise, about its middle), `polygon` (x y x y ...),
`mask` and `tag`. A mask is its pixels, 0 or 1, row by row, within left, top, right and bottom, which are its last
four numbers, the last row and column included; beside it `points`, its outline, for whoever asks CVAT for polygons.
Keypoints are left out: CVAT's skeletons need the name of each point, and a drawing, which no checkpoint has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidRequest
from deployments.prediction import ClassScores, Detections, Prediction
from deployments.prediction.masks import Masks

Annotation = dict[str, Any]

MAX_MASK_PX = 2**23
"""Pixels of all masks of one image, about a frame of 4K, and two bytes each in JSON. Those beyond are polygons."""

MASK_BYTES_PER_PX = 6
"""While an answer is written: a number of 32 bits, its digit and its comma."""


def annotations_of(prediction: Prediction, threshold: float | None) -> list[Annotation]:
    """Best score first. threshold: for classifiers; detections were thinned out by their model.

    Written by orjson with OPT_SERIALIZE_NUMPY. Raises InvalidRequest for what CVAT has no annotation for.
    """
    result = prediction.result
    if isinstance(result, Detections):
        return _shapes(result, prediction.image_size_px)
    if isinstance(result, ClassScores):
        return _tags(result, threshold)
    raise InvalidRequest(f"{prediction.model} answers {result.what}, for which CVAT has no annotation")


def mask_bytes(prediction: Prediction) -> int:
    """What the masks of an answer take at most while it is written."""
    result = prediction.result
    if not isinstance(result, Detections) or result.masks is None:
        return 0
    height, width = prediction.image_size_px
    return MASK_BYTES_PER_PX * min(len(result) * height * width, MAX_MASK_PX)


def _tags(found: ClassScores, threshold: float | None) -> list[Annotation]:
    """The best class alone, as a tag says that the image shows it."""
    if not found.labels:
        return []
    best = int(np.argmax(found.scores))
    score = float(found.scores[best])
    if threshold is not None and score <= threshold:
        return []
    return [{"label": found.labels[best], "confidence": _confidence(score), "type": "tag", "points": []}]


def _shapes(found: Detections, image_size_px: tuple[int, int]) -> list[Annotation]:
    left_px = MAX_MASK_PX
    shapes = []
    for index, one in enumerate(found):
        shape: Annotation = {"label": one.label, "confidence": _confidence(one.score)}
        if found.masks is not None:
            shape |= _mask(found.masks, index, image_size_px, left_px) or _rectangle(found, index)
            left_px -= len(shape.get("mask", ()))
        else:
            shape |= _rectangle(found, index)
        shapes.append(shape)
    return shapes


def _rectangle(found: Detections, index: int) -> Annotation:
    if found.corners is None:
        return {"type": "rectangle", "points": found.boxes[index].tolist()}
    corners = found.corners[index].astype(np.float64)
    along, across = corners[1] - corners[0], corners[2] - corners[1]
    half = np.array([np.hypot(*along), np.hypot(*across)]) / 2
    middle = corners.mean(axis=0)
    # Rows go down, so that a growing angle turns clockwise.
    rotation = float(np.degrees(np.arctan2(along[1], along[0]))) % 360
    return {"type": "rectangle", "points": [*(middle - half), *(middle + half)], "rotation": rotation}


def _mask(masks: Masks, index: int, image_size_px: tuple[int, int], most_px: int) -> Annotation:
    """Empty for a mask without pixels. A polygon where there are more than `most_px`."""
    outline = masks.outline(index, image_size_px).ravel()
    points = {"points": outline} if outline.size else {}
    part, first_column = masks.columns(index)
    if not part.any():
        return {}
    left, top, right, bottom = _extent(part, first_column, masks.size_px, image_size_px)
    if (right - left + 1) * (bottom - top + 1) > most_px:
        return {"type": "polygon", **points} if points else {}
    rows = _sampled(top, bottom, image_size_px[0], masks.size_px[0])
    columns = _sampled(left, right, image_size_px[1], masks.size_px[1]) - first_column
    # A pixel at the left or right end may have its middle in a cell beside the mask's own columns.
    is_inside = (columns >= 0) & (columns < part.shape[1])
    pixels = (part[np.ix_(rows, np.clip(columns, 0, part.shape[1] - 1))] * is_inside).ravel()
    return {"type": "mask", "mask": np.append(pixels, [left, top, right, bottom]).astype(np.uint32), **points}


def _extent(
    part: NDArray[np.uint8], first_column: int, grid_px: tuple[int, int], image_size_px: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask in pixels of the image, the last row and column included.

    part: the columns of the grid (height, width) from `first_column` on, in which the mask is.
    """
    rows, columns = np.nonzero(part)
    top, bottom = _ends(rows, grid_px[0], image_size_px[0])
    left, right = _ends(columns + first_column, grid_px[1], image_size_px[1])
    return left, top, right, bottom


def _ends(touched: NDArray[np.intp], cells: int, length_px: int) -> tuple[int, int]:
    """The first and last pixel of a mask. touched: the cells of its grid that it has, of `cells` in a line."""
    return int(touched.min()) * length_px // cells, -(-(int(touched.max()) + 1) * length_px // cells) - 1


def _sampled(first: int, last: int, length_px: int, cells: int) -> NDArray[np.intp]:
    """Which cell of the mask's grid the middle of each pixel lies in."""
    return ((2 * np.arange(first, last + 1) + 1) * cells // (2 * length_px)).astype(np.intp)


def _confidence(score: float) -> str:
    """As text, which is how CVAT's own functions answer it."""
    return f"{score:.4f}"
