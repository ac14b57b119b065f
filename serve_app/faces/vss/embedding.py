"""Images through the model of their project, some at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.catalogue import ModelRecord
from deployments.errors import InternalError, InvalidRequest, ModelUnavailable, ServingError
from deployments.origin import Origin
from deployments.prediction import Embedding, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.vectors import Source
from deployments.vectors.limits import MAX_BATCH
from serve_app.faces.face import ModelAccess
from serve_app.faces.vss.sent import NamedImage

LEAST_LEFT_S = 0.001
"""A model is asked with more than no time; it says itself that there was too little."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """values: float32 (n, d), in the order of the images."""

    source: Source
    values: NDArray[np.float32]


async def embedded(
    models: ModelAccess,
    record: ModelRecord,
    images: Sequence[NamedImage],
    ends_at_s: float,
    origin: Origin,
) -> Embedded:
    """ends_at_s: on the clock of the event loop. Raises the error of the first image without an answer, and
    InvalidRequest for a model that answers no embedding."""
    found: list[Prediction] = []
    for first in range(0, len(images), MAX_BATCH):
        deadline_s = max(ends_at_s - asyncio.get_running_loop().time(), LEAST_LEFT_S)
        requests = [
            Request(Image.from_encoded(image.content), Options(), deadline_s, None, *origin)
            for image in images[first : first + MAX_BATCH]
        ]
        outcomes = await models.ask_all(record, requests)
        found += [_prediction(one, first + number, images, record) for number, one in enumerate(outcomes, start=1)]
    values = [_values(one) for one in found]
    sources = {Source(one.model, one.revision, len(row)) for one, row in zip(found, values, strict=True)}
    if len(sources) != 1:
        raise ModelUnavailable(
            f"model {record.name} is being replaced, or has a candidate with a share: the images were answered by "
            "several models or revisions, whose embeddings cannot be compared; try again"
        )
    stacked = np.stack(values)
    if not np.isfinite(stacked).all():
        raise InternalError(f"model {record.name} answers an embedding with NaN or infinity in it")
    return Embedded(sources.pop(), stacked)


def _prediction(outcome: Outcome, number: int, images: Sequence[NamedImage], record: ModelRecord) -> Prediction:
    if isinstance(outcome, ServingError):
        raise outcome if len(images) == 1 else type(outcome)(f"image {number}: {outcome.message}")
    if not isinstance(outcome, Prediction):
        raise InvalidRequest(f"{record.name} runs elsewhere, and what it answers is not known here")
    return outcome


def _values(prediction: Prediction) -> NDArray[np.float32]:
    result = prediction.result
    if not isinstance(result, Embedding):
        raise InvalidRequest(f"{prediction.model} answers {result.what}, and no embedding")
    return np.asarray(result.values, np.float32)
