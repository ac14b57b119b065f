"""Whatever another program writes under any key that we read: other queues go on, the key is named, nothing spins."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.registry.encodings import JsonText
from redis_bridge.registry.json_members import members_of
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, eventually, legacy_answer, model

SECOND = "image_queue_second"
DEAD = "00000000dead"
RGB = (10, 20, 128)
SLOT = keys.Slot(QUEUE, DEAD, 7).key
MOST_SCANS = 4
"""At the start, for a death, once more, and again if a heartbeat overtakes it; an endless sweep scans each time."""


async def text(redis: Redis, key: str) -> None:
    await redis.set(key, b"\xff\x00 no text of ours")


async def number(redis: Redis, key: str) -> None:
    await redis.set(key, "9" * 30)


async def huge(redis: Redis, key: str) -> None:
    await redis.set(key, b"\x80" * 2_000_000)


async def utf16(redis: Redis, key: str) -> None:
    await redis.set(key, '{"a":{"model":"x"}}'.encode("utf-16-le"))


async def names(redis: Redis, key: str) -> None:
    await redis.sadd(key, b"\xff\xfe", b"", "bridge", "0" * 13, b"\x00" * 12, "9" * 10_000)


async def entries(redis: Redis, key: str) -> None:
    await redis.rpush(key, b"\xff", b"", b"{", b"null", "[" * 5000)


async def fields(redis: Redis, key: str) -> None:
    await redis.hset(key, mapping={b"\xff": b"\xff", b"": b"", "name": "[" * 5000, "n": '{"server": NaN}'})


async def scores(redis: Redis, key: str) -> None:
    await redis.zadd(key, {b"\xff": float("-inf"), "a": 9.0})


async def stream(redis: Redis, key: str) -> None:
    await redis.xadd(key, {"a": "b"})


Junk = Callable[[Redis, str], Awaitable[None]]
OTHERS = (text, names, entries, fields, scores, stream)

OWNED: list[tuple[str, Junk]] = [
    *((keys.BRIDGES, junk) for junk in OTHERS if junk is not names),
    *((keys.attempts(QUEUE), junk) for junk in OTHERS if junk is not fields),
    *((keys.DEAD_LETTERS, junk) for junk in OTHERS if junk is not entries),
    *((keys.DEAD_LETTERS_SEEN, junk) for junk in (*OTHERS, number)),
    *((keys.EXTERNAL_ASKED, junk) for junk in OTHERS if junk is not scores),
    *((keys.REGISTERED, junk) for junk in OTHERS if junk is not fields),
]
"""Keys of ours with what is no value of ours: moved out of the way and told."""

TAKEN_AS_THEY_COME: list[tuple[str, Junk]] = [
    (keys.BRIDGES, names),
    (keys.attempts(QUEUE), fields),
    (keys.DEAD_LETTERS, entries),
    (keys.EXTERNAL_ASKED, scores),
    *((keys.heartbeat(DEAD), junk) for junk in OTHERS),
    *((keys.DEAD_LETTER_PAYLOAD + "1", junk) for junk in OTHERS),
    *((FAST.registry_key, junk) for junk in (*OTHERS, huge, utf16)),
]
"""Where junk does no harm."""


async def all_goes_on(redis: Redis) -> None:
    """A job is answered, one buried, and one more answered after more heartbeats than there may be scans."""
    client = Client(redis)
    assert await client.answer(await client.push(RGB)) == legacy_answer(RGB)
    refused = await client.answer(await client.push(RGB, height="tall"))
    assert isinstance(refused, dict)
    await eventually(lambda: redis.exists(keys.DEAD_LETTER_PAYLOAD + "1"))
    beats = await heartbeats(redis)
    await eventually(lambda: has_beaten(redis, max(beats, MOST_SCANS) + 2))
    assert await client.answer(await client.push(RGB)) == legacy_answer(RGB)
    stats = await redis.info("commandstats")
    assert stats.get("cmdstat_scan", {"calls": 0})["calls"] <= MOST_SCANS


async def heartbeats(redis: Redis) -> int:
    """How often a bridge has written, since the counters were reset."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_smembers", {"calls": 0})["calls"])


async def has_beaten(redis: Redis, times: int) -> bool:
    return await heartbeats(redis) >= times


@pytest.mark.parametrize(("key", "junk"), OWNED)
async def test_what_is_not_ours_under_a_key_of_ours_is_moved_away_and_named(
    redis: Redis, start_bridge: StartBridge, caplog: pytest.LogCaptureFixture, key: str, junk: Junk
) -> None:
    await junk(redis, key)
    await redis.config_resetstat()
    with caplog.at_level(logging.WARNING):
        async with start_bridge():
            await eventually(lambda: redis.exists(keys.set_aside(key)))
            await all_goes_on(redis)
    told = [record.getMessage() for record in caplog.records if f" under {key};" in record.getMessage()]
    assert len(told) == 1
    assert await redis.ttl(keys.set_aside(key)) > 0


@pytest.mark.parametrize(("key", "junk"), TAKEN_AS_THEY_COME)
async def test_junk_under_any_other_key_harms_nobody(
    redis: Redis, start_bridge: StartBridge, caplog: pytest.LogCaptureFixture, key: str, junk: Junk
) -> None:
    await junk(redis, key)
    before = await redis.dump(key)
    await redis.config_resetstat()
    with caplog.at_level(logging.WARNING):
        async with start_bridge():
            await all_goes_on(redis)
    assert len(caplog.records) <= 3
    if key == FAST.registry_key:
        assert await redis.dump(key) == before
    await redis.delete(key)


