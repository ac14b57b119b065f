"""Which options of a request a model has any use for."""

from collections.abc import Iterable

from deployments.catalogue import ModelRecord
from deployments.errors import InvalidRequest
from deployments.families import FAMILIES, answers_of
from deployments.prediction import Detections


def refuse_useless(record: ModelRecord, given: Iterable[str]) -> None:
    """Raises InvalidRequest for the first of the `given` options, by the names of `deployments.request.Options`, that
    would have no effect. Only detections are thinned out by scores, overlap, number and classes, and only detectors
    look at tiles and regions."""
    first = next(iter(given), None)
    if first is None:
        return
    if record.is_external:
        # Options are inputs of our own postprocessing; a model that runs elsewhere has its own.
        raise InvalidRequest(f"{first} has no effect: {record.name} runs elsewhere and has options of its own")
    # A family that does not exist makes no answers; the model itself says why it cannot be asked.
    answers = answers_of(record.definition) if record.definition.family in FAMILIES else Detections.what
    if answers != Detections.what:
        raise InvalidRequest(f"{first} has no effect: {record.name} answers {answers} and no {Detections.what}")
