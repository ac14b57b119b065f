"""The bridge on Ray Serve: `import_path: redis_bridge.app:build`. Wiring only."""

import asyncio
import contextlib
import logging
import os
import time
from typing import Any

from pydantic import BaseModel
from ray import serve
from ray.serve import Application
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.client.discovery import Discovery
from deployments.client.gateway import GATEWAY_DEPLOYMENT
from deployments.client.model_client import ModelClient
from deployments.client.revisions.revision_client import RevisionClient
from deployments.client.revisions.revision_meter import ServeRevisionMeter
from deployments.errors import ServingError
from deployments.external import ExternalRequest, GatewayReport
from deployments.logs import OWN_LOGGER
from deployments.prediction import Opaque
from deployments.process.replica_process import prepare_replica_process
from deployments.watching.watch import start_watching
from redis_bridge.bridge import Bridge
from redis_bridge.client.connection import REDIS_ERRORS, connected
from redis_bridge.client.urls import without_password
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.ray_metrics import RayRecorder
from redis_bridge.server.requirements import refuse_unsupported
from redis_bridge.settings import REDIS_URL_VARIABLE, BridgeSettings
from redis_bridge.vectors.keeper import MAX_CALLS as MAX_VECTOR_CALLS
from redis_bridge.vectors.keeper import VectorKeeper

logger = logging.getLogger(OWN_LOGGER)

USER_CONFIG: dict[str, type[BaseModel]] = {}
"""No deployment of this application has a `user_config`."""

STOP_MARGIN_S = 25.0
"""Beside the draining: what commands to a Redis that is away may take until they time out."""

VALKEY_DEPLOYMENT = "Valkey"
"""The deployment inside the application of the embedded Valkey."""

ADDRESS_TIMEOUT_S = 120.0
"""Valkey may have a large append-only file to load before it says where it is."""

_POLL_INTERVAL_S = 0.2

EXTRA_CALLS = 16
"""Calls at once beside those that wait for external workers or vectors: for reports, and those that are refused."""


@serve.deployment(
    name=GATEWAY_DEPLOYMENT,
    num_replicas=1,
    ray_actor_options={"num_cpus": 0.25},
    graceful_shutdown_wait_loop_s=0.5,
    health_check_period_s=2,
    health_check_timeout_s=10,
)
class BridgeDeployment:
    """The shell that Ray Serve runs; the work is in `Bridge`."""

    async def __init__(self, settings: BridgeSettings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        prepare_replica_process()
        # To be closed when this replica ends, even when it never came up: last opened, first closed.
        self._closing = contextlib.AsyncExitStack()
        if (watch := start_watching(os.environ, "bridge")) is not None:
            self._closing.push_async_callback(watch.stop)
        url = await _redis_url(settings)
        self._discovery = Discovery()
        await self._discovery.start(settings.settle_s)
        self._closing.push_async_callback(self._discovery.stop)
        plain = ModelClient(self._discovery.replicas_of, self._discovery.error_of)
        self._discovery.on_removed(plain.end)
        client = RevisionClient(plain, self._discovery.records, ServeRevisionMeter())
        self._closing.push_async_callback(client.stop)
        await client.attach(record.name for record in self._discovery.records())
        connections = await self._closing.enter_async_context(connected(url, settings.longest_block_s))
        with contextlib.suppress(*REDIS_ERRORS):
            await refuse_unsupported(connections.redis)
        recorder = RayRecorder()
        self._bridge = Bridge(connections, client, self._discovery, settings, recorder)
        self._bridge.start()
        self._closing.push_async_callback(self._bridge.stop, settings.drain_s)
        store = ExternalJobStore(connections.redis, settings)
        self._external = ExternalGateway(
            store, settings, self._bridge.external_queues, recorder, self._bridge.in_flight
        )
        self._external.start()
        self._closing.push_async_callback(self._external.stop)
        self._vectors = VectorKeeper(connections.redis)
        self._closing.push_async_callback(self._vectors.stop)
        logger.info("bridge %s serves the queues at %s", self._bridge.bridge_id, without_password(url))

    async def report(self) -> GatewayReport:
        """External workers, whether Redis accepts jobs and answers, and how many wait; every HTTP door polls it."""
        return GatewayReport(self._external.workers(), self._bridge.redis_reason, self._bridge.waiting)

    async def ask_external(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        """The answer of an external worker; an error is a value."""
        return await self._external.ask(queue, request)

    async def vectors(self, asked: str, *arguments: Any) -> Any | ServingError:
        """What a method of `deployments.vectors.Vectors` answers; an error is a value."""
        return await self._vectors.answer(asked, *arguments)

    async def check_health(self) -> None:
        """Raises when a loop has died; Ray Serve replaces the replica then. Redis may be away."""
        self._discovery.check()
        self._bridge.check()
        self._external.check()

    async def __del__(self) -> None:
        await self._closing.aclose()


def build(args: BridgeSettings) -> Application:
    """The application of the bridge."""
    deployment = BridgeDeployment.options(  # type: ignore[attr-defined]  # the decorator is untyped
        graceful_shutdown_timeout_s=args.drain_s + STOP_MARGIN_S,
        max_ongoing_requests=args.max_external_jobs + MAX_VECTOR_CALLS + EXTRA_CALLS,
    )
    application: Application = deployment.bind(args)
    return application


async def _redis_url(settings: BridgeSettings) -> str:
    """The address of Redis: from the environment, or that of the embedded Valkey.

    Raises RuntimeError when there is no such application within `settle_s`, TimeoutError when it does not respond.
    """
    url = os.environ.get(REDIS_URL_VARIABLE)
    if url:
        return url
    handle = await _valkey_handle(settings)
    address: str = await asyncio.wait_for(handle.address.remote(), ADDRESS_TIMEOUT_S)
    return address


async def _valkey_handle(settings: BridgeSettings) -> DeploymentHandle:
    deadline_s = time.monotonic() + settings.settle_s
    while True:
        try:
            return await asyncio.to_thread(_noted_handle, VALKEY_DEPLOYMENT, settings.valkey_application)
        except (KeyError, RayServeException):
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"{REDIS_URL_VARIABLE} is not set and there is no application "
                    f"{settings.valkey_application!r} with the embedded Valkey"
                ) from None
        await asyncio.sleep(_POLL_INTERVAL_S)


def _noted_handle(deployment: str, application: str) -> DeploymentHandle:
    """A handle that Serve notes because it is taken before this replica is ready: at shutdown it stops this replica
    first. Serve does not note handles from `serve.get_app_handle`."""
    return serve.get_deployment_handle(deployment, application)
