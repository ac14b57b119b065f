"""From the definition of a model to weights on this machine, and what is known about them before that.

The doors ask what is known (cheap: sizes and small records); a replica that loads asks for the file itself. All
machines of a system are expected to see the same cache, shared or copied.
"""

import logging
from collections.abc import Callable

from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import ModelUnavailable
from deployments.logs import OWN_LOGGER
from deployments.process.shown_address import shown_address
from deployments.weights.cache import megabytes
from deployments.weights.fetch import Fetcher, entry_of
from deployments.weights.settings import WeightsSettings
from deployments.weights.transfer import Progress

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


def remember_labels(definition: ModelDefinition, labels: tuple[str, ...], settings: WeightsSettings) -> None:
    """Keep the class names of a loaded checkpoint beside its weights, where the definition declares none."""
    if definition.weights_source is not None and definition.labels is None:
        entry_of(definition.weights_source, settings).remember_labels(labels)


def with_known_labels(definition: ModelDefinition, settings: WeightsSettings) -> ModelDefinition:
    """`definition` with the class names that a load of its weights has found; None stands for 'not known yet'."""
    source = definition.weights_source
    if source is None or definition.labels is not None:
        return definition
    try:
        record = entry_of(source, settings).record()
    except ModelUnavailable:
        return definition
    return definition if record is None else definition.model_copy(update={"labels": record.labels})


def missing_weights(definition: ModelDefinition, settings: WeightsSettings) -> str:
    """Why the weights in the cache cannot be used, for people; '' when they seem to be there, or are a path."""
    source = definition.weights_source
    if source is None:
        return ""
    try:
        reason = entry_of(source, settings).reason_by_size(source)
    except ModelUnavailable as error:
        return error.message
    return f"its weights {shown_address(source.uri)} are {reason}" if reason else ""


def why_not_fetchable(definition: ModelDefinition, settings: WeightsSettings) -> str:
    """Why the model's weights keep it from being woken; '' when they do not. Missing weights do so only where they
    cannot be fetched."""
    source = definition.weights_source
    missing = missing_weights(definition, settings)
    if source is None or not missing or not (settings.offline and needs_network(source, settings)):
        return ""
    return f"{missing}, and FATHOM_WEIGHTS_OFFLINE is set"


def needs_network(source: WeightsSource, settings: WeightsSettings) -> bool:
    """Whether the file comes over the network. True of a URI that is not allowed, which never comes."""
    try:
        return entry_of(source, settings).uri.needs_network
    except ModelUnavailable:
        return True


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
