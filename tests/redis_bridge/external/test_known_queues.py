"""Which queues belong to external workers: those of the settings and of the registry, never guessed."""

from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.errors import ModelNotFound, ModelUnavailable
from deployments.external import WholeCatalogue, record_of
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.external.gateways import CORAL, SAM, SETTINGS, request
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, eventually, legacy_answer, model


async def test_before_the_registry_has_been_read_nobody_is_told_that_there_is_no_worker(redis: Redis) -> None:
    known: dict[str, None] | None = None
    gateway = ExternalGateway(ExternalJobStore(redis, SETTINGS), SETTINGS, lambda: known)
    gateway.start()
    assert gateway.workers() is None
    assert isinstance(await gateway.ask(CORAL, request()), ModelUnavailable)
    known = {}
    assert gateway.workers() == ()
    assert isinstance(await gateway.ask(CORAL, request()), ModelNotFound)
    await gateway.stop()


async def test_a_bridge_that_has_not_reached_redis_knows_of_no_queue(
    own_valkey: ValkeyProcess, start_bridge: StartBridge
) -> None:
    async with start_bridge(url=own_valkey.address) as bridge:
        assert bridge.external_queues() is None
        own_valkey.start()
        await eventually(lambda: bridge.external_queues() == {}, within_s=10)


async def test_queues_of_others_are_known_to_the_bridge_and_left_alone(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(MODEL, QUEUE, CORAL, "image_queue_by_hand"),)
    await redis.hset(FAST.registry_key, CORAL, '{"model": "coral worker"}')
    await redis.hset(FAST.registry_key, "no: queue of ours", "{}")
    settings = FAST.model_copy(update={"external_queues": ("image_queue_by_hand",)})
    await redis.rpush(CORAL, b"1", b"2")
    async with start_bridge(settings=settings) as bridge:
        await eventually(lambda: bridge.queues == {QUEUE})
        await eventually(lambda: bridge.waiting == {QUEUE: 0, CORAL: 2, "image_queue_by_hand": 0})
        assert bridge.external_queues() == {"image_queue_by_hand": None, CORAL: {"model": "coral worker"}}
        assert not await redis.hexists(FAST.registry_key, "image_queue_by_hand")
        assert await client.answer(await client.push((1, 2, 64))) == legacy_answer((1, 2, 64))
        await redis.delete(CORAL)
        await redis.hdel(FAST.registry_key, CORAL)
        await eventually(lambda: bridge.queues == {QUEUE, CORAL})
        assert bridge.external_queues() == {"image_queue_by_hand": None}


def test_the_catalogue_shows_external_workers_beside_our_models(gateway_workers: tuple[Any, ...]) -> None:
    own = FakeCatalogue(model(MODEL, QUEUE, CORAL))
    records = tuple(record_of(worker) for worker in gateway_workers)
    whole = WholeCatalogue(own, lambda: records)
    assert [(record.name, record.is_external) for record in whole.records()] == [
        (MODEL, False),
        (CORAL, True),
        (SAM, True),
    ]
    assert whole.resolve(CORAL).is_external  # The registry's word counts more than our model's list of queues.
    assert not whole.resolve(QUEUE).is_external
    hidden = WholeCatalogue(FakeCatalogue(model(CORAL, QUEUE)), lambda: records)
    assert not hidden.resolve(CORAL).is_external
    assert [record.name for record in hidden.records()] == [CORAL, SAM]


@pytest.fixture
def gateway_workers(gateway: ExternalGateway) -> tuple[Any, ...]:
    return gateway.workers()
