"""The answer of `/v1`: its JSON, or one of the formats of `serve_app.formats`."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from starlette.responses import Response

from deployments.catalogue import Catalogue, ModelRecord
from deployments.errors import InvalidRequest, ModelNotFound, ServingError
from deployments.prediction import Opaque, Outcome, Prediction
from serve_app.faces.v1.entries import Entry, entry_of, is_slow
from serve_app.faces.v1.sent import SentImage
from serve_app.formats.contract import Answer, Format
from serve_app.http.problems import problem
from serve_app.http.server_timing import server_timing


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of the images of one request. record: the model that was asked; where it has a candidate, that one
    may have answered some of them."""

    record: ModelRecord
    images: Sequence[SentImage]
    outcomes: Sequence[Outcome]

    def failed(self) -> ServingError | None:
        """The error of the whole request: of the only image, or where all failed alike; None where an image has an
        answer, or where each says for itself why it has none."""
        errors = [one for one in self.outcomes if isinstance(one, ServingError)]
        if not errors or len(errors) < len(self.outcomes):
            return None
        if len({problem(error).status_code for error in errors}) > 1:
            return None
        first = errors[0]
        if all(error.message == first.message for error in errors):
            return first
        return type(first)(f"image 1 of {len(errors)}: {first.message}")

    def is_slow(self, chosen: Format | None) -> bool:
        """Whether writing the answer takes long enough for a thread."""
        return chosen is not None or any(is_slow(one) for one in self.outcomes)


def write(answered: Answered, chosen: Format | None, catalogue: Catalogue) -> Response:
    """The answer where not the whole request failed. chosen: None for JSON. Raises InvalidRequest for what the format
    cannot express, and the error of an image that has no place in it."""
    headers = {}
    if len(answered.outcomes) == 1 and isinstance(first := answered.outcomes[0], Prediction):
        headers["Server-Timing"] = server_timing(first)
    if chosen is None:
        body = orjson.dumps(_document(answered, catalogue), option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json", headers=headers)
    media_type, extension = chosen.file_type(len(answered.images))
    headers["Content-Disposition"] = f'inline; filename="predictions.{extension}"'
    body = chosen.write(_answers(answered, chosen, catalogue))
    return Response(body, media_type=media_type, headers=headers)


def _document(answered: Answered, catalogue: Catalogue) -> Entry:
    entries = [
        entry_of(image.name, outcome) for image, outcome in zip(answered.images, answered.outcomes, strict=True)
    ]
    by_whom = [_answerer(outcome, answered.record, catalogue) for outcome in answered.outcomes]
    first = next((one for one in by_whom if one is not None), _members(answered.record))
    for entry, other in zip(entries, by_whom, strict=True):
        if other is not None and other != first:
            entry.update(other)
    return {**first, "images": entries}


def _answerer(outcome: Outcome, record: ModelRecord, catalogue: Catalogue) -> Entry | None:
    """Which model answered; None where none did."""
    if isinstance(outcome, ServingError):
        return None
    if isinstance(outcome, Opaque):
        return {"model": record.name, "revision": None, "licence": None}
    by = _record_of(outcome, record, catalogue)
    members = _members(by) if by is not None else {"model": outcome.model, "licence": None}
    return {**members, "revision": outcome.revision}


def _record_of(prediction: Prediction, asked: ModelRecord, catalogue: Catalogue) -> ModelRecord | None:
    """The model that answered, in most cases the one that was asked; None where it is gone by now."""
    if prediction.model == asked.name:
        return asked
    try:
        return catalogue.resolve(prediction.model)
    except ModelNotFound:
        return None


def _members(record: ModelRecord) -> Entry:
    definition = record.definition
    revision = None if record.is_external else definition.revision
    # Where no licence was found, the block says so in words.
    licence = None if definition.licence.startswith("not found") else definition.licence or None
    return {"model": record.name, "revision": revision, "licence": licence}


def _answers(answered: Answered, chosen: Format, catalogue: Catalogue) -> list[Answer]:
    answers = []
    for number, (image, outcome) in enumerate(zip(answered.images, answered.outcomes, strict=True), start=1):
        if isinstance(outcome, ServingError):
            raise type(outcome)(f"image {number}: {outcome.message}")
        if isinstance(outcome, Opaque):
            raise InvalidRequest(f"format: {answered.record.name} runs elsewhere, and its answer can only be JSON")
        encoded = image.content if chosen.needs_images else None
        by = _record_of(outcome, answered.record, catalogue)
        taxa = by.definition.taxa if by is not None else {}
        answers.append(Answer(_file_name(image.name, number), outcome, encoded, taxa))
    return answers


def _file_name(sent: str | None, number: int) -> str:
    name = (sent or "").replace("\\", "/").rpartition("/")[2].strip()
    return f"image-{number}.jpg" if name in ("", ".", "..") else name
