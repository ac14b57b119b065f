"""The models that are served in a run, as definitions. Knows which cost each stands for; loads nothing."""

from dataclasses import dataclass

from deployments.definition import ModelDefinition, ModelKnobs

NOOP, M1, M50, DEMO = "m0", "m1", "m50", "demo"
MODELS = (NOOP, M1, M50, DEMO)

TARGET_MS = {M1: 14.0, M50: 50.0}
"""What one image of a calibrated model takes on one thread."""

_FAMILIES = {NOOP: "fixed-answer", M1: "bench-detector", M50: "bench-detector", DEMO: "benthic-demo"}

WIDTH = {M1: 32, M50: 64}
LARGEST_BATCH = 8

_DEFAULT_KNOBS = ModelKnobs()

LATENCY_TARGET_MS = {M50: 600.0}
"""Of the model that shows how batches are filled; the others have the default and never wait."""


@dataclass(frozen=True, slots=True)
class BenchModel:
    """name: one of MODELS.  knobs: its `user_config` where we serve it."""

    name: str
    definition: ModelDefinition
    knobs: ModelKnobs = _DEFAULT_KNOBS


def bench_model(name: str, depths: dict[str, int]) -> BenchModel:
    """The model `name`; depths: of the calibrated models. Raises KeyError for an unknown one."""
    parameters: dict[str, float | int | str | bool] = {}
    if name in TARGET_MS:
        parameters = {"width": WIDTH[name], "depth": depths[name]}
    definition = ModelDefinition(
        family=_FAMILIES[name], queues=(queue_of(name),), largest_batch=LARGEST_BATCH, parameters=parameters
    )
    return BenchModel(name, definition, ModelKnobs(latency_target_ms=LATENCY_TARGET_MS.get(name)))


def queue_of(name: str) -> str:
    """The Redis queue of a model."""
    return f"image_queue_{name}"
