"""A model on Ray Serve: what `import_path: deployments.app:build` in a configuration names. Only wires
the parts together.

One application per model: adding one leaves the replicas of all others alone, and a change of `args` replaces
the replicas of that model only. TensorFlow is loaded inside the replica, never by the build task.
"""

import logging
import os
from dataclasses import replace
from typing import Any

import ray
from pydantic import BaseModel
from ray import serve
from ray.serve import Application

from deployments.definition import DEPLOYMENT_NAME, ModelDefinition, ModelKnobs
from deployments.families import FAMILIES, can_limit_memory
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from deployments.process.replica_process import prepare_replica_process
from deployments.process.spare_memory import spare_memory_copies
from deployments.process.wake_times import WakeTimes
from deployments.request import Request
from deployments.runtimes import Resources
from deployments.runtimes.cores import threads_for
from deployments.scaling.reports import (
    IMAGES_IN_WORK,
    IMAGES_WAITING_ELSEWHERE,
    SECONDS_IDLE,
    SHARE_BUSY,
    SPARE_MEMORY_COPIES,
)
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE
from deployments.serving.replica import Replica
from deployments.serving.serve_meter import ServeMeter
from deployments.watching.watch import start_watching
from deployments.weights.known import remember_labels
from deployments.weights.settings import WeightsSettings
from deployments.weights.weights_uri import parse_uri

logger = logging.getLogger(OWN_LOGGER)

USER_CONFIG: dict[str, type[BaseModel]] = {DEPLOYMENT_NAME: ModelKnobs}
"""Deployment name -> model of its `user_config`, for the launcher's validation."""


@serve.deployment(
    name=DEPLOYMENT_NAME,
    max_ongoing_requests=64,
    max_queued_requests=256,
    health_check_period_s=2,
    graceful_shutdown_wait_loop_s=0.1,
    graceful_shutdown_timeout_s=60,
    max_surge_percent=100,
    user_config={},
    autoscaling_config={"min_replicas": 1, "max_replicas": 1},
)
class ModelDeployment:
    """What Ray Serve runs; the work is in `Replica`."""

    def __init__(self, definition: ModelDefinition) -> None:
        prepare_replica_process()
        context = serve.get_replica_context()
        self._name = context.app_name
        self._watch = start_watching(os.environ, self._name)
        settings = WeightsSettings.from_environment(os.environ)
        times = WakeTimes()
        with times.part("fetch"):
            local = _with_local_weights(definition, settings)
        resources = replace(_resources(), memory_limit_mib=definition.memory_limit_mib)
        self._replica = Replica(self._name, local, resources, ServeMeter(self._name), times)
        remember_labels(definition, self._replica.labels, settings)
        logger.info("model %s is loaded: %s", self._name, times)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Puts the live knobs to use; Ray Serve calls it before traffic and at every change."""
        self._replica.set_knobs(ModelKnobs.model_validate(user_config))

    async def predict(self, requests: list[Request]) -> list[Outcome]:
        """One outcome for each request, in order; errors are values."""
        return await self._replica.predict(requests)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `deployments.autoscaling` reads of a replica."""
        return {
            IMAGES_IN_WORK: float(self._replica.images_in_work),
            IMAGES_WAITING_ELSEWHERE: float(self._replica.images_waiting_elsewhere),
            SECONDS_IDLE: self._replica.seconds_idle,
            SHARE_BUSY: self._replica.share_busy(),
            SPARE_MEMORY_COPIES: spare_memory_copies(),
        }

    def check_health(self) -> None:
        """Raises when the replica can no longer answer; Ray Serve replaces it then."""
        self._replica.check_health()

    async def __del__(self) -> None:
        await self._replica.close()
        if self._watch is not None:
            await self._watch.stop()
        logger.info("model %s has stopped", self._name)


def _with_local_weights(definition: ModelDefinition, settings: WeightsSettings) -> ModelDefinition:
    if definition.weights_source is None:
        return definition
    # They bring a library of HTTP along, which takes a fifth of a second that nobody else here needs to spend.
    from deployments.weights.fetch import Fetcher
    from deployments.weights.resolve import with_local_weights

    return with_local_weights(definition, Fetcher(settings))


def _resources() -> Resources:
    assigned = ray.get_runtime_context().get_assigned_resources()
    threads = threads_for(assigned.get("CPU", 0.0))
    # The threads of one batch wait for each other at every step, and do so badly beside threads that decode.
    if assigned.get("GPU") or threads < BATCHES_AT_ONCE:
        return Resources(threads, BATCHES_AT_ONCE)
    return Resources(threads // BATCHES_AT_ONCE, BATCHES_AT_ONCE, is_side_by_side=True)


def build(args: ModelDefinition) -> Application:
    """The application of one model. Raises ValueError for an unknown family, weights from a place that is not
    allowed, and a limit that would have no effect."""
    if args.family not in FAMILIES:
        raise ValueError(f"args.family: unknown family {args.family!r}; known: {', '.join(sorted(FAMILIES))}")
    if args.memory_limit_mib is not None and not can_limit_memory(args.family):
        raise ValueError(
            f"args.memory_limit_mib has no effect on family {args.family}, which TensorFlow does not run"
        )
    if args.weights_source is not None:
        parse_uri(args.weights_source)
    application: Application = ModelDeployment.bind(args)  # type: ignore[attr-defined]  # the decorator is untyped
    return application
