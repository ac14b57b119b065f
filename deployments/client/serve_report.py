"""Reads the models and their states from what Ray Serve's controller reports of its applications.

A model's definition is data, the `args` and `user_config` of its application, so that a model at zero replicas can be
listed and described too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from deployments.catalogue import ModelRecord, ModelState
from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, ModelDefinition, ModelKnobs
from deployments.logs import OWN_LOGGER
from deployments.process.shown_address import shown_text
from deployments.text.error_text import reason_in, tells_error
from deployments.weights.known import missing_weights, why_not_fetchable, with_known_labels
from deployments.weights.settings import WeightsSettings

logger = logging.getLogger(OWN_LOGGER)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a model needs beside itself, and what is known of it from before. gpus: of the machine that has most; None
    when that is not known. failures: why the last replica of a model did not start, as `LastFailures` says."""

    weights: WeightsSettings = field(default_factory=WeightsSettings)
    gpus: float | None = None
    failures: Mapping[str, str] = field(default_factory=dict)


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


def running_from(applications: Mapping[str, Any]) -> frozenset[str]:
    """The applications that can be asked now: those of which each deployment has a replica that runs, however many
    others are missing."""
    return frozenset(
        name
        for name, application in applications.items()
        if application.get("status") != "DELETING" and _has_replicas(application)
    )


def replica_counts_from(applications: Mapping[str, Any]) -> dict[str, int]:
    """The replicas of each application that run, or are to run where those are more; of its largest deployment."""
    return {
        name: max((_count(one) for one in (application.get("deployments") or {}).values()), default=0)
        for name, application in applications.items()
    }


def unhealthy_from(applications: Mapping[str, Any]) -> dict[str, str]:
    """The applications that are not models and do not run: name -> reason."""
    return {
        name: _failure_of(application) or "it is not running"
        for name, application in sorted(applications.items())
        if (application.get("deployed_app_config") or {}).get("import_path") != MODEL_IMPORT_PATH
        and application.get("status") != "RUNNING"
    }


def _count(deployment: Mapping[str, Any]) -> int:
    running = [replica for replica in deployment.get("replicas") or [] if replica.get("state") == "RUNNING"]
    return max(len(running), int(deployment.get("target_num_replicas") or 0))


def _has_replicas(application: Mapping[str, Any]) -> bool:
    deployments = (application.get("deployments") or {}).values()
    return bool(deployments) and all(
        any(replica.get("state") == "RUNNING" for replica in one.get("replicas") or []) for one in deployments
    )


def _failure_of(application: Mapping[str, Any]) -> str:
    """Why an application does not run: the message of the deployment that failed says more than Serve's own."""
    deployments = (application.get("deployments") or {}).values()
    failed = [one for one in deployments if _has_failed(one)]
    return next((_reason(application, one) for one in failed), _reason(application, {}))


def _has_failed(deployment: Mapping[str, Any]) -> bool:
    # While Serve tries again, only the message tells of it.
    is_given_up = deployment.get("status") in ("DEPLOY_FAILED", "UNHEALTHY")
    return is_given_up or tells_error(str(deployment.get("message") or ""))


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
    failure = around.failures.get(name, "")
    if state is ModelState.READY:
        reason = ""
    elif state is ModelState.ASLEEP:
        reason = _missing_gpu(options, around) or why_not_fetchable(definition, around.weights)
    elif state is ModelState.STARTING and failure:
        reason = f"the last try to load it failed, and it is tried again: {failure}"
    elif state is ModelState.STARTING:
        waits_for = (missing_weights(definition, around.weights), _reason(application, deployment))
        reason = "; ".join(one for one in waits_for if one)
    else:
        reason = _reason(application, deployment)
    return ModelRecord(name, definition, knobs, state, reason, running, last_failure=failure)


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


def is_built(application: Mapping[str, Any]) -> bool:
    """Whether the application has been built, has failed or goes away: there is nothing to wait for."""
    is_over = application.get("status") in ("DEPLOY_FAILED", "DELETING")
    return is_over or bool(application.get("deployments"))
