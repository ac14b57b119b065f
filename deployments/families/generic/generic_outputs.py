"""What the outputs of a network that somebody else made mean: boxes, scores and classes, or scores alone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InternalError, ModelUnavailable
from deployments.families.contract import Outputs, Thresholds
from deployments.families.generic.generic_input import describe
from deployments.families.generic.generic_signature import GenericParameters
from deployments.families.shared.detections import rule_of
from deployments.families.shared.nms import best_first, suppress

Shape = tuple[int, ...]

_END_TO_END_COLUMNS = 6

_ENOUGH_BOXES = 20
"""Fewer say nothing of their unit: a network with NMS inside may find a speck in the corner of an empty image."""

_MOST_SIDES = 4.0
"""Boxes that are parts of the canvas' sides may go beyond it, but hardly so far."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one image."""

    boxes: NDArray[np.float32]
    """(n, 4), x1 y1 x2 y2 in canvas pixels."""

    scores: NDArray[np.float32]
    """(n,)."""

    class_ids: NDArray[np.int32]
    """(n,), counted from 0."""


def check_shapes(shapes: tuple[Shape, ...], parameters: GenericParameters, class_count: int) -> None:
    """Compare the outputs for a batch of one image with the declaration and the number of labels.

    Raises ModelUnavailable with what was found and what was expected.
    """
    expected = _expected_shapes(parameters, class_count)
    fits = [_fits(found, wanted) for found, wanted in zip(shapes, expected, strict=True)]
    if not all(fits):
        names = [name or "the only output" for name in parameters.output_names]
        found = ", ".join(f"{name}: {describe(shape)}" for name, shape in zip(names, shapes, strict=True))
        wanted = ", ".join(f"{name}: {words}" for name, words in zip(names, expected, strict=True))
        raise ModelUnavailable(
            f"for one image the network gives {found}; expected of a {_kind(parameters)} with {class_count} labels "
            f"is {wanted}"
        )
    rows = {shape[1] for shape in shapes}
    if len(shapes) > 1 and len(rows) > 1:
        raise ModelUnavailable(f"boxes, scores and classes have different numbers of rows: {sorted(rows)}")


def check_values(outputs: Outputs, parameters: GenericParameters, canvas_px: tuple[int, int]) -> None:
    """Look at what a detector gives for an image in which nothing is: are its numbers what they are declared to be?

    outputs: those of one image.  Raises ModelUnavailable where class numbers are no whole numbers, or where boxes are
    parts of the canvas' sides and not its pixels, or the other way round: the shapes of two networks may be the same.
    """
    if parameters.task == "classifier" or len(outputs[0]) == 0:
        return
    first = np.asarray(outputs[0], np.float32)
    if parameters.outputs == "end-to-end" and (first[:, 5] != np.rint(first[:, 5])).any():
        raise ModelUnavailable(
            f"outputs: end-to-end has class numbers in its last column, but {first[:, 5].max():g} is none. RT-DETR "
            "has scores there: outputs: queries"
        )
    boxes = first[:4].T if parameters.outputs == "raw-head" else first[:, :4]
    boxes = boxes[np.isfinite(boxes).all(axis=1) & boxes.any(axis=1)]
    if len(boxes) < _ENOUGH_BOXES:
        return
    furthest = float(np.median(boxes.max(axis=1)))
    if not parameters.are_boxes_normalised and furthest <= 1.0 and max(canvas_px) > 1:
        raise ModelUnavailable("box_unit: pixels, but the boxes are parts of the canvas' sides: box_unit: normalised")
    if parameters.are_boxes_normalised and furthest > _MOST_SIDES:
        raise ModelUnavailable(
            f"box_unit: normalised, but the boxes reach {furthest:g}, so that they are pixels: box_unit: pixels"
        )


def class_scores(outputs: Outputs, parameters: GenericParameters) -> NDArray[np.float32]:
    """Scores of one image, float32 (classes,). Raises InternalError when one is not a finite number."""
    scores = _activated(np.asarray(outputs[0], np.float32).reshape(-1), parameters)
    if not np.isfinite(scores).all():
        raise InternalError("the model gave scores that are not finite numbers")
    return scores


def keep_best(
    outputs: Outputs,
    parameters: GenericParameters,
    canvas_px: tuple[int, int],
    thresholds: Thresholds,
    labels: tuple[str, ...],
) -> Candidates:
    """The detections of one image, best first, overlapping ones removed unless the network has done so.

    Raises InternalError when the network names a class that has no label.
    """
    found = _read(outputs, parameters, thresholds.lowest_score)
    beyond = (found.class_ids < 0) | (found.class_ids >= len(labels))
    if beyond.any():
        raise InternalError(f"the model answered class {found.class_ids[beyond][0]}, but has {len(labels)} labels")
    boxes = _corners(found.boxes, parameters, canvas_px)
    rule = rule_of(thresholds, labels, agnostic=parameters.class_agnostic)
    rule = replace(rule, candidates=parameters.candidates)
    pick = best_first if parameters.answers_once else suppress
    kept = pick(boxes, found.scores, found.class_ids, rule)
    return Candidates(boxes[kept], found.scores[kept], found.class_ids[kept])


