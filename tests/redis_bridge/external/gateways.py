"""Requests to external workers, a gateway on a real Valkey, and what is left there after."""

import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any

import PIL.Image
from redis.asyncio import Redis

from deployments.external import ExternalRequest, Task
from deployments.request import Image
from redis_bridge.admission.limits import InFlightBytes
from redis_bridge.client.connection import connect
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.settings import BridgeSettings

CORAL = "image_queue_coral"
SAM = "image_queue_sam"
SETTINGS = BridgeSettings(external_queues=(CORAL, SAM), max_job_bytes=2**20)


def png(size_px: tuple[int, int] = (8, 6), colour: tuple[int, int, int] = (10, 20, 30)) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size_px, colour).save(buffer, "PNG")
    return buffer.getvalue()


def request(
    task: Task = Task.PREDICT, file: bytes | None = None, deadline_s: float = 5.0, prompts: Any = None
) -> ExternalRequest:
    return ExternalRequest(task, Image.from_encoded(png() if file is None else file), deadline_s, prompts)


@contextlib.asynccontextmanager
async def gateway_at(
    url: str, settings: BridgeSettings = SETTINGS, in_flight: InFlightBytes | None = None
) -> AsyncIterator[ExternalGateway]:
    client = connect(url, longest_block_s=1)
    queues = dict.fromkeys(settings.external_queues)
    gateway = ExternalGateway(ExternalJobStore(client, settings), settings, lambda: queues, in_flight=in_flight)
    gateway.start()
    try:
        yield gateway
        gateway.check()
    finally:
        await gateway.stop()
        await client.aclose()


async def keys_left(redis: Redis) -> set[str]:
    return {key.decode() async for key in redis.scan_iter()}


async def nothing_left(redis: Redis) -> bool:
    return not await keys_left(redis)


async def length_is(redis: Redis, queue: str, length: int) -> bool:
    return await redis.llen(queue) == length
