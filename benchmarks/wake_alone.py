"""Loads one model of a configuration as a replica does, without Ray Serve around it: for `benchmarks.wake`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from deployments.definition import ModelDefinition
from deployments.prediction import Outcome
from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Resources
from deployments.runtimes.cores import threads_for
from deployments.serving.replica import Replica
from deployments.weights.fetch import Fetcher
from deployments.weights.resolve import with_local_weights
from deployments.weights.settings import WeightsSettings


class NoMeter:
    """Nothing is predicted here."""

    def answered(self, outcomes: Sequence[Outcome], call_s: float, in_work: int) -> None:
        """Never called."""

    def batch(self, size: int, in_work: int) -> None:
        """Never called."""

    def batch_policy(self, limit: int, max_wait_s: float) -> None:
        """Never called."""


def main(config: str, model: str) -> None:
    """Prints the line that a replica logs. Raises ValueError when `config` has no such model."""
    applications = yaml.safe_load(Path(config).read_text("utf-8"))["applications"]
    args = next((one.get("args") for one in applications if one["name"] == model), None)
    if args is None:
        raise ValueError(f"{config} has no model {model}")
    definition = ModelDefinition.model_validate(args)
    times = WakeTimes()
    with times.part("fetch"):
        definition = with_local_weights(definition, Fetcher(WeightsSettings()))
    Replica(model, definition, Resources(threads_for(1.0)), NoMeter(), times)
    sys.stdout.write(f"model {model} is loaded: {times}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
