"""Reference outputs of the original PyTorch code, and how closely ours must agree with them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Thresholds
from deployments.prediction import Detections
from tests.support.fixtures import FIXTURES, fixture_file

GOLDEN = Path(__file__).with_name("golden")
SAMPLES = Path(__file__).parents[3] / "deployments" / "families" / "demo" / "samples"


@dataclass(frozen=True)
class Tolerance:
    """iou: of boxes that count as the same.  score, box_px: largest differences.  unmatched: boxes without one."""

    iou: float = 0.99
    score: float = 1e-3
    box_px: float = 0.5
    unmatched: int = 0


FAITHFUL = Tolerance()


def cases(name: str) -> list[Any]:
    """The cases of one golden file as test parameters; [None] where there is no folder of fixtures."""
    if FIXTURES is None:
        return [None]
    content: list[Any] = json.loads((FIXTURES / "golden" / f"{name}.json").read_text())
    return content


def case_id(case: Any) -> str:
    """A short name of a case."""
    if case is None:
        return "absent"
    return f"{case.get('weights', 'yolov5n.pt')}-{case['image']}-{case['net_input'][2]}x{case['net_input'][3]}"


def pixels(path: Path) -> NDArray[np.uint8]:
    """An image file as RGB, decoded by OpenCV as the reference outputs were."""
    stored = cv2.imread(str(path))
    assert stored is not None
    return np.ascontiguousarray(stored[..., ::-1], np.uint8)


def pixels_of(case: Any) -> NDArray[np.uint8]:
    """The image of a case, which lies in the repository or among the fixtures; turned on its side if it says so."""
    places = [folder / case["image"] for folder in (SAMPLES, GOLDEN)]
    here = next((path for path in places if path.exists()), None)
    found = pixels(here or fixture_file(f"images/{case['image']}"))
    return np.ascontiguousarray(found.transpose(1, 0, 2)) if case.get("is_turned") else found


def wide_and_upright() -> list[NDArray[np.uint8]]:
    """Two drawings, 540 x 960 and 960 x 540 pixels."""
    return [pixels_of({"image": "seafloor-1.png"}), pixels_of({"image": "seafloor-2.png", "is_turned": True})]


def thresholds(case: Any) -> Thresholds:
    """The thresholds of a case."""
    return Thresholds(case["conf"], case["iou"], case["max_det"])


def assert_agrees(found: Detections, wanted: list[Any], tolerance: Tolerance = FAITHFUL) -> None:
    """Each wanted detection has one of ours of its class, and none of ours is left over."""
    left = set(range(len(found)))
    missing = []
    for detection in wanted:
        box = np.array(detection["box"])
        same = [index for index in left if found.class_ids[index] == detection["class_id"]]
        best = max(same, key=lambda index: _likeness(found.boxes[index], box), default=None)
        if best is None or not _is_same(found.boxes[best], box, tolerance):
            missing.append(detection)
            continue
        left.remove(best)
        assert abs(float(found.scores[best]) - detection["score"]) <= tolerance.score, detection
        assert np.abs(found.boxes[best] - box).max() <= tolerance.box_px, detection
    surplus = [(found.labels[index], float(found.scores[index]), found.boxes[index].tolist()) for index in left]
    assert len(missing) <= tolerance.unmatched, missing
    assert len(surplus) <= tolerance.unmatched, surplus


def _is_same(ours: NDArray[Any], wanted: NDArray[Any], tolerance: Tolerance) -> bool:
    # A box that is clipped to a line has no area to share.
    is_line = bool((wanted[2:] <= wanted[:2]).any())
    return is_line or _likeness(ours, wanted) > tolerance.iou


def _likeness(ours: NDArray[Any], wanted: NDArray[Any]) -> float:
    """IoU, less a little for the distance, by which boxes without any area are told apart."""
    low, high = np.maximum(ours[:2], wanted[:2]), np.minimum(ours[2:], wanted[2:])
    shared = float(np.prod(np.maximum(high - low, 0.0)))
    union = float(np.prod(ours[2:] - ours[:2]) + np.prod(wanted[2:] - wanted[:2])) - shared
    return shared / max(union, 1e-9) - 1e-6 * float(np.abs(ours - wanted).max())
