"""Anybody may write into the registry: what the doors are told of it is bounded."""

from redis.asyncio import Redis

from redis_bridge.external.gateway import LONGEST_NAME, MAX_WORKERS, ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.settings import BridgeSettings


def gateway_of(queues: list[str], configured: tuple[str, ...] = ()) -> ExternalGateway:
    """It is not started, so it asks no Redis."""
    settings = BridgeSettings(external_queues=configured)
    return ExternalGateway(ExternalJobStore(Redis(), settings), settings, lambda: dict.fromkeys(queues))


def test_the_doors_are_told_of_a_bounded_number_of_workers() -> None:
    names = [f"queue_{number:05d}" for number in range(MAX_WORKERS + 1)]
    workers = gateway_of(names[::-1]).workers()
    assert workers is not None
    assert [worker.queue for worker in workers] == names[:MAX_WORKERS]


def test_the_doors_are_not_told_of_a_queue_with_a_very_long_name() -> None:
    workers = gateway_of(["q" * LONGEST_NAME, "r" * (LONGEST_NAME + 1)]).workers()
    assert workers is not None
    assert [worker.queue for worker in workers] == ["q" * LONGEST_NAME]


def test_a_configured_worker_is_told_of_whatever_others_register() -> None:
    names = [f"queue_{number:05d}" for number in range(MAX_WORKERS + 1)]
    workers = gateway_of(names, configured=(names[-1],)).workers()
    assert workers is not None
    assert [worker.queue for worker in workers] == [*names[: MAX_WORKERS - 1], names[-1]]
