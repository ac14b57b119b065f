"""What the core offers a door, as two protocols. A door depends on these and never on Ray, so that its tests
can put product-shaped fakes in their place.
"""

from collections.abc import Sequence
from typing import Protocol

from deployments.definition import ModelRecord
from deployments.prediction import Outcome
from deployments.request import Request


class Predict(Protocol):
    """Asks a model. One outcome for each request, in the same order; errors are values, never raised.

    `model` is a model's name (resolve a queue's name with `Catalogue.resolve` first). Cancelling the call
    cancels the work.
    """

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]: ...  # noqa: D102


class Catalogue(Protocol):
    """The models of the running system as last seen; a change is noticed within seconds. Never blocks."""

    def records(self) -> tuple[ModelRecord, ...]:
        """All models, sorted by name."""
        ...

    def resolve(self, name: str) -> ModelRecord:
        """The model with this name, or that answers for this queue. Raises ModelNotFound."""
        ...
