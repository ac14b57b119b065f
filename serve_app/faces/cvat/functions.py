"""Our models as functions of Nuclio's dashboard. Pure."""

from typing import Any

import orjson

from deployments.catalogue import Catalogue, ModelRecord, ModelState
from deployments.errors import ModelNotFound
from deployments.families import FAMILIES, answers_of
from deployments.prediction import ClassScores, Detections, Embedding

NO_LABELS = (
    "CVAT cannot use it yet: its labels are not known to this server. They are once it has been loaded from fetched "
    "weights, or where its block names them (labels, labels_file)."
)


def functions(catalogue: Catalogue) -> dict[str, Any]:
    """Name -> function, of all models whose answers CVAT has annotations for."""
    return {record.name: function_of(record) for record in catalogue.records() if not _why_no_function(record)}


def function_named(catalogue: Catalogue, name: str) -> ModelRecord:
    """The model behind a function. Raises ModelNotFound, also for a model that is no function."""
    record = catalogue.resolve(name)
    if reason := _why_no_function(record):
        raise ModelNotFound(f"{record.name} is no function for CVAT: {reason}")
    return record


def finds_objects(record: ModelRecord) -> bool:
    """Whether it answers shapes; else it answers tags."""
    return _answers(record) == Detections.what


def function_of(record: ModelRecord) -> dict[str, Any]:
    """The model as Nuclio describes a function; of all that, CVAT reads what is here."""
    annotations = {
        "name": record.name,
        "type": "detector",
        "framework": record.definition.family,
        "spec": orjson.dumps(_labels(record)).decode(),
    }
    return {
        "metadata": {"name": record.name, "namespace": "nuclio", "annotations": annotations},
        "spec": {"description": _description(record)},
        "status": {"state": _state(record)},
    }


def _labels(record: ModelRecord) -> list[dict[str, Any]]:
    """CVAT drops a function with two labels of one name. Those of a detector have no type, since nobody knows before
    it answers whether it has masks: without one, CVAT maps them to labels of any type but skeleton."""
    type_of = {} if finds_objects(record) else {"type": "tag"}
    names = dict.fromkeys(record.definition.labels or ())
    return [{"id": index, "name": name, **type_of} for index, name in enumerate(names)]


def _description(record: ModelRecord) -> str:
    """Where a call fails, CVAT shows its status and nothing of its body, so that here is the place for the reason."""
    said = [record.definition.description]
    if not record.can_answer:
        said.append(record.unavailable().message)
    if not record.definition.labels:
        said.append(NO_LABELS)
    return ". ".join(one for one in said if one)


def _state(record: ModelRecord) -> str:
    if record.can_answer:
        return "ready"
    return "building" if record.state is ModelState.STARTING else "error"


def _why_no_function(record: ModelRecord) -> str:
    """'' where it is one."""
    if record.is_external:
        return "it runs elsewhere, and what it answers is not known here"
    answers = _answers(record)
    is_detector_or_classifier = answers in (Detections.what, ClassScores.what)
    # A folder of Hugging Face may be a classifier; if it has class names, it is.
    if is_detector_or_classifier or (answers != Embedding.what and record.definition.labels):
        return ""
    return f"it answers {answers}"


def _answers(record: ModelRecord) -> str:
    """A family that does not exist makes no answers; the model itself says why it cannot be asked."""
    return answers_of(record.definition) if record.definition.family in FAMILIES else Detections.what
