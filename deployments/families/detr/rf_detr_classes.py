"""Which rows of RF-DETR's classification layer have which names.

The trainer of today adds a last row that is no class, names the others from 0 on, and leaves out whatever has no
name. Files differ (rf-detr issues 417, 509, 930): older trainers had no such row; a head that was never made smaller
keeps the 91 rows of COCO; the starter weights number COCO's 80 classes from 1 to 90, with gaps; and releases before
1.4 gave the first name the number 1, where a data set had an unused class 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.detr.rf_detr_settings import TrainedSettings

COCO_ROWS = 91
"""Rows of a head for COCO, and of one that nobody made smaller."""

_COCO_COUNTS = (None, 80, 90, 91)
"""What the settings of the starter weights say is the number of classes."""

# Numbers of COCO that no class has.
_GAPS = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

_COCO_TEXT = (
    "person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|"
    "parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|"
    "suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|"
    "tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|"
    "hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard|"
    "cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear|hair drier|"
    "toothbrush"
)
COCO_NAMES = tuple(_COCO_TEXT.split("|"))


@dataclass(frozen=True, slots=True)
class HeadClasses:
    """The classes of a head."""

    labels: tuple[str, ...]
    """The class names that may be answered."""

    label_of_row: NDArray[np.int32]
    """For each row of the head the index of its label, (rows,); -1 where it has none."""


def head_classes(
    settings: TrainedSettings, row_count: int, declared: tuple[str, ...] | None, first_class_id: int
) -> HeadClasses:
    """The classes of a head of `row_count` rows.

    declared: the labels of the definition, which win over the file's names. first_class_id: the row of the first
    name. Raises ModelUnavailable when there are no names, or more than rows.
    """
    names = declared or settings.class_names()
    is_declared = declared is not None and settings.values.get("class_names") != list(declared)
    if names is None and row_count == COCO_ROWS and settings.integer("num_classes") in _COCO_COUNTS:
        names = COCO_NAMES
    if names is None:
        raise ModelUnavailable(
            f"names no classes, so the definition needs `labels`; the head has {row_count - 1} classes"
        )
    label_of_row = np.full(row_count, -1, np.int32)
    if names == COCO_NAMES and row_count > len(names) + 1:
        rows = [row for row in range(COCO_ROWS) if row not in _GAPS]
        if row_count < COCO_ROWS:
            raise ModelUnavailable(f"names the classes of COCO, but the head has {row_count} rows, not {COCO_ROWS}")
        if first_class_id:
            raise ModelUnavailable("first_class_id has no effect: its classes have the numbers of COCO")
    else:
        rows = list(range(first_class_id, first_class_id + len(names)))
        _check_count(names, rows[-1] + 1, row_count, is_declared)
    label_of_row[rows] = np.arange(len(names), dtype=np.int32)
    return HeadClasses(names, label_of_row)


def _check_count(names: tuple[str, ...], needed: int, row_count: int, is_declared: bool) -> None:
    # Names of the file may be fewer than the rows; fewer declared ones would leave out classes by mistake.
    fits = needed in (row_count - 1, row_count) or row_count == COCO_ROWS if is_declared else True
    if needed > row_count or not fits:
        who = "the definition names" if is_declared else "the file names"
        raise ModelUnavailable(f"the head has {row_count - 1} classes, but {who} {len(names)} of them")
