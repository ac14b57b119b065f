"""Large jobs that wait go to the model together, and none is lost when reading a later one fails."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from redis_bridge.client.buffers import Buffers
from redis_bridge.client.bulk_read import BulkReader
from redis_bridge.delivery.reservation import GROUP_BYTES, LARGE_GROUP_BYTES, PREFETCH_BYTES
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, Client, FakeModel, legacy_answer

SIDE_PX = 512
JOB_BYTES = SIDE_PX * SIDE_PX * 3 * 4 * 4 // 3


async def push(client: Client, count: int) -> list[str]:
    return [await client.push((number + 1, 20, 128), SIDE_PX) for number in range(count)]


async def all_answered(client: Client, ids: list[str]) -> None:
    for number, job_id in enumerate(ids):
        assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 20, 128))


async def test_large_jobs_that_wait_share_a_call(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    assert GROUP_BYTES < JOB_BYTES < LARGE_GROUP_BYTES / 8
    ids = await push(client, 8)
    async with start_bridge():
        await all_answered(client, ids)
    # The first shows that jobs are large here.
    assert (predict.calls, predict.asked) == (2, 8)


async def test_a_group_of_large_jobs_is_bounded_in_bytes(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    most = -(-LARGE_GROUP_BYTES // JOB_BYTES)
    ids = await push(client, 1 + most + 1)
    async with start_bridge():
        await all_answered(client, ids)
    assert (predict.calls, predict.asked) == (3, len(ids))


async def test_texts_that_were_read_make_room_for_the_next(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    ids = await push(client, PREFETCH_BYTES // JOB_BYTES + 5)
    async with start_bridge():
        await all_answered(client, ids)
    assert predict.asked == len(ids)


async def test_no_more_is_read_than_may_be_in_flight(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    ids = await push(client, 9)
    async with start_bridge(FAST.model_copy(update={"max_in_flight_bytes": 2 * JOB_BYTES})):
        await all_answered(client, ids)
    # The first, then at most two at a time.
    assert predict.calls >= 5


class Stumbling(BulkReader):
    """Fails at the third job."""

    def __init__(self, inner: BulkReader) -> None:
        super().__init__(inner._client)
        self.moves = 0

    def move(self, queue: str, slot: str, records: str) -> tuple[memoryview | None, bool]:
        self.moves += 1
        if self.moves == 3:
            raise RedisConnectionError("Redis went away")
        return super().move(queue, slot, records)


async def test_those_read_before_an_error_are_answered(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    ids = await push(client, 5)
    async with start_bridge(wrap=Stumbling):
        await all_answered(client, ids)
    assert (predict.calls, predict.asked) == (3, 5)


def test_memory_is_used_again_and_its_old_text_can_be_read_no_more() -> None:
    buffers = Buffers()
    text = buffers.take(1000)
    text[:] = b"x" * 1000
    whole = text.obj
    buffers.release(text)
    with pytest.raises(ValueError, match="released"):
        text.tobytes()
    again = buffers.take(900)
    assert again.obj is whole
    assert len(again) == 900
    assert buffers.spare_bytes == 0


def test_much_larger_memory_is_left_for_larger_texts() -> None:
    buffers = Buffers()
    buffers.release(buffers.take(1000))
    assert len(buffers.take(100)) == 100
    assert buffers.spare_bytes == 1000


def test_spare_memory_is_bounded() -> None:
    buffers = Buffers(spare_bytes=2500)
    for text in [buffers.take(1000) for _ in range(4)]:
        buffers.release(text)
    assert buffers.spare_bytes == 2000