async def has_failed(redis: Redis, times: int) -> bool:
    """Whether so many takes of jobs were refused, since the counters were reset."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_lmove", {"failed_calls": 0})["failed_calls"]) >= times


@pytest.mark.parametrize("junk", [junk for junk in OTHERS if junk is not entries])
async def test_a_queue_that_is_no_list_keeps_no_other_waiting_and_is_served_when_it_is_one(
    redis: Redis, start_bridge: StartBridge, catalogue: FakeCatalogue, caplog: pytest.LogCaptureFixture, junk: Junk
) -> None:
    catalogue.shown = (model("a", QUEUE), model("b", SECOND))
    await junk(redis, SECOND)
    await redis.config_resetstat()
    with caplog.at_level(logging.WARNING):
        async with start_bridge() as bridge:
            await eventually(lambda: "queue image_queue_second could not be read" in caplog.text)
            await eventually(lambda: has_failed(redis, 6))
            await all_goes_on(redis)
            assert SECOND in bridge.queues
            await redis.delete(SECOND)
            second = Client(redis, SECOND)
            assert await second.answer(await second.push(RGB)) == legacy_answer(RGB)
    assert caplog.text.count("could not be read") == 1


@pytest.mark.parametrize("junk", OTHERS)
@pytest.mark.parametrize("key", [keys.trial(DEAD), keys.attempts(QUEUE), SLOT])
async def test_the_job_of_a_dead_bridge_is_taken_over_whatever_stands_beside_it(
    redis: Redis, start_bridge: StartBridge, key: str, junk: Junk
) -> None:
    client = Client(redis)
    job_id = await client.push(RGB)
    if key != SLOT:
        await redis.lmove(QUEUE, SLOT, "LEFT", "RIGHT")
    await junk(redis, key)
    await redis.sadd(keys.BRIDGES, DEAD)
    await redis.config_resetstat()
    async with start_bridge():
        assert await client.answer(job_id) == legacy_answer(RGB)
        await all_goes_on(redis)
    await redis.delete(key, SLOT)


DEEP = "[" * 300 + "]" * 300
FOREIGN = {
    "image_queue_big": '{"model": "coral", "trained_on": 12345678901234567890123, "seed": -9223372036854775808}',
    "image_queue_deep": f'{{"model": {DEEP}, "description": {DEEP}, "bridge": {DEEP}}}',
    "image_queue_nan": '{"model": "coral", "score": NaN,   "sp\\u0061ced" : [ 1.10, 1e400 ] }',
    "image_queue_text": '"a \\" , } text"',
    "image_queue_false": "false",
    "image_queue_claims": f'{{"server": "fathomnet", "of": {{"server": "fathomnet-serve", "x": {DEEP}}}}}',
}


@pytest.mark.parametrize("kind", ["json", "hash"])
async def test_an_entry_of_somebody_else_is_kept_byte_for_byte(
    redis: Redis, start_bridge: StartBridge, kind: str
) -> None:
    if kind == "json":
        await redis.set(
            FAST.registry_key, "{" + ",\n ".join(f'"{name}" : {raw}' for name, raw in FOREIGN.items()) + "}"
        )
    else:
        await redis.hset(FAST.registry_key, mapping=FOREIGN)
    await redis.config_resetstat()
    async with start_bridge() as bridge:
        await eventually(lambda: bridge.queues)
        await all_goes_on(redis)
        external = bridge.external_queues()
        assert external is not None
        assert set(FOREIGN) == set(external)
    if kind == "json":
        found = {member.name: member.value.decode() for member in members_of(await redis.get(FAST.registry_key))}
    else:
        raw: dict[bytes, bytes] = await redis.hgetall(FAST.registry_key)
        found = {name.decode(): value.decode() for name, value in raw.items()}
    assert found == FOREIGN


async def test_our_own_entry_that_names_no_bridge_goes_and_a_deep_one_does_not_stop_us(
    redis: Redis, start_bridge: StartBridge
) -> None:
    for number, bridge in enumerate(("null", DEEP, "7", '"\\ud800"')):
        queue = f"image_queue_{number}"
        await redis.hset(FAST.registry_key, queue, f'{{"server": "fathomnet-serve", "bridge": {bridge}}}')
    await redis.config_resetstat()
    async with start_bridge():
        await eventually(lambda: is_listed(redis, QUEUE))
        await all_goes_on(redis)
        assert await redis.hkeys(FAST.registry_key) == [QUEUE.encode()]


async def is_listed(redis: Redis, queue: str) -> bool:
    return bool(await redis.hexists(FAST.registry_key, queue))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' { "a" : 1 } ',
        '{"a":{"b":[1,{"c":"}"}]},"d":"\\\\","e":[],"f":{}}',
        '{"a":1,"a":2}',
        '{"\\u0061,{}": "x:y", "": ""}',
        json.dumps({"quote": 'a "b": {c}', "list": [[], [[]], {}], "none": None}),
    ],
)
def test_an_object_is_taken_apart_into_its_members(text: str) -> None:
    members = members_of(text.encode())
    pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    assert [(member.name, json.loads(member.value, object_pairs_hook=list)) for member in members] == pairs
    joined = b"{" + b",".join(member.text for member in members) + b"}"
    assert json.loads(joined) == json.loads(text)


async def test_a_name_that_stands_twice_in_the_registry_of_somebody_else_stays_twice(redis: Redis) -> None:
    await redis.set(FAST.registry_key, '{"a": 1, "a": 2, "ours": {}}')
    encoding = JsonText()
    async with redis.pipeline() as pipe:
        await pipe.watch(FAST.registry_key)
        content = await encoding.read(pipe, FAST.registry_key)
        pipe.multi()  # type: ignore[no-untyped-call]
        encoding.write(pipe, FAST.registry_key, content, {"new": b'{"x":1}'}, ["ours"])
        await pipe.execute()
    assert await redis.get(FAST.registry_key) == b'{"a":1,"a":2,"new":{"x":1}}'
