"""What one call to a model may end in: an outcome for each of its requests, or the death of the replica."""

import logging
from collections.abc import Awaitable, Callable

from deployments.errors import InternalError, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Outcome
from deployments.request import Request

logger = logging.getLogger(OWN_LOGGER)

Send = Callable[[list[Request]], Awaitable[list[Outcome]]]
"""Makes one call. Returns one outcome for each request, in order, or raises an error for all of them."""


class ReplicaDied(Exception):
    """The replica died before it answered; nobody knows which of its requests was the cause, if any was."""


async def outcomes_of(send: Send, requests: list[Request]) -> list[Outcome]:
    """One outcome for each request, in order: what the call raises is the outcome of all of them. Raises only
    ReplicaDied, after which they may be sent again."""
    try:
        return await send(requests)
    except ReplicaDied:
        raise
    except ServingError as error:
        return [error] * len(requests)
    except Exception:
        logger.exception("a call to a model failed unexpectedly", extra=about(one.origin for one in requests))
        return [InternalError("the call to the model failed")] * len(requests)
