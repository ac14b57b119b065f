"""The embedded Valkey as an application: `import_path: redis_bridge.embedded:build`. Wiring only.

One replica watches over one server process on a one-node cluster. The replica may be killed and replaced: the
server lives on and is adopted. Stopping the system stops the server, after the bridge, which holds a handle.
"""

import asyncio
import logging
import os
from pathlib import Path

import ray
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application

from deployments.definition import Settings
from deployments.logs import OWN_LOGGER
from deployments.process.replica_process import prepare_replica_process
from deployments.process.state_folder import default_state_folder
from redis_bridge.server.valkey_configuration import half_of_memory_bytes
from redis_bridge.server.valkey_process import HOST, ValkeyError, ValkeyProcess, ValkeySettings
from redis_bridge.settings import REDIS_URL_VARIABLE

logger = logging.getLogger(OWN_LOGGER)

USER_CONFIG: dict[str, type[BaseModel]] = {}
"""No deployment of this application has a `user_config`."""


class EmbeddedSettings(Settings):
    """Where the embedded Valkey listens and keeps its data."""

    port: int = Field(default=6379, ge=1, le=65535)
    """TCP port on 127.0.0.1."""

    data_folder: str | None = None
    """Folder of its files; None for `valkey` under FATHOM_DATA_DIR, or under the user's state folder."""

    maxmemory_bytes: int | None = Field(default=None, ge=0)
    """From this size on, clients are refused; None for half of the memory, 0 for no limit."""

    start_timeout_s: float = Field(default=60.0, gt=0)
    """How long loading the append-only file may take at start."""


def ports(args: EmbeddedSettings) -> dict[str, tuple[str, int]]:
    """Setting -> host and port that must be free before the start; none when our own server holds it already."""
    if os.environ.get(REDIS_URL_VARIABLE) or _process(args).answers():
        return {}
    return {"port": (HOST, args.port)}


@serve.deployment(
    name="Valkey",
    num_replicas=1,
    ray_actor_options={"num_cpus": 0},
    graceful_shutdown_wait_loop_s=0.1,
    graceful_shutdown_timeout_s=30,
    health_check_period_s=2,
    health_check_timeout_s=90,
)
class ValkeyDeployment:
    """Starts, adopts, watches and stops the server."""

    async def __init__(self, settings: EmbeddedSettings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        prepare_replica_process()
        self._process: ValkeyProcess | None = None
        if os.environ.get(REDIS_URL_VARIABLE):
            logger.info("%s is set: the embedded Valkey is not started", REDIS_URL_VARIABLE)
            return
        refuse_many_nodes(sum(node["Alive"] for node in ray.nodes()))
        process = _process(settings)
        was_started = await asyncio.to_thread(process.start)
        self._process = process
        logger.info("%s the embedded Valkey at %s", "started" if was_started else "adopted", process.address)

    async def address(self) -> str:
        """The URL of the server. Raises ValkeyError when REDIS_URL is used instead."""
        if self._process is None:
            raise ValkeyError(f"the embedded Valkey does not run, as {REDIS_URL_VARIABLE} is set")
        return self._process.address

    async def check_health(self) -> None:
        """Starts the server again when it has died; raises when that fails."""
        if self._process is None or await asyncio.to_thread(self._process.answers):
            return
        logger.error("the embedded Valkey does not answer")
        if await asyncio.to_thread(self._process.start):
            logger.warning("the embedded Valkey had died and was started again")

    async def __del__(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)
            logger.info("the embedded Valkey is saved and stopped")


def build(args: EmbeddedSettings) -> Application:
    """The application of the embedded Valkey."""
    application: Application = ValkeyDeployment.bind(args)  # type: ignore[attr-defined]  # the decorator is untyped
    return application


def _process(args: EmbeddedSettings) -> ValkeyProcess:
    folder = Path(args.data_folder).expanduser().resolve() if args.data_folder else default_folder()
    limit_bytes = half_of_memory_bytes() if args.maxmemory_bytes is None else args.maxmemory_bytes
    return ValkeyProcess(ValkeySettings(args.port, folder, limit_bytes, args.start_timeout_s))


def default_folder() -> Path:
    """Where the data lie: `valkey` under FATHOM_DATA_DIR, or under this user's state folder."""
    base = os.environ.get("FATHOM_DATA_DIR")
    if base:
        return Path(base).expanduser().resolve() / "valkey"
    return default_state_folder(os.environ).expanduser().resolve() / "valkey"


def refuse_many_nodes(nodes: int) -> None:
    """Raises ValkeyError when the cluster has more than one node: the others could not reach the server."""
    if nodes > 1:
        raise ValkeyError(
            f"the embedded Valkey works on one node only and this cluster has {nodes}; "
            f"run a Redis or Valkey server and set {REDIS_URL_VARIABLE}"
        )
