"""Finds the models of the running system and their states, without waking any. The only file that makes
Ray Serve's private call for it.

A definition is data (`args` and `user_config` of an application), so that a model at zero replicas can be
listed and described. One call to the controller brings configurations and states together.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from pydantic import ValidationError
from ray.serve.context import _get_global_client

from deployments.catalogue import ModelRecord, ModelState
from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, ModelDefinition, ModelKnobs
from deployments.error_text import reason_in
from deployments.errors import ModelNotFound, ModelUnavailable
from deployments.logs import OWN_LOGGER
from deployments.process.background_task import BackgroundTask
from deployments.shown_address import shown_text
from deployments.weights.resolve import hindrance, missing_weights, with_known_labels
from deployments.weights.settings import WeightsSettings

logger = logging.getLogger(OWN_LOGGER)

LOOK_TIMEOUT_S = 10.0
SETTLE_PERIOD_S = 0.2


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a model needs beside itself. gpus: of the machine that has most; None when that is not known."""

    weights: WeightsSettings = field(default_factory=WeightsSettings)
    gpus: float | None = None


class Discovery:
    """The catalogue of models, refreshed in the background every `period_s` seconds.

    When the controller cannot be reached, the last view stays: models keep answering without their controller.
    """

    def __init__(self, period_s: float = 2.0) -> None:
        self._period_s = period_s
        self._weights = WeightsSettings.from_environment(os.environ)
        self._records: tuple[ModelRecord, ...] = ()
        self._unhealthy: dict[str, str] = {}
        self._replicas: dict[str, tuple[str, ...]] = {}
        self._applications: frozenset[str] = frozenset()
        self._looked_at_s = time.monotonic()
        self._background = BackgroundTask("discovery of models", self._keep_looking)

    async def start(self, settle_s: float = 30.0) -> None:
        """Looks until every configured model is built or has failed, at most `settle_s` seconds, and keeps
        looking in the background from then on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._look_until_built(), settle_s)
        self._background.start()

    async def stop(self) -> None:
        """Stops the background task."""
        await self._background.stop()

    def check(self) -> None:
        """Raises RuntimeError when the background task has died, for a health check."""
        self._background.check()

    def records(self) -> tuple[ModelRecord, ...]:
        """All models, sorted by name."""
        return self._records

    def resolve(self, name: str) -> ModelRecord:
        """The model with this name, or that answers for this queue. Raises ModelNotFound."""
        return resolve_among(self._records, name)

    def replicas_of(self, model: str) -> int:
        """Running replicas of the model with this name; 0 for an unknown one."""
        record = self._named(model)
        return 0 if record is None else record.replicas

    def error_of(self, model: str) -> ModelUnavailable | None:
        """Why the model with this name cannot answer now; None when it can, or is not known."""
        record = self._named(model)
        return None if record is None or record.can_answer else record.unavailable()

    def _named(self, model: str) -> ModelRecord | None:
        return next((record for record in self._records if record.name == model), None)

    def unhealthy_applications(self) -> Mapping[str, str]:
        """The applications that are not models and do not run: name -> reason."""
        return self._unhealthy

    @property
    def age_s(self) -> float:
        """How old this view is: seconds since the controller last answered, or since the start."""
        return time.monotonic() - self._looked_at_s

    def has_application(self, name: str) -> bool:
        """Whether the running system's configuration has an application of this name."""
        return name in self._applications

    def required_replicas(self) -> Mapping[str, tuple[str, ...]]:
        """The models without which the system is not ready: name -> names of the actors that run it now."""
        return {
            record.name: self._replicas.get(record.name, ())
            for record in self._records
            if record.definition.required and record.state is ModelState.READY
        }

    async def _look_until_built(self) -> None:
        while True:
            if await self._look():
                return
            await asyncio.sleep(SETTLE_PERIOD_S)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            await self._look()

    async def _look(self) -> bool:
        """Refreshes the records; whether all of them are built."""
        try:
            applications = await asyncio.wait_for(_ask_controller(), LOOK_TIMEOUT_S)
        except Exception:
            logger.warning("the Serve controller could not be asked for the models", exc_info=True)
            return False
        self._records = await asyncio.to_thread(self._records_of, applications)
        self._unhealthy = unhealthy_from(applications)
        self._replicas = replicas_from(applications)
        self._applications = frozenset(applications)
        self._looked_at_s = time.monotonic()
        return all(_is_built(application) for application in applications.values())

    def _records_of(self, applications: Mapping[str, Any]) -> tuple[ModelRecord, ...]:
        return records_from(applications, Surroundings(self._weights, _gpus_of_the_best_machine()))


def _gpus_of_the_best_machine() -> float | None:
    try:
        return max((node["Resources"].get("GPU", 0.0) for node in ray.nodes() if node["Alive"]), default=None)
    except Exception:
        logger.warning("Ray could not be asked for its machines", exc_info=True)
        return None


