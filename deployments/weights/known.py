"""What is known about the weights of a model before anybody loads them.

The doors ask this of every model (cheap: sizes and small records); nothing here needs the network or its libraries.
All machines of a system are expected to see the same cache, shared or copied.
"""

from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import ModelUnavailable
from deployments.process.shown_address import shown_address
from deployments.weights.folders import entry_of
from deployments.weights.settings import WeightsSettings


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
