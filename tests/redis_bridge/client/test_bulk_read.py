"""Large jobs that are read straight from the socket: whole, in order, and without losing an answer's place."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from redis_bridge import keys
from redis_bridge.client.bulk_read import BulkReader
from redis_bridge.client.connection import REDIS_ERRORS, connect_bulk
from redis_bridge.delivery.reservation import LARGE_JOB_BYTES
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import QUEUE, Client, legacy_answer

SLOT = f"{QUEUE}:inflight:0123456789ab:0"
RECORDS = keys.attempts(QUEUE)


@pytest.fixture
def transfer(valkey: ValkeyProcess) -> Iterator[BulkReader]:
    with connect_bulk(valkey.address, longest_block_s=1) as opened:
        yield opened


@pytest.mark.parametrize("size_bytes", [0, 1, 4000, 4093, 4096, 5000, 3 * 2**20])
async def test_a_job_is_moved_whole(redis: Redis, transfer: BulkReader, size_bytes: int) -> None:
    text = os.urandom(size_bytes)
    await redis.rpush(QUEUE, text, b"next")
    assert await asyncio.to_thread(transfer.move, QUEUE, SLOT, RECORDS) == (text, False)
    assert await redis.lrange(SLOT, 0, -1) == [text]
    assert await redis.lrange(QUEUE, 0, -1) == [b"next"]
    await redis.delete(SLOT)


async def test_an_empty_queue_and_a_queue_with_records_are_told(redis: Redis, transfer: BulkReader) -> None:
    assert await asyncio.to_thread(transfer.move, QUEUE, SLOT, RECORDS) == (None, False)
    await redis.hset(RECORDS, "x", "1 2.000")
    await redis.expire(RECORDS, 60)
    assert await asyncio.to_thread(transfer.move, QUEUE, SLOT, RECORDS) == (None, True)


async def test_an_error_of_the_server_leaves_no_answer_behind(redis: Redis, transfer: BulkReader) -> None:
    await redis.set(QUEUE, "no list")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await asyncio.to_thread(transfer.move, QUEUE, SLOT, RECORDS)
    await redis.delete(QUEUE)
    await redis.rpush(QUEUE, b"job")
    assert await asyncio.to_thread(transfer.move, QUEUE, SLOT, RECORDS) == (b"job", False)
    await redis.delete(SLOT)


async def test_a_server_that_is_away_is_an_error_like_any_other() -> None:
    with (
        connect_bulk(f"redis://127.0.0.1:{free_port()}/0", longest_block_s=1) as away,
        pytest.raises(REDIS_ERRORS),
    ):
        await asyncio.to_thread(away.move, QUEUE, SLOT, RECORDS)


@pytest.mark.parametrize("answer", [b"", b"$10\r\nhalf", b"$3\r\njob\r\n", b":1\r\n", b"*2\r\n"])
def test_a_connection_that_breaks_within_an_answer_is_an_error(answer: bytes) -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connected, _ = server.accept()
            with connected:
                asked.append(connected.recv(4096))
                connected.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        client = BlockingRedis.from_url(url, protocol=2, driver_info=None, socket_timeout=5, retry=None)
        with pytest.raises(RedisError):
            BulkReader(client).move(QUEUE, SLOT, RECORDS)
        client.close()
        serving.join(5)
    assert b"LMOVE" in asked[0]


async def test_large_and_small_jobs_of_a_queue_are_answered_each_with_its_own_picture(
    client: Client, start_bridge: StartBridge
) -> None:
    sides_px = [4, 300, 301, 4, 302, 4, 4, 303]
    assert LARGE_JOB_BYTES < 300 * 300 * 12
    colours = [(number + 1, 20, 128) for number in range(len(sides_px))]
    ids = [await client.push(colour, side_px) for colour, side_px in zip(colours, sides_px, strict=True)]
    async with start_bridge():
        answers = [await client.answer(job_id) for job_id in ids]
    assert answers == [legacy_answer(colour) for colour in colours]
