"""Models under roboflow's ids. `benthic-demo/1` is the model `benthic-demo`; the version of a dataset, which is what
roboflow counts there, means nothing here and is always 1."""

from collections.abc import Iterable
from typing import Any

from deployments.catalogue import Catalogue, ModelRecord
from deployments.errors import ModelNotFound
from deployments.families import FAMILIES, answers_of
from deployments.prediction import Detections, Embedding

VERSION = "1"

OBJECT_DETECTION = "object-detection"
INSTANCE_SEGMENTATION = "instance-segmentation"
CLASSIFICATION = "classification"


def model_of(model_id: str, catalogue: Catalogue) -> ModelRecord:
    """The model of an id, with or without its version. Raises ModelNotFound."""
    name, slash, version = model_id.partition("/")
    if slash and version != VERSION:
        raise ModelNotFound(
            f"there is no {model_id[:128]!r}: each model has one version here, such as {name[:128]}/{VERSION}"
        )
    return catalogue.resolve(name)


def registry(records: Iterable[ModelRecord], asked_for: tuple[str, ModelRecord] | None = None) -> dict[str, Any]:
    """The models that roboflow's clients can use. asked_for: an id, and its model, that must be among them as it is
    written, as the SDK looks for it: perhaps one without a version, or the name of a queue."""
    models = [_entry(f"{record.name}/{VERSION}", record) for record in records if _is_usable(record)]
    if asked_for is not None and all(entry["model_id"] != asked_for[0] for entry in models):
        models.append(_entry(*asked_for))
    return {"models": models}


def _entry(model_id: str, record: ModelRecord) -> dict[str, Any]:
    height, width = record.definition.canvas_px or (None, None)
    return {
        "model_id": model_id,
        "task_type": _task_of(record),
        # Of one request, whatever the model makes of it.
        "batch_size": None,
        "input_height": height,
        "input_width": width,
    }


def _is_usable(record: ModelRecord) -> bool:
    return not record.is_external and _answers(record) != Embedding.what


def _task_of(record: ModelRecord) -> str:
    """That a detector finds masks too, only its weights tell; its answers have them under either task."""
    return OBJECT_DETECTION if _answers(record) == Detections.what else CLASSIFICATION


def _answers(record: ModelRecord) -> str:
    # A family that does not exist makes no answers; the model itself says why it cannot be asked.
    return answers_of(record.definition) if record.definition.family in FAMILIES else Detections.what
