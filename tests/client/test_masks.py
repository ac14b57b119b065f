"""Masks are decoded as COCO's own tools encode them."""

import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from fathom_client import Mask

RANDOM = np.random.default_rng(7)


def a_blob(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (x - width / 3) ** 2 + (y - height / 2) ** 2 < (width / 4) ** 2


@pytest.mark.parametrize(
    "expected",
    [
        a_blob(97, 133),
        RANDOM.random((31, 17)) < 0.5,
        np.zeros((5, 3), bool),
        np.ones((5, 3), bool),
        np.concatenate([np.ones((1000, 700), bool), a_blob(1000, 900)], axis=1),
    ],
    ids=["blob", "noise", "empty", "full", "long runs"],
)
def test_a_mask_is_what_coco_tools_encoded(expected: np.ndarray) -> None:
    encoded = coco_mask.encode(np.asfortranarray(expected.astype(np.uint8)))
    counts = encoded["counts"]
    text = counts.decode() if isinstance(counts, bytes) else counts
    mask = Mask.read(json.loads(json.dumps({"size": list(encoded["size"]), "counts": text})))
    assert np.array_equal(mask.array(), expected)
    assert np.array_equal(coco_mask.decode(mask.coco()), expected)


@pytest.mark.parametrize(
    ("size", "counts"),
    [((2, 4), "07"), ((2, 4), ""), ((2, 4), "T"), ((1 << 20, 1 << 20), "08"), ((2, 4), "0")],
    ids=["too short", "empty", "unfinished", "absurd size", "one run"],
)
def test_run_lengths_that_do_not_fill_the_mask_are_refused(size: tuple[int, int], counts: str) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        Mask(size, counts).array()
