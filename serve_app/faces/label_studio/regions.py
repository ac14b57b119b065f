"""What a model found, as the results of a Label Studio prediction. Pure, and slow where masks are drawn."""

import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.errors import InvalidRequest
from deployments.prediction import ClassScores, Detections, Prediction
from serve_app.faces.label_studio.brush import brush_runs
from serve_app.faces.label_studio.label_config import CHOICES, FILLED, Control, LabelConfig

MAX_BRUSH_BYTES = 4 * 2**20
"""Of the masks of one image."""

MAX_RESULTS = 20_000
"""Of one image, in all tags: a person looks at some hundred."""

MAX_POINTS = 200_000
"""Of the outlines of one image."""

LEAST_SEEN = 0.5
"""Key points that are less sure to be seen are left out."""

LEAST_OF_SEVERAL = 0.5
"""Where several classes may be chosen, those that score this much are, if the configuration says nothing else."""

_POINT_WIDTH_PERCENT = 0.5

Result = dict[str, Any]
Values = Iterator[tuple[dict[str, Any], float]]
"""The `value` of each result without its labels, and its score."""


def results_of(prediction: Prediction, config: LabelConfig) -> list[Result]:
    """Results for all tags of the configuration that this prediction can fill, with NumPy arrays in them.

    Raises InvalidRequest where it can fill none.
    """
    found = prediction.result
    if isinstance(found, ClassScores):
        controls = [one for one in config.controls if one.kind == CHOICES]
        if not controls:
            raise _nothing_to_fill(prediction, "a class for the whole image", ["Choices"])
        return [result for one in controls for result in _chosen(one, found, prediction)]
    if not isinstance(found, Detections):
        raise InvalidRequest(f"{prediction.model} answers {found.what}, which Label Studio cannot show")
    can_fill = _fillable(found)
    controls = [one for one in config.controls if one.kind in can_fill]
    if not controls:
        raise _nothing_to_fill(prediction, found.what, [FILLED[kind] for kind in can_fill])
    results = []
    room = _Room()
    for one in controls:
        for result in _regions(one, found, prediction):
            room.take(result)
            results.append(result)
    return results


@dataclass(slots=True)
class _Room:
    """What the results of one image may have together."""

    results: int = 0
    brush_bytes: int = 0
    points: int = 0

    def take(self, result: Result) -> None:
        """Counts a result. Raises InvalidRequest beyond a limit, with what to do about it."""
        value = result["value"]
        self.results += 1
        self.brush_bytes += len(value.get("rle", ()))
        self.points += len(value.get("points", ()))
        if self.brush_bytes > MAX_BRUSH_BYTES:
            raise InvalidRequest(
                f"the masks have more than {MAX_BRUSH_BYTES} bytes as brush strokes, which is the limit; have "
                "the configuration ask for PolygonLabels"
            )
        fewer = "raise model_score_threshold, or have fewer tags in the configuration"
        if self.results > MAX_RESULTS:
            raise InvalidRequest(f"the image has more than {MAX_RESULTS} results, which is the limit; {fewer}")
        if self.points > MAX_POINTS:
            raise InvalidRequest(f"the outlines have more than {MAX_POINTS} points, which is the limit; {fewer}")


def _fillable(found: Detections) -> list[str]:
    kinds = ["rectanglelabels"]
    if found.masks is not None:
        kinds.append("brushlabels")
    if found.masks is not None or found.corners is not None:
        kinds.append("polygonlabels")
    if found.keypoints is not None:
        kinds.append("keypointlabels")
    # A model that found nothing may say nothing of what else it could have found.
    return kinds if len(found) else [kind for kind in FILLED if kind != CHOICES]


def _nothing_to_fill(prediction: Prediction, what: str, tags: list[str]) -> InvalidRequest:
    return InvalidRequest(
        f"{prediction.model} finds {what}, for which the labelling configuration needs {' or '.join(tags)}"
    )


