"""The handle of the application that reaches Redis for the doors."""

import asyncio

from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.errors import ModelUnavailable

GATEWAY_DEPLOYMENT = "Bridge"
"""The deployment, in the application of the configuration, that has `report`, `ask_external` and `vectors`."""

AWAY = (RayActorError, ReplicaUnavailableError, DeploymentUnavailableError)
"""What a call raises whose replica is gone."""


class Gateway:
    """Takes the handle when it is first asked for. what_for: said where there is no such application."""

    def __init__(self, application: str, what_for: str) -> None:
        self._application = application
        self._what_for = what_for
        self._handle: DeploymentHandle | None = None

    @property
    def is_found(self) -> bool:
        """Whether the application was there once."""
        return self._handle is not None

    async def handle(self) -> DeploymentHandle:
        """Raises ModelUnavailable where there is no such application."""
        if self._handle is None:
            try:
                found = await asyncio.to_thread(serve.get_deployment_handle, GATEWAY_DEPLOYMENT, self._application)
            except (RayServeException, RayError, KeyError):
                raise ModelUnavailable(f"there is no application {self._application} {self._what_for}") from None
            self._handle = found
        return self._handle
