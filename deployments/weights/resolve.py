"""From the definition of a model to weights on this machine."""

import logging
from collections.abc import Callable

from deployments.definition import ModelDefinition
from deployments.logs import OWN_LOGGER
from deployments.process.shown_address import shown_address
from deployments.weights.cache import Progress, megabytes
from deployments.weights.fetch import Fetcher

logger = logging.getLogger(OWN_LOGGER)

_STEPS = 10


def with_local_weights(definition: ModelDefinition, fetcher: Fetcher) -> ModelDefinition:
    """`definition` with the path of its weights; fetches them when they are not in the cache.

    Raises ModelUnavailable when that is not possible, with the reason.
    """
    source = definition.weights_source
    if source is None:
        return definition
    path = fetcher.ensure(source, log_progress(shown_address(source.uri), logger.info))
    return definition.model_copy(update={"weights": str(path)})


def log_progress(what: str, log: Callable[[str], None]) -> Progress:
    """Progress as one line for each tenth of the file."""
    told = -1

    def note(there_bytes: int, all_bytes: int | None) -> None:
        nonlocal told
        step = there_bytes * _STEPS // all_bytes if all_bytes else there_bytes // 50_000_000
        if step > told:
            told = step
            of_all = f" of {megabytes(all_bytes)}" if all_bytes else ""
            log(f"{what}: {megabytes(there_bytes)}{of_all}")

    return note
