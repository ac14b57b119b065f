"""Dead letters: kept within bounds, listed, shown, and replayed with their whole job."""

import asyncio
import json

import pytest
from redis.asyncio import Redis

from deployments.errors import InvalidImage
from redis_bridge import keys
from redis_bridge.__main__ import main
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, eventually, legacy_answer

Captured = pytest.CaptureFixture[str]


async def run(valkey: ValkeyProcess, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["dead-letters", "--url", valkey.address, *arguments])


async def dead_letter(client: Client, predict: FakeModel, *colours: tuple[int, int, int]) -> list[str]:
    """Jobs that the model refuses, one after the other."""
    ids = []
    for colour in colours:
        predict.errors = [InvalidImage("the image is damaged")]
        ids.append(await client.push(colour))
        await client.answer(ids[-1])
    return ids


async def test_a_dead_letter_is_listed_shown_and_replayed(
    client: Client, predict: FakeModel, start_bridge: StartBridge, valkey: ValkeyProcess, capsys: Captured
) -> None:
    async with start_bridge():
        [job_id] = await dead_letter(client, predict, (7, 8, 64))
        assert await run(valkey, "list") == 0
        listed = capsys.readouterr().out
        for word in ("1  20", QUEUE, job_id, "invalid-image", "the image is damaged"):
            assert word in listed
        assert await run(valkey, "show", "1") == 0
        assert f'"id": "{job_id}"' in capsys.readouterr().out
        assert await run(valkey, "replay", "1") == 0
        assert await client.answer(job_id) == legacy_answer((7, 8, 64))
        assert await run(valkey, "list") == 0
        assert job_id not in capsys.readouterr().out
        assert await run(valkey, "replay", "1") == 1
        assert "no dead letter with number 1" in capsys.readouterr().err


async def test_letters_and_their_jobs_are_bounded(
    redis: Redis,
    client: Client,
    predict: FakeModel,
    start_bridge: StartBridge,
    valkey: ValkeyProcess,
    capsys: Captured,
) -> None:
    settings = FAST.model_copy(update={"dead_letters": 4, "dead_letter_payloads": 2})
    async with start_bridge(settings):
        ids = await dead_letter(client, predict, *((number + 1, 1, 64) for number in range(6)))
        entries = [json.loads(raw) for raw in await redis.lrange(keys.DEAD_LETTERS, 0, -1)]
        assert [entry["id"] for entry in entries] == ids[:1:-1]
        assert [entry["number"] for entry in entries] == [6, 5, 4, 3]
        kept = [key async for key in redis.scan_iter(match=f"{keys.DEAD_LETTER_PAYLOAD}*")]
        assert len(kept) == 2
        assert await run(valkey, "--payloads", "2", "replay", "4") == 1
        assert "not kept any more" in capsys.readouterr().err
        assert await run(valkey, "--payloads", "2", "show", "4") == 0
        assert "not kept any more" in capsys.readouterr().out
        assert await run(valkey, "--payloads", "2", "replay", "all") == 0
        assert "2 more are only listed: their jobs are not kept any more" in capsys.readouterr().out
        for number in (4, 5):
            assert await client.answer(ids[number]) == legacy_answer((number + 1, 1, 64))
        await eventually(lambda: has_length(redis, 2))


async def test_the_kept_jobs_are_bounded_in_bytes(
    redis: Redis, client: Client, start_bridge: StartBridge, valkey: ValkeyProcess, capsys: Captured
) -> None:
    settings = FAST.model_copy(update={"dead_letter_payload_bytes": 2500, "max_job_bytes": 2000})
    sizes = [1000, 500, 1000, 3000, 900, 2400]
    kept_after = [[1], [1, 2], [1, 2, 3], [1, 2, 3], [2, 3, 5], [6]]
    await redis.rpush(keys.DEAD_LETTERS, b'{"number":7}', b"not a letter")
    async with start_bridge(settings):
        for number, (size_bytes, kept) in enumerate(zip(sizes, kept_after, strict=True), start=1):
            await redis.rpush(QUEUE, b"x" * size_bytes)
            await eventually(lambda: has_length(redis, number + 2))  # noqa: B023
            found = [key async for key in redis.scan_iter(match=f"{keys.DEAD_LETTER_PAYLOAD}*")]
            assert sorted(int(key.rpartition(b":")[2]) for key in found) == kept
    assert await run(valkey, "replay", "4") == 1
    assert "dead_letter_payload_bytes" in capsys.readouterr().err


async def has_length(redis: Redis, count: int) -> bool:
    return await redis.llen(keys.DEAD_LETTERS) == count


async def test_a_job_without_an_id_is_a_letter_and_its_bytes_are_kept_as_they_were(
    redis: Redis, start_bridge: StartBridge, valkey: ValkeyProcess, capsys: Captured
) -> None:
    await redis.rpush(QUEUE, b"\xff not json \x00")
    async with start_bridge():
        await eventually(lambda: has_length(redis, 1))
    assert await redis.lindex(f"{keys.DEAD_LETTER_PAYLOAD}1", 0) == b"\xff not json \x00"
    assert await run(valkey, "list") == 0
    assert "  -  " in capsys.readouterr().out


async def test_a_job_that_is_not_text_does_not_steer_the_terminal(
    redis: Redis, start_bridge: StartBridge, valkey: ValkeyProcess, capsys: Captured
) -> None:
    await redis.rpush(QUEUE, b"\x82\xa2id\xa3\x1b[2J\xff\r\nnew line")
    async with start_bridge():
        await eventually(lambda: has_length(redis, 1))
    assert await run(valkey, "show", "1") == 0
    assert capsys.readouterr().out.endswith("\n\\x82\\xa2id\\xa3\\x1b[2J\\xff\\r\nnew line\n")


async def test_a_redis_that_is_away_is_one_line_without_the_password(capsys: Captured) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    assert await asyncio.to_thread(main, ["dead-letters", "--url", url, "list"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "secret" not in complaint


async def test_malformed_jobs_of_many_kinds_never_stop_the_loop(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    hostile = [b"", b"[]", b"{", b'{"id": "a"', b"null", b"\xff", b"[" * 50_000, b'{"id": 7}', b'{"id": "ok-1"}']
    await redis.rpush(QUEUE, *hostile)
    async with start_bridge() as bridge:
        assert await client.answer(await client.push((7, 8, 64))) == legacy_answer((7, 8, 64))
        await eventually(lambda: has_length(redis, len(hostile)))
        answer = await client.answer("ok-1")
        assert isinstance(answer, dict)
        assert answer["error"]["code"] == "invalid-request"
        await client.answer("a")
        bridge.check()


async def test_what_somebody_else_put_into_the_list_hides_no_letter(
    redis: Redis, start_bridge: StartBridge, client: Client, valkey: ValkeyProcess, capsys: Captured
) -> None:
    async with start_bridge():
        await client.answer(await client.push(height="tall"))
    for entry in (b"\xff", b"", "[" * 5000, "null", '{"number": "one"}', '{"number": 1}'):
        await redis.lpush(keys.DEAD_LETTERS, entry)
    assert await asyncio.to_thread(main, ["dead-letters", "--url", valkey.address, "list"]) == 0
    assert capsys.readouterr().out.count("invalid-request") == 1
    await redis.delete(keys.DEAD_LETTERS)
