"""The HTTP door on Ray Serve, which a configuration names as `import_path: serve_app.app:build`. Only wiring."""

import logging
import os
from collections.abc import Mapping

import ray
from pydantic import BaseModel
from ray import serve
from ray.serve import Application, metrics
from starlette.types import ASGIApp

from deployments.client.discovery import Discovery
from deployments.client.external_client import ExternalClient
from deployments.client.model_client import ModelClient
from deployments.client.replica_probe import ReplicaActors, ReplicaProbe
from deployments.client.revisions.revision_client import RevisionClient
from deployments.client.revisions.revision_meter import ServeRevisionMeter
from deployments.client.vector_client import VectorClient
from deployments.external import WholeCatalogue
from deployments.families.demo import SAMPLES_FOLDER
from deployments.logs import OWN_LOGGER
from deployments.process.buffered_counter import BufferedCounter
from deployments.process.replica_process import prepare_replica_process
from deployments.watching.watch import start_watching
from serve_app.access.guard import Access
from serve_app.api import Entrance, create_api, when_started
from serve_app.change_program import ChangeProgram
from serve_app.faces.face import ModelAccess
from serve_app.faces.open_inference.grpc.calls import everybody
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.server import GrpcServer
from serve_app.faces.system.cluster_metrics import ClusterMetrics
from serve_app.faces.system.readiness import Signs
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings

logger = logging.getLogger(OWN_LOGGER)

USER_CONFIG: dict[str, type[BaseModel]] = {}
"""The door has no live knobs."""

MAX_REQUESTS = 4096
"""As many as HAProxy has connections. Beyond it Ray queues requests and keeps all that they send, and /health/live
waits among them. The door itself limits the bytes that they hold."""


class ServeRequestMeter:
    """Counts HTTP answers in Ray's metrics."""

    def __init__(self) -> None:
        tag_keys = ("route", "status")
        counter = metrics.Counter("fathom_http_requests_total", "HTTP requests answered.", tag_keys=tag_keys)
        self._requests = BufferedCounter(counter, tag_keys, {})

    def answered(self, route: str, status: int) -> None:
        """One request of this route template was answered with this status."""
        self._requests.add(1, route, str(status))


def node_metrics_urls() -> list[str]:
    """The address of the metrics agent of each living node."""
    return [
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        for node in ray.nodes()
        if node["Alive"]
    ]


def _as_seen_from_here(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for programs that are to find the cluster which the system has joined, if it has: the launcher's own
    RAY_ADDRESS may be that of its machine only."""
    return {"RAY_ADDRESS": ray.get_runtime_context().gcs_address} if environ.get("RAY_ADDRESS") else {}


HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
SLOWER = (
    f"{HAPROXY} is not set, so Ray's own proxy is in front of this door, and answers fewer requests a second: "
    "`make serve` (python -m serve_app.launch serve FILE) has HAProxy there, and Ray set up for it"
)


class DoorDeployment:
    """What Ray Serve runs; the work is done in the ASGI application that it builds."""

    def __init__(self, settings: DoorSettings) -> None:
        prepare_replica_process()
        if not os.environ.get(HAPROXY):
            logger.warning(SLOWER)
        self._watch = start_watching(os.environ, "door")
        self._settings = settings
        self._discovery = Discovery()
        client = ModelClient(self._discovery.replicas_of, self._discovery.error_of)
        self._discovery.on_removed(client.end)
        self._client = RevisionClient(client, self._discovery.records, ServeRevisionMeter())
        self._external = ExternalClient(settings.bridge_application)
        self._probe = ReplicaProbe(self._discovery.required_replicas, ReplicaActors())
        self._access = Access.from_environment(os.environ, self._doors)
        self._grpc: GrpcServer | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The door wired to Ray; Serve calls it inside the replica."""
        catalogue = WholeCatalogue(self._discovery, self._external.records)
        vectors = VectorClient(self._settings.bridge_application)
        models = ModelAccess(catalogue, self._client, self._external.ask, vectors)
        system = System(
            applications=self._discovery,
            metrics_text=ClusterMetrics(node_metrics_urls).text,
            samples_folder=SAMPLES_FOLDER,
            signs=self._signs,
        )
        change = ChangeProgram(_as_seen_from_here(os.environ)).change
        entrance = Entrance(when_started(self._start, self._stop), self._access, change)
        door = create_api(models, system, self._settings, ServeRequestMeter(), entrance)
        if self._settings.grpc_port is not None:
            knows = everybody if self._access is None else self._access.knows
            self._grpc = GrpcServer(door, Limits.of(self._settings), knows)
        return door

    async def check_health(self) -> None:
        """Raises when a background task has died; Ray Serve replaces the replica then, and also when this does not
        return within `health_check_timeout_s`, as it does where the event loop hangs."""
        self._discovery.check()
        self._external.check()
        self._probe.check()

    async def _start(self) -> None:
        await self._discovery.start()
        await self._client.attach(record.name for record in self._discovery.records())
        await self._external.start()
        await self._probe.start()
        if self._grpc is not None and self._settings.grpc_port is not None:
            await self._grpc.start(self._settings.grpc_host, self._settings.grpc_port)

    async def _stop(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop()
        await self._probe.stop()
        await self._external.stop()
        await self._client.stop()
        await self._discovery.stop()
        if self._watch is not None:
            await self._watch.stop()

    def _doors(self) -> int:
        """Those of this application that run, or are to run: one that starts has its share from the beginning."""
        return self._discovery.count_of(serve.get_replica_context().app_name)

    def _signs(self) -> Signs:
        name = self._settings.bridge_application
        has_gateway = self._discovery.has_application(name)
        return Signs(
            silent_models=self._probe.silent(),
            gateway=name if has_gateway else None,
            gateway_reason=self._external.reason() if has_gateway else "",
            gateway_runs=self._discovery.runs(name),
            waiting_jobs=self._external.waiting() if has_gateway else None,
            view_age_s=self._discovery.age_s,
            has_keys_fault=self._access is not None and self._access.ring.fault != "",
            door_is_closed=self._access is not None and not self._access.ring.was_read,
        )


def ports(args: DoorSettings) -> dict[str, tuple[str, int]]:
    """Those that must be free beside that of HTTP."""
    return {} if args.grpc_port is None else {"grpc_port": (args.grpc_host, args.grpc_port)}


def build(args: DoorSettings) -> Application:
    """The application of the HTTP door."""
    deployment = serve.deployment(
        serve.ingress()(DoorDeployment),
        name="Door",
        max_ongoing_requests=MAX_REQUESTS,
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=60,
        ray_actor_options={"num_cpus": 0.25},
        num_replicas=1,
    )
    application: Application = deployment.bind(args)
    return application