def _result(
    control: Control, prediction: Prediction, value: dict[str, Any], labels: list[str], score: float
) -> Result:
    height, width = prediction.image_size_px
    return {
        "id": uuid.uuid4().hex[:10],
        "from_name": control.name,
        "to_name": control.to_name,
        "type": control.kind,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, control.kind: labels},
        "score": score,
    }


def _chosen(control: Control, found: ClassScores, prediction: Prediction) -> Iterator[Result]:
    """One result with the best class, or with all above the threshold where several may be chosen."""
    order = np.argsort(-found.scores, kind="stable").tolist()
    least = control.score_threshold or 0.0
    if control.is_multiple:
        least = LEAST_OF_SEVERAL if control.score_threshold is None else control.score_threshold
    else:
        order = order[:1]
    chosen = [
        (shown, float(found.scores[index]))
        for index in order
        if found.scores[index] >= least and (shown := control.label_for(found.labels[index])) is not None
    ]
    if chosen:
        labels = list(dict.fromkeys(shown for shown, _ in chosen))
        yield _result(control, prediction, {}, labels, chosen[0][1])


def _regions(control: Control, found: Detections, prediction: Prediction) -> Iterator[Result]:
    values = _VALUES[control.kind]
    least = control.score_threshold or 0.0
    for index, label in enumerate(found.labels):
        shown = control.label_for(label)
        if shown is None or found.scores[index] < least:
            continue
        for value, score in values(found, index, prediction.image_size_px):
            yield _result(control, prediction, value, [shown], score)


def _rectangle(found: Detections, index: int, size_px: tuple[int, int]) -> Values:
    """x, y: of the upper left corner, around which the rectangle is turned clockwise by `rotation` degrees."""
    height, width = size_px
    rotation = 0.0
    if found.corners is None:
        x1, y1, x2, y2 = found.boxes[index].astype(float).tolist()
        across, down = x2 - x1, y2 - y1
    else:
        first, second, _, fourth = found.corners[index].astype(float)
        # In turn, but perhaps counterclockwise as it is seen.
        if np.linalg.det(np.stack([second - first, fourth - first])) < 0:
            second, fourth = fourth, second
        (x1, y1), edge = first.tolist(), (second - first).tolist()
        across, down = math.hypot(*edge), math.hypot(*(fourth - first).tolist())
        rotation = math.degrees(math.atan2(edge[1], edge[0])) % 360
    value = {
        "x": _percent(x1, width),
        "y": _percent(y1, height),
        "width": _percent(across, width),
        "height": _percent(down, height),
        "rotation": rotation,
    }
    yield value, float(found.scores[index])


def _brush(found: Detections, index: int, size_px: tuple[int, int]) -> Values:
    assert found.masks is not None
    yield {"format": "rle", "rle": brush_runs(found.masks, index, size_px)}, float(found.scores[index])


def _polygon(found: Detections, index: int, size_px: tuple[int, int]) -> Values:
    if found.masks is not None:
        points = found.masks.outline(index, size_px)
    else:
        assert found.corners is not None
        points = found.corners[index]
    if len(points):
        height, width = size_px
        shares = [[_percent(x, width), _percent(y, height)] for x, y in points.tolist()]
        yield {"points": shares, "closed": True}, float(found.scores[index])


def _key_points(found: Detections, index: int, size_px: tuple[int, int]) -> Values:
    assert found.keypoints is not None
    height, width = size_px
    for x, y, score in found.keypoints[index].tolist():
        if score >= LEAST_SEEN:
            yield {"x": _percent(x, width), "y": _percent(y, height), "width": _POINT_WIDTH_PERCENT}, score


_VALUES: Mapping[str, Callable[[Detections, int, tuple[int, int]], Values]] = {
    "rectanglelabels": _rectangle,
    "brushlabels": _brush,
    "polygonlabels": _polygon,
    "keypointlabels": _key_points,
}


def _percent(px: float, of_px: int) -> float:
    return min(max(px / of_px * 100, 0.0), 100.0)