def _kind(parameters: GenericParameters) -> str:
    return "classifier" if parameters.task == "classifier" else f"detector with outputs {parameters.outputs}"


def _expected_shapes(parameters: GenericParameters, class_count: int) -> tuple[str, ...]:
    """Shapes as text: k stands for any number."""
    if parameters.task == "classifier":
        return (f"(1, {class_count})",)
    class_count += parameters.first_class_id
    if parameters.outputs == "separate":
        scores = f"(1, k, {class_count})" if parameters.classes is None else "(1, k)"
        return ("(1, k, 4)", scores, "(1, k)")[: len(parameters.output_names)]
    return {
        "raw-head": (f"(1, {4 + class_count}, k)",),
        "raw-head-objectness": (f"(1, k, {5 + class_count})",),
        "queries": (f"(1, k, {4 + class_count})",),
        "end-to-end": (f"(1, k, {_END_TO_END_COLUMNS})",),
    }[parameters.outputs]


def _fits(found: Shape, expected: str) -> bool:
    sides = expected.strip("()").split(", ")
    return len(sides) == len(found) and all(
        side == "k" or int(side) == own for side, own in zip(sides, found, strict=True)
    )


def _read(outputs: Outputs, parameters: GenericParameters, threshold: float) -> Candidates:
    """The boxes above the threshold as the network wrote them, each with its best class."""
    first, *others = (np.asarray(output, np.float32) for output in outputs)
    match parameters.outputs:
        case "separate" if parameters.classes is not None:
            return _with_classes(first, _activated(others[0], parameters), others[1], parameters, threshold)
        case "separate":
            scores = others[0]
            return _best_classes(first, scores, None, parameters, threshold)
        case "raw-head":
            return _best_classes(first[:4].T, first[4:].T, None, parameters, threshold)
        case "raw-head-objectness":
            objectness = _activated(first[:, 4], parameters)
            return _best_classes(first[:, :4], first[:, 5:], objectness, parameters, threshold)
        case "queries":
            return _best_classes(first[:, :4], first[:, 4:], None, parameters, threshold)
        case "end-to-end":
            return _with_classes(
                first[:, :4], _activated(first[:, 4], parameters), first[:, 5], parameters, threshold
            )


def _with_classes(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    numbers: NDArray[np.float32],
    parameters: GenericParameters,
    threshold: float,
) -> Candidates:
    index = np.flatnonzero(scores > threshold)
    ids = np.rint(np.nan_to_num(numbers[index], nan=-1)).astype(np.int32) - parameters.first_class_id
    return Candidates(boxes[index], scores[index], ids)


def _best_classes(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    objectness: NDArray[np.float32] | None,
    parameters: GenericParameters,
    threshold: float,
) -> Candidates:
    """Of each row above the threshold its best class. Scores are (n, classes), with background classes first.

    The maximum of all rows is quick; which class it is costs ten times as much, so only the few are asked.
    """
    if parameters.activation == "softmax":
        scores = _activated(scores, parameters)
    scores = scores[:, parameters.first_class_id :]
    best = scores.max(axis=1)
    if parameters.activation == "sigmoid":
        best = _activated(best, parameters)
    if objectness is not None:
        best = best * objectness
    index = np.flatnonzero(best > threshold)
    return Candidates(boxes[index], best[index], scores[index].argmax(axis=1).astype(np.int32))


def _activated(scores: NDArray[np.float32], parameters: GenericParameters) -> NDArray[np.float32]:
    if parameters.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(scores, -80, 80))), np.float32)
    if parameters.activation == "softmax":
        with np.errstate(invalid="ignore"):  # infinities give no number, which is found later
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
    return scores


def _corners(
    boxes: NDArray[np.float32], parameters: GenericParameters, canvas_px: tuple[int, int]
) -> NDArray[np.float32]:
    """x1 y1 x2 y2 in canvas pixels of boxes (n, 4) in the declared format and unit."""
    has_centres = parameters.outputs in ("raw-head", "raw-head-objectness", "queries")
    box_format = parameters.box_format or ("cxcywh" if has_centres else "xyxy")
    first: NDArray[Any] = boxes[:, :2]
    second: NDArray[Any] = boxes[:, 2:]
    if box_format == "yxyx":
        first, second = first[:, ::-1], second[:, ::-1]
    elif box_format == "xywh":
        second = first + second
    elif box_format == "cxcywh":
        first, second = first - second / 2, first + second / 2
    corners: NDArray[Any] = np.concatenate([first, second], axis=1)
    if parameters.are_boxes_normalised:
        corners = corners * np.array([canvas_px[1], canvas_px[0]] * 2, np.float32)
    return np.asarray(corners, np.float32)
