"""A Redis that is away, full, or holds something else under a queue: told in time, and used again after."""

from redis.asyncio import Redis

from deployments.errors import ModelUnavailable, Overloaded
from deployments.external import ExternalWorker, record_of
from deployments.prediction import Opaque
from redis_bridge import keys
from redis_bridge.client.connection import connect
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.external.gateways import CORAL, gateway_at, request
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.legacy_workers import detections, worker


async def test_a_queue_that_is_no_list_is_an_error_at_once(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.set(CORAL, "text", ex=60)
    answer = await gateway.ask(CORAL, request())
    assert isinstance(answer, ModelUnavailable)
    assert "no job could be put into queue image_queue_coral" in answer.message
    await redis.delete(keys.EXTERNAL_ASKED)


async def test_redis_away_is_said_in_time_and_it_goes_on_after(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    async with gateway_at(own_valkey.address) as gateway:
        own_valkey.stop()
        answer = await gateway.ask(CORAL, request(deadline_s=1.0))
        assert isinstance(answer, ModelUnavailable)
        assert "cannot be reached" in first_worker(gateway).reason
        assert not record_of(first_worker(gateway)).can_answer
        own_valkey.start()
        client = connect(own_valkey.address, longest_block_s=1)
        async with worker(client, CORAL, detections):
            await eventually(lambda: is_answered(gateway), within_s=10)
        assert first_worker(gateway).reason == ""
        await client.aclose()


def first_worker(gateway: ExternalGateway) -> ExternalWorker:
    workers = gateway.workers()
    assert workers
    return workers[0]


async def is_answered(gateway: ExternalGateway) -> bool:
    return isinstance(await gateway.ask(CORAL, request()), Opaque)


async def test_a_server_that_is_full_refuses_the_job(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    client = connect(own_valkey.address, longest_block_s=1)
    await client.config_set("maxmemory", "1000")
    async with gateway_at(own_valkey.address) as gateway:
        answer = await gateway.ask(CORAL, request())
        assert isinstance(answer, Overloaded)
        assert "memory of the queues is full" in answer.message
    await client.aclose()
