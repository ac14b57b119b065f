"""Tensors of what a model found. Pure.

All images of a request are in the same tensors: `image_index` says of which one a detection is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.errors import InvalidRequest, ModelUnavailable
from deployments.prediction import ClassScores, Detections, Embedding, Opaque, Prediction
from deployments.text.nearest_name import nearest_of
from serve_app.faces.open_inference.envelope import WantedOutput
from serve_app.faces.open_inference.named import EXTERNAL
from serve_app.faces.open_inference.tensors import BYTES, OutputTensor
from serve_app.formats.coco_masks import compressed_counts

DESCRIBED: Mapping[str, Mapping[str, tuple[str, list[int]]]] = {
    Detections.what: {
        "boxes": ("FP32", [-1, 4]),
        "scores": ("FP32", [-1]),
        "class_ids": ("INT64", [-1]),
        "labels": (BYTES, [-1]),
        "image_index": ("INT64", [-1]),
    },
    ClassScores.what: {"scores": ("FP32", [-1, -1]), "labels": (BYTES, [-1])},
    Embedding.what: {"embedding": ("FP32", [-1, -1])},
    EXTERNAL: {"answer": (BYTES, [-1])},
}
"""Kind of an answer -> its outputs, with datatype and shape."""


def described_for(what: str) -> dict[str, tuple[str, list[int]]]:
    """The outputs of a model of this kind; of each of them, where only a look into the model tells which it is."""
    return {name: output for kind, outputs in DESCRIBED.items() if kind in what for name, output in outputs.items()}


def outputs_of(outcomes: Sequence[Prediction | Opaque], wanted: Sequence[WantedOutput] | None) -> list[OutputTensor]:
    """Those that are wanted, in that order; all of them for None. Raises InvalidRequest for one that the model does
    not answer, and ModelUnavailable where answers of several models cannot stand in the same tensors."""
    return picked(_all_of(outcomes), wanted)


def picked(
    makers: Mapping[str, Callable[[], OutputTensor]], wanted: Sequence[WantedOutput] | None
) -> list[OutputTensor]:
    """Makes those that are wanted. Raises InvalidRequest for one that is not there, or is wanted twice."""
    names = list(makers) if wanted is None else [one.name for one in wanted]
    for name in names:
        if name not in makers:
            raise InvalidRequest(f"this model answers no output {name[:64]!r}; {nearest_of(name, makers)}")
        if names.count(name) > 1:
            raise InvalidRequest(f"the output {name!r} is asked for twice")
    return [makers[name]() for name in names]


def _all_of(outcomes: Sequence[Prediction | Opaque]) -> Mapping[str, Callable[[], OutputTensor]]:
    results = [one if isinstance(one, Opaque) else one.result for one in outcomes]
    if all(isinstance(one, Detections) for one in results):
        return _of_detections([one for one in results if isinstance(one, Detections)])
    if all(isinstance(one, ClassScores) for one in results):
        return _of_scores([one for one in results if isinstance(one, ClassScores)])
    if all(isinstance(one, Embedding) for one in results):
        return _of_embeddings([one for one in results if isinstance(one, Embedding)])
    if all(isinstance(one, Opaque) for one in results):
        texts = [one.payload.decode("utf-8", "replace") for one in results if isinstance(one, Opaque)]
        return {"answer": lambda: OutputTensor.texts("answer", texts)}
    raise _differ("answers of different kinds")


def _of_detections(found: Sequence[Detections]) -> Mapping[str, Callable[[], OutputTensor]]:
    def joined(name: str, datatype: str, of: Callable[[Detections], NDArray[Any]]) -> Callable[[], OutputTensor]:
        return lambda: OutputTensor.numbers(name, datatype, np.concatenate([of(one) for one in found]))

    makers: dict[str, Callable[[], OutputTensor]] = {
        "boxes": joined("boxes", "FP32", lambda one: one.boxes.reshape(-1, 4)),
        "scores": joined("scores", "FP32", lambda one: one.scores),
        "class_ids": joined("class_ids", "INT64", lambda one: one.class_ids),
        "labels": lambda: OutputTensor.texts("labels", [label for one in found for label in one.labels]),
        "image_index": lambda: OutputTensor.numbers(
            "image_index", "INT64", np.repeat(np.arange(len(found)), [len(one) for one in found])
        ),
    }
    if all(one.masks is not None for one in found):
        makers["masks"] = lambda: OutputTensor.texts("masks", [text for one in found for text in _masks(one)])
    if len({one.keypoints.shape[1:] for one in found if one.keypoints is not None}) == 1 and all(
        one.keypoints is not None for one in found
    ):
        makers["keypoints"] = joined("keypoints", "FP32", lambda one: np.asarray(one.keypoints))
    if all(one.corners is not None for one in found):
        makers["corners"] = joined("corners", "FP32", lambda one: np.asarray(one.corners).reshape(-1, 4, 2))
    return makers


def _masks(found: Detections) -> list[str]:
    """COCO's compressed run lengths of each, on the grid of the masks, which covers the image."""
    masks = found.masks
    assert masks is not None
    size = list(masks.size_px)
    return [
        orjson.dumps({"size": size, "counts": compressed_counts(masks.runs(index))}).decode()
        for index in range(len(masks))
    ]


def _of_scores(found: Sequence[ClassScores]) -> Mapping[str, Callable[[], OutputTensor]]:
    labels = found[0].labels
    if any(one.labels != labels for one in found):
        raise _differ("different classes")
    return {
        "scores": lambda: OutputTensor.numbers("scores", "FP32", np.stack([one.scores for one in found])),
        "labels": lambda: OutputTensor.texts("labels", labels),
    }


def _of_embeddings(found: Sequence[Embedding]) -> Mapping[str, Callable[[], OutputTensor]]:
    if len({one.values.shape for one in found}) > 1:
        raise _differ("embeddings of different lengths")
    return {"embedding": lambda: OutputTensor.numbers("embedding", "FP32", np.stack([one.values for one in found]))}


def _differ(how: str) -> ModelUnavailable:
    """Where a candidate answered some of the images."""
    return ModelUnavailable(f"two revisions answered, with {how}, which do not fit into one tensor; send one image")
