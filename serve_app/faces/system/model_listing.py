"""A model as `GET /v1/models` shows it. Pure."""

from typing import Any

from deployments.catalogue import ModelRecord
from deployments.process.shown_address import shown_address


def describe(record: ModelRecord) -> dict[str, Any]:
    """A model's definition and state as JSON members."""
    definition = record.definition.model_dump(mode="json")
    weights = definition["weights"]
    if isinstance(weights, str):
        definition["weights"] = shown_address(weights)
    elif weights is not None:
        definition["weights"] = {**weights, "uri": shown_address(weights["uri"])}
    return {
        "name": record.name,
        "external": record.is_external,
        **definition,
        "state": record.state.value,
        "reason": record.reason,
        "replicas": record.replicas,
        # A model that runs elsewhere has knobs of its own, which are not known here.
        "knobs": None if record.is_external else record.knobs.model_dump(mode="json"),
    }
