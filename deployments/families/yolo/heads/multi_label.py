"""A box with each of its classes, as the references evaluate: their val.py calls NMS with `multi_label`.

Sources: ultralytics/yolov5 `utils/general.py`, ultralytics 8.4 `utils/nms.py`, both `non_max_suppression`.
"""

from typing import Any

import numpy as np

from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs
from deployments.families.shared.nms import Suppression, best_wanted

MOST_PAIRS = 2**24
"""Scores of one image that leave the graph, 64 MiB: those of 80 classes at 1280 x 1280 are half as many."""


CLASS_OFFSET_PX = 7680.0
"""`max_wh` of both. In float32 the boxes of class 79 are rounded to 1/16 px by it, those of class 690 to 1/2 px, and
with them their IoU: of 300 boxes of a real frame, one pair with an IoU of 0.5986 is above 0.6."""


def check_pairs(scores: Any) -> Any:
    """Scores (n, k, classes) of a graph. Raises ModelUnavailable, when traced, where they are too many."""
    pairs = int(scores.shape[1]) * int(scores.shape[2])
    if pairs > MOST_PAIRS:
        raise ModelUnavailable(
            f"parameters.multi_label: this canvas has {scores.shape[1]} boxes of {scores.shape[2]} classes, "
            f"{pairs} scores, the limit is {MOST_PAIRS}; declare a smaller canvas_px"
        )
    return scores


def pairs_of(outputs: Outputs, rule: Suppression) -> Outputs:
    """The best pairs of a box and a class that the rule keeps, up to its bound, as boxes of one class each.

    outputs: boxes (k, ...), scores (k, classes), classes (k,), then what belongs to each box, then what belongs to
    the image.
    """
    boxes, scores, _, *others = outputs
    wanted = scores > rule.score_threshold
    if rule.class_ids is not None:
        wanted &= np.isin(np.arange(scores.shape[1]), rule.class_ids)
    rows, classes = np.nonzero(wanted)
    kept = best_wanted(scores[rows, classes], np.arange(len(rows)), rule)
    rows, classes = rows[kept], classes[kept].astype(np.int32)
    of_boxes = (one[rows] for one in others[:1])
    return (boxes[rows], scores[rows, classes], classes, *of_boxes, *others[1:])
