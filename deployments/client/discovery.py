"""Finds the models of the running system and their states, without waking any. The only file that makes
Ray Serve's private call for it.

One call to the controller brings the configurations and states of all applications together; `serve_report.py` reads
its answer.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.serve.context import _get_global_client

from deployments.catalogue import ModelRecord, ModelState, resolve_among
from deployments.client.last_failures import LastFailures
from deployments.client.serve_report import (
    Surroundings,
    is_built,
    records_from,
    replica_counts_from,
    replicas_from,
    running_from,
    unhealthy_from,
)
from deployments.errors import ModelUnavailable
from deployments.logs import OWN_LOGGER
from deployments.process.background_task import BackgroundTask
from deployments.weights.settings import WeightsSettings

logger = logging.getLogger(OWN_LOGGER)

REFRESH_TIMEOUT_S = 10.0
SETTLE_PERIOD_S = 0.2


class Discovery:
    """The catalogue of models, refreshed in the background every `period_s` seconds.

    When the controller cannot be reached, the last view stays: models keep answering without their controller.
    """

    def __init__(self, period_s: float = 2.0) -> None:
        self._period_s = period_s
        self._weights = WeightsSettings.from_environment(os.environ)
        self._records: tuple[ModelRecord, ...] = ()
        self._failures = LastFailures()
        self._unhealthy: dict[str, str] = {}
        self._replicas: dict[str, tuple[str, ...]] = {}
        self._applications: frozenset[str] = frozenset()
        self._running: frozenset[str] = frozenset()
        self._counts: Mapping[str, int] = {}
        self._refreshed_at_s = time.monotonic()
        self._tell_removed: list[Callable[[frozenset[str]], None]] = []
        self._background = BackgroundTask("discovery of models", self._keep_refreshing)

    def on_removed(self, tell: Callable[[frozenset[str]], None]) -> None:
        """Has `tell` be given the names of models that are there no longer, whenever there are any."""
        self._tell_removed.append(tell)

    async def start(self, settle_s: float = 30.0) -> None:
        """Waits until every configured model is built or has failed, at most `settle_s` seconds, and keeps the
        catalogue fresh in the background from then on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._refresh_until_built(), settle_s)
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
        """Why the model with this name cannot answer, or could not be woken; None when it can, or is not known."""
        record = self._named(model)
        return None if record is None else record.why_unanswered()

    def _named(self, model: str) -> ModelRecord | None:
        return next((record for record in self._records if record.name == model), None)

    def unhealthy_applications(self) -> Mapping[str, str]:
        """The applications that are not models and do not run: name -> reason."""
        return self._unhealthy

    @property
    def age_s(self) -> float:
        """How old this view is: seconds since the controller last answered, or since the start."""
        return time.monotonic() - self._refreshed_at_s

    def has_application(self, name: str) -> bool:
        """Whether the running system's configuration has an application of this name."""
        return name in self._applications

    def runs(self, name: str) -> bool:
        """Whether the application of this name has a replica that runs, even if it is to have more."""
        return name in self._running

    def count_of(self, name: str) -> int:
        """Replicas of the application of this name that run, or are to run; 0 for an unknown one."""
        return self._counts.get(name, 0)

    def required_replicas(self) -> Mapping[str, tuple[str, ...]]:
        """The models without which the system is not ready: name -> names of the actors that run it now."""
        return {
            record.name: self._replicas.get(record.name, ())
            for record in self._records
            if record.definition.required and record.state is ModelState.READY
        }

    async def _refresh_until_built(self) -> None:
        while True:
            if await self._refresh():
                return
            await asyncio.sleep(SETTLE_PERIOD_S)

    async def _keep_refreshing(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            await self._refresh()

    async def _refresh(self) -> bool:
        """Refreshes the records; whether all of them are built."""
        try:
            applications = await asyncio.wait_for(_ask_controller(), REFRESH_TIMEOUT_S)
        except Exception:
            logger.warning("the Serve controller could not be asked for the models", exc_info=True)
            return False
        before = self._records
        self._records = await asyncio.to_thread(self._records_of, applications)
        removed = frozenset(record.name for record in before) - {record.name for record in self._records}
        if removed:
            for tell in self._tell_removed:
                tell(removed)
        self._unhealthy = unhealthy_from(applications)
        self._replicas = replicas_from(applications)
        self._applications = frozenset(applications)
        self._running = running_from(applications)
        self._counts = replica_counts_from(applications)
        self._refreshed_at_s = time.monotonic()
        return all(is_built(application) for application in applications.values())

    def _records_of(self, applications: Mapping[str, Any]) -> tuple[ModelRecord, ...]:
        failures = self._failures.note(applications)
        return records_from(applications, Surroundings(self._weights, _gpus_of_the_best_machine(), failures))


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
