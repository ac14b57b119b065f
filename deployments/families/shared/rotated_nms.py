"""Non-maximum suppression of rotated boxes, by the probabilistic IoU of the original.

ProbIoU takes a box as a normal distribution (Llerena et al. 2021, arXiv:2106.06072). As in ultralytics 8.4
`utils/nms.py` `TorchNMS.fast_nms` and `utils/metrics.py` `batch_probiou`, a box gives way to any better one that it
overlaps, also to one that gives way itself.
"""

import numpy as np
from numpy.typing import NDArray

from deployments.families.shared.nms import Suppression, best_wanted, is_wanted

_BLOCK = 256
_LEAST = 1e-7
_FARTHEST = 100.0
_NOWHERE = 1e7
"""No box has a number as large: its corners would be beyond what float32 holds, in the end."""


def suppress_rotated(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.int32], rule: Suppression
) -> NDArray[np.intp]:
    """Pick the candidates to keep: their indices, best score first, ties in input order.

    boxes: (n, 5) centre x y, width, height in pixels, angle in radians.  scores, classes: (n,). Boxes that are not
    finite, or far from any image, or have no area, are dropped. At most n * n / 2 overlaps are computed, those of
    boxes that are near.
    """
    index = np.flatnonzero(is_wanted(scores, classes, rule))
    chosen = boxes[index]
    is_somewhere = (np.abs(chosen) < _NOWHERE).all(axis=1) & (chosen[:, 2:4] > 0).all(axis=1)
    index = best_wanted(scores, index[is_somewhere], rule)
    if rule.iou_threshold is None:
        return index[: rule.max_detections]
    kinds = np.zeros(len(index), np.int32) if rule.agnostic else classes[index]
    return index[_standing(_Gaussians(boxes[index].astype(np.float64)), kinds, rule)]


class _Gaussians:
    """Boxes as normal distributions. centres: (n, 2).  a, b, c: (n,), the covariance [[a, c], [c, b]].  widest: (n,),
    no variance in any direction is larger."""

    def __init__(self, boxes: NDArray[np.float64]) -> None:
        wide, tall = (boxes[:, 2:4].T ** 2) / 12
        cos, sin = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
        self.centres = boxes[:, :2]
        self.a = wide * cos**2 + tall * sin**2
        self.b = wide * sin**2 + tall * cos**2
        self.c = (wide - tall) * cos * sin
        self.widest = np.maximum(wide, tall)

    def overlaps(self, ones: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.float64]:
        """The ProbIoU of pairs of boxes, by index (m,): (m,)."""
        x, y = (self.centres[ones] - self.centres[others]).T
        a, b, c = self.a[ones] + self.a[others], self.b[ones] + self.b[others], self.c[ones] + self.c[others]
        joint = a * b - c**2
        places = ((a * y**2 + b * x**2) * 0.25 - c * x * y * 0.5) / (joint + _LEAST)
        shapes = np.sqrt(self._volume(ones) * self._volume(others))
        distance = places + 0.5 * np.log(joint / (4 * shapes + _LEAST) + _LEAST)
        hellinger = np.sqrt(1 - np.exp(-np.clip(distance, _LEAST, _FARTHEST)) + _LEAST)
        return np.asarray(1 - hellinger, np.float64)

    def _volume(self, index: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(np.maximum(self.a[index] * self.b[index] - self.c[index] ** 2, 0.0), np.float64)


def _standing(boxes: _Gaussians, kinds: NDArray[np.int32], rule: Suppression) -> NDArray[np.intp]:
    """Of boxes from the best on, those that overlap none before them: the first `max_detections`."""
    threshold = rule.iou_threshold or 0.0
    # Farther apart than this many deviations, two boxes cannot overlap so much, whatever their shapes.
    reach = np.inf if threshold <= 0 else -4.01 * np.log(1 - (1 - threshold) ** 2 + _LEAST)
    kept: list[int] = []
    for start in range(0, len(kinds), _BLOCK):
        stop = min(start + _BLOCK, len(kinds))
        block = np.arange(start, stop)
        apart = ((boxes.centres[block, None] - boxes.centres[None, :stop]) ** 2).sum(axis=2)
        near = apart <= reach * (boxes.widest[block, None] + boxes.widest[None, :stop])
        near &= (kinds[block, None] == kinds[None, :stop]) & (np.arange(stop) < block[:, None])
        later, earlier = np.nonzero(near)
        overlaps = boxes.overlaps(later + start, earlier) > threshold
        gives_way = np.zeros(len(block), np.bool_)
        gives_way[later[overlaps]] = True
        kept += block[~gives_way].tolist()
        if len(kept) >= rule.max_detections:
            break
    return np.array(kept[: rule.max_detections], np.intp)
