"""What the core offers a door beside the catalogue. A door depends on this protocol and not on Ray, so that its
tests can put a fake in its place.
"""

from collections.abc import Sequence
from typing import Protocol

from deployments.prediction import Outcome
from deployments.request import Request


class Predict(Protocol):
    """Asks a model. One outcome for each request, in the same order; errors are values, never raised.

    model: its name; that of a queue must be resolved first, by `Catalogue.resolve`. Cancelling the call cancels the
    work.
    """

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]: ...  # noqa: D102