async def _ask_controller() -> Mapping[str, Any]:
    client = await asyncio.to_thread(_get_global_client)
    details: dict[str, Any] = await client._controller.get_serve_instance_details.remote()
    applications: Mapping[str, Any] = details["applications"]
    return applications


def resolve_among(records: tuple[ModelRecord, ...], name: str) -> ModelRecord:
    """The record with this name or, failing that, the first that answers for this queue."""
    for record in records:
        if record.name == name:
            return record
    for record in records:
        if record.answers_for(name):
            return record
    raise ModelNotFound(f"no model and no queue is called {name[:128]!r}")


def records_from(
    applications: Mapping[str, Any], surroundings: Surroundings | None = None
) -> tuple[ModelRecord, ...]:
    """The models among the controller's `applications`, sorted by name.

    An application whose `args` do not validate cannot run either, and is left out with a warning.
    """
    records = []
    around = surroundings or Surroundings()
    for name, application in sorted(applications.items()):
        config = application.get("deployed_app_config") or {}
        if config.get("import_path") != MODEL_IMPORT_PATH:
            continue
        try:
            records.append(_record(name, application, config, around))
        except ValidationError as error:
            logger.warning("application %s has no valid model definition: %s", name, shown_text(str(error)))
    return tuple(records)


def replicas_from(applications: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The actors of running replicas of models, by name: application -> actors."""
    found = {}
    for name, application in applications.items():
        deployment = (application.get("deployments") or {}).get(DEPLOYMENT_NAME) or {}
        running = [one for one in deployment.get("replicas") or [] if one.get("state") == "RUNNING"]
        found[name] = tuple(one["actor_name"] for one in running if one.get("actor_name"))
    return found


def unhealthy_from(applications: Mapping[str, Any]) -> dict[str, str]:
    """The applications that are not models and do not run: name -> reason."""
    return {
        name: _failure_of(application) or "it is not running"
        for name, application in sorted(applications.items())
        if (application.get("deployed_app_config") or {}).get("import_path") != MODEL_IMPORT_PATH
        and application.get("status") != "RUNNING"
    }


def _failure_of(application: Mapping[str, Any]) -> str:
    """Why an application does not run: the message of the deployment that failed says more than Serve's own."""
    deployments = (application.get("deployments") or {}).values()
    failed = [one for one in deployments if one.get("status") in ("DEPLOY_FAILED", "UNHEALTHY")]
    return next((_reason(application, one) for one in failed), _reason(application, {}))


def _record(
    name: str, application: Mapping[str, Any], config: Mapping[str, Any], around: Surroundings
) -> ModelRecord:
    definition = with_known_labels(ModelDefinition.model_validate(config.get("args") or {}), around.weights)
    overrides = {entry["name"]: entry for entry in config.get("deployments") or []}
    options = overrides.get(DEPLOYMENT_NAME, {})
    knobs = ModelKnobs.model_validate(options.get("user_config") or {})
    deployment = (application.get("deployments") or {}).get(DEPLOYMENT_NAME) or {}
    running = sum(replica.get("state") == "RUNNING" for replica in deployment.get("replicas") or [])
    state = _state(application, deployment, running)
    if state is ModelState.READY:
        reason = ""
    elif state is ModelState.ASLEEP:
        reason = _missing_gpu(options, around) or hindrance(definition, around.weights)
    elif state is ModelState.STARTING:
        waits_for = (missing_weights(definition, around.weights), _reason(application, deployment))
        reason = "; ".join(one for one in waits_for if one)
    else:
        reason = _reason(application, deployment)
    return ModelRecord(name, definition, knobs, state, reason, running)


def _state(application: Mapping[str, Any], deployment: Mapping[str, Any], running: int) -> ModelState:
    status = application.get("status")
    if status == "DELETING":
        return ModelState.STOPPING
    if running:
        # While a new version is rolled out the old replicas answer; a model with a live replica can answer.
        return ModelState.READY
    if status == "DEPLOY_FAILED":
        return ModelState.FAILED
    if status == "UNHEALTHY":
        return ModelState.UNHEALTHY
    if status == "RUNNING" and deployment.get("target_num_replicas", 1) == 0:
        return ModelState.ASLEEP
    return ModelState.STARTING


def _reason(application: Mapping[str, Any], deployment: Mapping[str, Any]) -> str:
    text = str(deployment.get("message") or application.get("message") or "")
    return reason_in(text)


def _missing_gpu(options: Mapping[str, Any], around: Surroundings) -> str:
    """Why no machine of the system can hold a replica with these options, as far as GPUs go; '' when one can."""
    share = float((options.get("ray_actor_options") or {}).get("num_gpus") or 0)
    if around.gpus is None or share <= around.gpus:
        return ""
    return (
        f"needs {share:g} GPU, and the machine with most has {around.gpus:g}; "
        "FATHOM_NUM_GPUS=0 at the start runs all models on the CPU"
    )


def _is_built(application: Mapping[str, Any]) -> bool:
    is_over = application.get("status") in ("DEPLOY_FAILED", "DELETING")
    return is_over or bool(application.get("deployments"))
