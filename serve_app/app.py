"""The HTTP door on Ray Serve: what `import_path: serve_app.app:build` in a configuration names. Only wires."""

from pathlib import Path

import ray
from pydantic import BaseModel
from ray import serve
from ray.serve import Application, metrics
from starlette.types import ASGIApp

import deployments
from deployments.client import ModelClient
from deployments.counting import Counting
from deployments.discovery import Discovery
from deployments.external import WholeCatalogue
from deployments.external_client import ExternalClient
from deployments.replica_process import prepare_replica_process
from serve_app.api import create_api, when_started
from serve_app.cluster_metrics import gather_metrics
from serve_app.settings import DoorSettings
from serve_app.system_routes import System

USER_CONFIG: dict[str, type[BaseModel]] = {}
"""The door has no live knobs."""

SAMPLES_FOLDER = Path(deployments.__file__).parent / "families" / "demo" / "samples"


class ServeRequestMeter:
    """Counts HTTP answers in Ray's metrics."""

    def __init__(self) -> None:
        tag_keys = ("route", "status")
        counter = metrics.Counter("fathom_http_requests_total", "HTTP requests answered.", tag_keys=tag_keys)
        self._requests = Counting(counter, tag_keys, {})

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


def door(settings: DoorSettings) -> ASGIApp:
    """The door wired to Ray; built inside the replica."""
    prepare_replica_process()
    discovery = Discovery()
    client = ModelClient(discovery.replicas_of, discovery.trouble_of)
    external = ExternalClient(settings.bridge_application)
    catalogue = WholeCatalogue(discovery, external.records)

    async def start() -> None:
        await discovery.start()
        await client.attach(record.name for record in discovery.records())
        await external.start()

    async def stop() -> None:
        await external.stop()
        await discovery.stop()

    async def metrics_text() -> str:
        return await gather_metrics(node_metrics_urls())

    system = System(catalogue, discovery, metrics_text, SAMPLES_FOLDER, external.ask)
    lifespan = when_started(start, stop)
    return create_api(client, system, settings, ServeRequestMeter(), lifespan)


def build(args: DoorSettings) -> Application:
    """The application of the HTTP door."""
    deployment = serve.deployment(
        serve.ingress(lambda: door(args))(),
        name="Door",
        max_ongoing_requests=256,
        health_check_period_s=2,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=60,
        ray_actor_options={"num_cpus": 0.25},
        autoscaling_config={"min_replicas": 1, "max_replicas": 1},
    )
    application: Application = deployment.bind()
    return application
