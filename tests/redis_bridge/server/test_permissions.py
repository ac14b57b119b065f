"""Servers that forbid what jobs need are refused at the start, in words, before a job has left its queue."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as blocking
from redis.asyncio import Redis

from redis_bridge.client.connection import connect
from redis_bridge.server.permissions import forbidden_commands
from redis_bridge.server.requirements import UnsupportedServer, refuse_unsupported
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import QUEUE, Client, eventually, is_dead
from tests.redis_bridge.redis_servers import VALKEY, server, wait_until_it_answers

FORBIDDEN = {
    "evalsha": "EVALSHA",
    "script": "SCRIPT LOAD",
    "blmove": "BLMOVE",
    "lmove": "LMOVE",
    "set": "SET",
    "expire": "EXPIRE",
    "rename": "RENAME",
    "watch": "WATCH",
    "multi": "MULTI and EXEC",
    "hset hdel": "HSET, HDEL",
}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server with a user for each row of FORBIDDEN, who may do all else, without INFO and without ACL."""
    port = free_port()
    users = [
        f"user {name_of(words)} on nopass ~* &* +@all -info -acl {' '.join('-' + word for word in words.split())}"
        for words in FORBIDDEN
    ]
    with server(tmp_path, f"port {port}", 'save ""', *users, executable=VALKEY):
        wait_until_it_answers(f"redis://127.0.0.1:{port}/0")
        yield port


def name_of(words: str) -> str:
    return f"without-{words.replace(' ', '-')}"


@pytest.mark.parametrize(("words", "named"), FORBIDDEN.items())
async def test_a_command_that_jobs_need_and_the_user_may_not_call_is_named(port: int, words: str, named: str) -> None:
    client = connect(f"redis://{name_of(words)}:x@127.0.0.1:{port}/0", longest_block_s=1)
    with pytest.raises(UnsupportedServer, match=rf"does not allow us to call {named}: .*ACL SETUSER"):
        await refuse_unsupported(client)
    await client.aclose()
    with blocking.Redis(port=port) as look:
        left = [key for key in look.keys("*") if look.ttl(key) == -1]
    assert left == []


async def test_where_scripts_are_forbidden_no_job_leaves_its_queue_and_the_health_check_says_why(
    port: int, start_bridge: StartBridge
) -> None:
    redis = connect(f"redis://127.0.0.1:{port}/0", longest_block_s=1)
    await Client(redis).push()

    async def serve() -> None:
        async with start_bridge(url=f"redis://without-evalsha:x@127.0.0.1:{port}/0") as bridge:
            await eventually(lambda: is_dead(bridge))
            assert not bridge.queues

    with pytest.raises(RuntimeError, match="does not allow us to call EVALSHA"):
        await serve()
    assert await redis.llen(QUEUE) == 1
    await redis.aclose()


async def test_a_server_that_allows_all_is_believed_and_nothing_is_left_there(redis: Redis) -> None:
    assert await forbidden_commands(redis) == []
    assert await redis.dbsize() == 0


async def test_a_full_server_forbids_nothing(redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)
    try:
        assert await forbidden_commands(redis) == []
    finally:
        await redis.config_set("maxmemory", 0)
