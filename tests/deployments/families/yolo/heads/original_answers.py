"""What the original code answers, from the golden files of heads, and how closely ours must agree with it."""

import base64
import functools
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families import load_family
from deployments.families.contract import Thresholds
from deployments.families.shared.letterbox import Letterbox
from deployments.families.yolo.yolo_family import YoloFamily
from deployments.prediction import Detections
from tests.deployments.families.golden_cases import assert_agrees

GOLDEN = Path(__file__).parents[2] / "golden"
CANVAS_PX = (128, 192)
SHAPES_PX = [(90, 150), (150, 100)]
OTHER_PIXELS = 0.002
"""The part of a mask's box that may differ: pixels whose value is nearly zero."""


def golden_of(layout: str) -> Any:
    return json.loads((GOLDEN / f"{layout}.json").read_text())


def image() -> NDArray[np.uint8]:
    """The picture whose raw head is known; it fills the canvas."""
    return np.random.default_rng(7).integers(0, 256, (*CANVAS_PX, 3), np.uint8)


def picture(number: int) -> NDArray[np.uint8]:
    """One of two of other shapes than the canvas."""
    return np.random.default_rng(number).integers(0, 256, (*SHAPES_PX[number], 3), np.uint8)


@functools.cache
def outputs_of(layout: str, number: int, canvas_px: tuple[int, int], head: str | None) -> tuple[NDArray[Any], ...]:
    """Of our graph, not compiled, for one of the pictures."""
    import tensorflow as tf

    family = family_of(layout, canvas_px, **({"head": head} if head else {}))
    canvas = family.preprocess(picture(number)).canvas
    return tuple(np.asarray(one[0]) for one in family.build_graph()(tf.constant(canvas[None])))


def family_of(layout: str, canvas_px: tuple[int, int] = CANVAS_PX, **parameters: Any) -> YoloFamily:
    """The family of a golden file."""
    family = "yolov5" if layout.startswith("yolov5") else "ultralytics"
    found = load_family(
        ModelDefinition(
            family=family, weights=str(GOLDEN / f"{layout}.pt"), canvas_px=canvas_px, parameters=parameters
        )
    )
    assert isinstance(found, YoloFamily)
    return found


def answered(family: YoloFamily, layout: str, number: int, limits: Thresholds) -> tuple[Detections, Letterbox]:
    """Our answer for one of the pictures. The parameters of `family` may differ in what comes after the graph."""
    geometry = family.preprocess(picture(number)).geometry
    head = getattr(family.parameters, "head", None)
    return family.postprocess(outputs_of(layout, number, family.canvas_px, head), geometry, limits), geometry


def limits_of(golden: Any) -> Thresholds:
    return Thresholds(golden["conf"], golden["iou"], golden["max_det"])


def assert_same_detections(found: Detections, geometry: Letterbox, wanted: list[Any]) -> None:
    """Box by box in their order, with all that belongs to them."""
    assert wanted
    height, width = geometry.source_px
    for row in wanted:
        # The original doesn't clip what is around a rotated box.
        row["box"] = np.clip(row["box"], 0, [width, height] * 2).tolist()
    assert_agrees(found, wanted)
    np.testing.assert_allclose(found.scores, [row["score"] for row in wanted], atol=1e-3)
    for name, values in (("keypoints", found.keypoints), ("corners", found.corners)):
        assert (values is None) == (name not in wanted[0])
        if values is not None:
            right = np.array([row[name] for row in wanted])
            np.testing.assert_allclose(values[..., : right.shape[-1]], right, atol=0.05)
    assert (found.masks is None) == ("canvas_mask" not in wanted[0])
    for index, row in enumerate(wanted):
        if found.masks is not None:
            ours, theirs = found.masks.dense(index), on_image(row["canvas_mask"], geometry)
            assert (ours != theirs).sum() <= OTHER_PIXELS * theirs.size, index


def on_image(packed: str, geometry: Letterbox) -> NDArray[np.bool_]:
    """A mask of the original, which lies on the canvas, without the border."""
    bits = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8))
    canvas_px = geometry.canvas_px
    canvas = bits[: canvas_px[0] * canvas_px[1]].reshape(canvas_px).astype(bool)
    (height, width), top, left = geometry.resized_px, geometry.pad_top_px, geometry.pad_left_px
    return canvas[top : top + height, left : left + width]
