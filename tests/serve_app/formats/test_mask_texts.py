"""Masks in the characters of COCO's tools, compared with strings that pycocotools 2.0.11 wrote, and read back."""

import faster_coco_eval.core.mask as coco
import numpy as np
import pytest

from deployments.prediction import Masks
from serve_app.formats.coco_masks import compressed_counts

ROWS, COLUMNS = np.mgrid[:480, :640]
DISC = (ROWS - 200) ** 2 + (COLUMNS - 300) ** 2 <= 90**2
DOTS = np.zeros((2000, 3000), bool)
DOTS[1999, 2999] = DOTS[5, 7] = True

DISC_COUNTS = (
    "XdR31b>j0^O:F:H6J6J6K4K6K4L4L4M2M4L4M2M4M2M4M2N2N2N2M4M2N2N2N2N2N2N2O0O2N2N2N2N2O0O2N2O0O2N2O0O2O0O2N2O0O2O0O2O0O2O"
    "000O2O0O2O000O2O000O2O000O2O0000000O2O0000000O2O00000000000000000000000O20N1000000000000000000000001N100000001N1000"
    "00001N10001N10001N10001N101N10001N101N101N101N2N101N101N2N101N2N101N2N2N2N2N101N2N2N2N2N2N2N3L3N2N2N2N3L3N3L3N3L4L"
    "3N3L4L4L5J5L5J6J6J8F:Fb0VOUad3"
)

GOLDEN = [
    (np.zeros((3, 2), bool), "6"),
    (np.ones((3, 2), bool), "06"),
    (np.array([[1, 0], [0, 1]], bool), "0120"),
    (DOTS, "ee=1Yfef50"),
    (DISC, DISC_COUNTS),
]


def counts_of(mask: np.ndarray) -> str:
    return compressed_counts(Masks.of(1, lambda index: mask, mask.shape).runs(0))


@pytest.mark.parametrize(("mask", "counts"), GOLDEN, ids=["nothing", "all", "corner", "dots", "disc"])
def test_counts_are_those_of_pycocotools(mask: np.ndarray, counts: str) -> None:
    assert counts_of(mask) == counts


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99])
def test_a_reader_of_the_field_gets_the_mask_back(part: float) -> None:
    rng = np.random.default_rng(7)
    for size_px in ((1, 1), (1, 50), (50, 1), (37, 53), (300, 200)):
        mask = rng.random(size_px) < part
        read = coco.decode({"size": list(size_px), "counts": counts_of(mask).encode()})
        np.testing.assert_array_equal(read.astype(bool), mask)
