"""The liveness of a bridge, without the bridge."""

from redis.asyncio import Redis

from redis_bridge.client.clock import SteadyClock
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.liveness import Liveness
from tests.redis_bridge.fakes import FAST

BRIDGE = "0123456789ab"


def liveness(
    redis: Redis, taken_over: list[tuple[str, int]] | None = None, clock: SteadyClock | None = None
) -> Liveness:
    moved = taken_over if taken_over is not None else []
    jobs = JobStore(redis, BRIDGE, FAST)
    return Liveness(redis, jobs, FAST, clock or steady_clock(), lambda queue, count: moved.append((queue, count)))


def steady_clock() -> SteadyClock:
    return SteadyClock(jump_s=FAST.takeover_after_s / 2, settle_s=FAST.takeover_after_s)
