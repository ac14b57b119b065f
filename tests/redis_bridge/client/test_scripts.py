"""Scripts on a server that does not know their flag, as Redis 6.2: run as they always were."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.store.job_store import JobStore
from tests.redis_bridge.fakes import FAST, QUEUE


class RedisBefore7(Redis):
    """Answers as a server does that takes the first line of such a script for Lua."""

    refusals = 0

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "SCRIPT LOAD" and args[1].startswith("#!"):
            self.refusals += 1
            raise ResponseError("Error compiling script (new function): user_script:1: unexpected symbol near '#'")
        return await super().execute_command(*args, **options)


async def test_a_server_that_does_not_know_the_flag_runs_the_script_without_it(
    redis: Redis, valkey: ValkeyProcess
) -> None:
    await redis.script_flush()
    old = RedisBefore7.from_url(valkey.address)
    jobs = JobStore(old, "0123456789ab", FAST)
    await redis.rpush(QUEUE, "one", "two")
    taken = [each for _ in range(2) for each in await jobs.reserve(QUEUE, most=1, most_bytes=100)]
    assert [bytes(each.payload) for each in taken] == [b"one", b"two"]
    assert old.refusals == 1
    await redis.delete(*(each.lease.slot.key for each in taken))
    await old.aclose()
