"""Which model a client means by a name and a version. Pure.

Beside each model that detects stands another one, `NAME-raw`, which takes the input of a network and answers rows as
a YOLO network does: see `raw.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from deployments.catalogue import Catalogue, ModelRecord
from deployments.errors import ModelNotFound
from deployments.families import FAMILIES, answers_of
from deployments.prediction import Detections

RAW = "-raw"

EXTERNAL = "the answer of an external worker"
"""Stands where other models have the kind of their answer."""

FIRST_VERSION = "1"
"""Of a model that has no revision, as it runs elsewhere."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as clients of this face know it."""

    record: ModelRecord
    is_raw: bool = False

    @property
    def name(self) -> str:
        """What clients call it."""
        return f"{self.record.name}{RAW if self.is_raw else ''}"

    @property
    def version(self) -> str:
        """Its only one."""
        return FIRST_VERSION if self.record.is_external else self.record.definition.revision


def answers_what(record: ModelRecord) -> str:
    """The kind of its answer, as `what` of a `Result` names it, or EXTERNAL."""
    if record.is_external:
        return EXTERNAL
    # A family that does not exist makes no answers; the model itself says why it cannot be asked.
    return answers_of(record.definition) if record.definition.family in FAMILIES else Detections.what


def named_models(catalogue: Catalogue) -> Iterator[NamedModel]:
    """All models, each with its raw rows after it, where it has them."""
    for record in catalogue.records():
        yield NamedModel(record)
        if not _why_no_rows(record):
            yield NamedModel(record, is_raw=True)


def find(catalogue: Catalogue, name: str, version: str | None = None) -> NamedModel:
    """The model of this name, or queue, and version; None stands for whichever there is. Raises ModelNotFound."""
    named = _of_name(catalogue, name)
    if version is not None and version != named.version:
        raise ModelNotFound(f"{named.name} has no version {version[:64]!r}; it has {named.version!r}")
    return named


def _of_name(catalogue: Catalogue, name: str) -> NamedModel:
    try:
        return NamedModel(catalogue.resolve(name))
    except ModelNotFound:
        if not name.endswith(RAW):
            raise
    record = catalogue.resolve(name.removesuffix(RAW))
    if reason := _why_no_rows(record):
        raise ModelNotFound(f"there is no {record.name}{RAW}: {reason}")
    return NamedModel(record, is_raw=True)


def _why_no_rows(record: ModelRecord) -> str:
    """'' where the model has raw rows."""
    what = answers_what(record)
    if what != Detections.what:
        return f"{record.name} answers {what} and no {Detections.what}"
    if record.definition.labels is None:
        return (
            f"the class names of {record.name}, of which the rows have columns, are not known here; write them as "
            f"labels in its block, or ask it once where its weights are fetched"
        )
    return ""
