"""A Redis that has reached its memory limit and evicts nothing, while producers go on trying: it is drained."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from redis_bridge.client.connection import connect
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import QUEUE, FakeModel, eventually
from tests.redis_bridge.redis_servers import REDIS, VALKEY, server, wait_until_it_answers

MAX_BYTES = 16 * 2**20
PRODUCERS = 4
WITHIN_S = 20


@pytest.fixture(params=[VALKEY, REDIS], ids=["valkey", "redis"])
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a server with little memory."""
    if request.param is None:
        pytest.skip("no redis-server on this machine")
    port = free_port()
    lines = (f"port {port}", f"maxmemory {MAX_BYTES}", "maxmemory-policy noeviction", 'save ""')
    with server(tmp_path, *lines, executable=request.param):
        address = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers(address)
        yield address


def job(number: int, side_px: int) -> tuple[str, str]:
    """Id and text."""
    image = base64.b64encode(np.zeros((side_px, side_px, 3), np.float32).tobytes()).decode()
    name = f"job-{number}"
    return name, json.dumps({"id": name, "image": image, "height": side_px, "width": side_px})


class Producers:
    """Impatient ones: each pushes its jobs one after the other, again and again until they are taken."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.refused = 0

    async def push(self, texts: list[tuple[str, str]]) -> None:
        for _, text in texts:
            while not await self._is_taken(text):
                self.refused += 1
                await asyncio.sleep(0.001)

    async def _is_taken(self, text: str) -> bool:
        with contextlib.suppress(OutOfMemoryError):
            return await self._redis.rpush(QUEUE, text) > 0
        return False


@pytest.mark.parametrize(("side_px", "jobs"), [(60, 1200), (240, 80)], ids=["small", "large"])
async def test_a_full_redis_is_drained_while_producers_try_again_and_again(
    full: str, side_px: int, jobs: int, predict: FakeModel, start_bridge: StartBridge
) -> None:
    redis = connect(full, longest_block_s=1)
    texts = [job(number, side_px) for number in range(jobs)]
    assert sum(len(text) for _, text in texts) > 2 * MAX_BYTES

    producers = Producers(redis)
    pushing = [asyncio.ensure_future(producers.push(texts[number::PRODUCERS])) for number in range(PRODUCERS)]
    await eventually(lambda: producers.refused > 50)
    # A bridge that comes only now, as after a crash.
    async with start_bridge(url=full):
        await eventually(lambda: all_answered(redis, [name for name, _ in texts]), within_s=WITHIN_S)
    await asyncio.gather(*pushing)
    assert predict.asked >= jobs
    await redis.aclose()


async def all_answered(redis: Redis, names: list[str]) -> bool:
    return int(await redis.exists(*names)) == len(names)
