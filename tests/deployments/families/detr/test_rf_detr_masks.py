"""The masks of RF-DETR against the original code, and canvases that have no room for them or too much."""

import base64
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.detr.rf_detr import RfDetr
from tests.deployments.families.detr.rf_detr_files import blots, changed, definition, family_of, golden_of

ALL = Thresholds(score_threshold=0.05, iou_threshold=0.5, max_detections=300)


def ratio(number: int) -> Callable[[Any, dict[str, Any]], None]:
    return lambda tensors, settings: settings.update(mask_downsample_ratio=number)


@pytest.mark.parametrize("case", golden_of("rf-detr-seg")["masked"], ids=lambda case: str(case["canvas_px"]))
def test_masks_agree_with_the_original_code(case: Any) -> None:
    import tensorflow as tf

    size_px = tuple(case["canvas_px"])
    family = family_of("rf-detr-seg", size_px)
    prepared = family.preprocess(blots(size_px))
    outputs = family.build_graph()(tf.constant(prepared.canvas[None]))
    found = family.postprocess(tuple(np.asarray(output[0]) for output in outputs), prepared.geometry, ALL)
    wanted = [index for index, class_id in enumerate(case["class_ids"]) if class_id < len(family.labels)]
    assert len(found) == len(wanted) > 3
    assert found.masks is not None
    assert found.masks.size_px == size_px
    for ours, index in enumerate(wanted):
        assert found.scores[ours] == pytest.approx(case["scores"][index], abs=1e-3)
        packed = zlib.decompress(base64.b64decode(case["masks"][index]))
        mask = np.unpackbits(np.frombuffer(packed, np.uint8), count=math.prod(size_px)).reshape(size_px)
        assert (found.masks.dense(ours) != mask).sum() <= 2, "whose logit is nearly nought"
    assert sum(found.masks.dense(ours).sum() for ours in range(len(found))) > 0


def test_a_canvas_whose_masks_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    fine = changed(tmp_path / "fine.pth", ratio(1), layout="rf-detr-seg")
    with pytest.raises(ModelUnavailable, match=r"fine\.pth: a canvas of \(4092, 4092\) is too large for it"):
        RfDetr(definition(fine, canvas_px=(4092, 4092)))
    none = changed(tmp_path / "none.pth", ratio(64), layout="rf-detr-seg")
    with pytest.raises(ModelUnavailable, match=r"a canvas of \(48, 48\) has no room for masks of 1 in 64"):
        RfDetr(definition(none, canvas_px=(48, 48)))
    coarse = changed(tmp_path / "coarse.pth", ratio(65), layout="rf-detr-seg")
    with pytest.raises(ModelUnavailable, match="its setting mask_downsample_ratio is 65, the limit is 64"):
        RfDetr(definition(coarse))
