"""Only known queues, real pictures, and as many jobs and bytes as may wait."""

import asyncio

from redis.asyncio import Redis

from deployments.errors import DeadlineExceeded, ImageTooLarge, InvalidImage, ModelNotFound, Overloaded
from deployments.prediction import Opaque
from redis_bridge.admission.limits import ByteReservation, InFlightBytes
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.external.gateways import CORAL, SETTINGS, gateway_at, length_is, nothing_left, png, request
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.legacy_workers import detections, worker


async def test_only_known_queues_are_written_to(gateway: ExternalGateway, redis: Redis) -> None:
    assert isinstance(await gateway.ask("image_queue_nobody", request()), ModelNotFound)
    assert await nothing_left(redis)


async def test_wrong_pictures_never_reach_a_worker(gateway: ExternalGateway, redis: Redis) -> None:
    assert isinstance(await gateway.ask(CORAL, request(file=b"no picture")), InvalidImage)
    assert isinstance(await gateway.ask(CORAL, request(file=png((300, 300)))), ImageTooLarge)
    assert await nothing_left(redis)


async def test_pictures_and_texts_wait_for_room_in_the_budget_of_the_bridge(
    valkey: ValkeyProcess, redis: Redis
) -> None:
    budget = InFlightBytes(1000)
    others = ByteReservation(budget, 1000)
    async with gateway_at(valkey.address, in_flight=budget) as gateway, worker(redis, CORAL, detections) as taken:
        late = await gateway.ask(CORAL, request(deadline_s=0.2))
        assert isinstance(late, DeadlineExceeded)
        asked = asyncio.create_task(gateway.ask(CORAL, request()))
        others.release()
        assert isinstance(await asked, Opaque)
        assert len(taken) == 1
    assert budget.held_bytes == 0


async def test_more_than_may_wait_are_refused(valkey: ValkeyProcess, redis: Redis) -> None:
    async with gateway_at(valkey.address, SETTINGS.model_copy(update={"max_external_jobs": 2})) as gateway:
        asked = [asyncio.create_task(gateway.ask(CORAL, request())) for _ in range(2)]
        await eventually(lambda: length_is(redis, CORAL, 2))
        refused = await gateway.ask(CORAL, request())
        assert isinstance(refused, Overloaded)
        async with worker(redis, CORAL, detections):
            assert all(isinstance(answer, Opaque) for answer in await asyncio.gather(*asked))
            assert isinstance(await gateway.ask(CORAL, request()), Opaque)
