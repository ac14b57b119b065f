"""Every Redis command on jobs: from the queue into a slot, and out of it in exactly one way. Knows no wire.

    reserve    BLMOVE queue -> slot
    begin      count the try, and look whether the answer key is free
    settle     the answer, then the slot goes: one transaction
    give_back  slot -> head of the queue
    bury       the answer, then slot -> dead letters: one script

All but `reserve` may be run twice. A job whose slot somebody else has meanwhile taken over is answered all the
same: delivery is at least once, and answers of one job are alike.
"""

import itertools
import time
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.keys import Slot
from redis_bridge.settings import BridgeSettings

GIVE_BACK = """
-- KEYS: slot, queue, attempts.  ARGV: 1 when the try does not count.  Moves every job, answers how many.
local moved = 0
while redis.call('EXISTS', KEYS[1]) == 1 do
  redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
  moved = moved + 1
end
if moved > 0 and ARGV[1] == '1' and redis.call('HEXISTS', KEYS[3], 'number') == 1 then
  redis.call('HINCRBY', KEYS[3], 'number', -1)
end
return moved
"""

BURY = """
-- KEYS: slot, answer, attempts, letters, letters seen.
-- ARGV: answer or '', its seconds, letter, letters kept, payloads kept, seconds kept, payload key prefix.
-- A slot that is gone was taken over: whoever has the job now answers it, perhaps better than we could.
if redis.call('EXISTS', KEYS[1]) == 1 then
  if ARGV[1] ~= '' then
    redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
  end
  local number = redis.call('INCR', KEYS[5])
  local payload = ARGV[7] .. (number % tonumber(ARGV[5]))
  redis.call('RENAME', KEYS[1], payload)
  redis.call('EXPIRE', payload, ARGV[6])
  redis.call('LPUSH', KEYS[4], '{"number":' .. number .. ',' .. string.sub(ARGV[3], 2))
  redis.call('LTRIM', KEYS[4], 0, ARGV[4] - 1)
  redis.call('EXPIRE', KEYS[4], ARGV[6])
  redis.call('DEL', KEYS[3])
end
"""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A job that lies in one of our slots. payload: its text."""

    slot: Slot
    payload: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a job. number: 1 for the first.  first_s: Unix time of the first try.
    can_be_answered: whether nothing but an answer stands under the job's id."""

    number: int
    first_s: float
    can_be_answered: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a job was given up. job_id: None when it has none that may be used."""

    job_id: str | None
    code: str
    message: str
    size_bytes: int


class JobStore:
    """The jobs in Redis, as one bridge sees them. Every method may raise what connection.TROUBLES lists."""

    def __init__(self, redis: Redis, bridge: str, settings: BridgeSettings) -> None:
        self._redis = redis
        self.bridge = bridge
        self._settings = settings
        self._numbers = itertools.count()
        self._held: set[str] = set()
        self._give_back = redis.register_script(GIVE_BACK)
        self._bury = redis.register_script(BURY)

    @property
    def holds_any(self) -> bool:
        """Whether any job lies in a slot of this bridge, as far as it knows."""
        return bool(self._held)

    def is_held(self, slot: Slot) -> bool:
        """Whether a job of this bridge lies, or may this moment arrive, in `slot`."""
        return slot.key in self._held

    async def reserve(self, queue: str) -> Reserved | None:
        """The oldest job of `queue`, moved into a new slot; None when none came within `longest_block_s`.

        When it raises, a job may lie in the slot all the same: `Presence.sweep` brings it back.
        """
        slot = Slot(queue, self.bridge, next(self._numbers))
        self._held.add(slot.key)
        payload: bytes | None = None
        try:
            # Typed for whole seconds and text; the server takes fractions, and answers are bytes.
            arrived: Any = await self._redis.blmove(
                queue,
                slot.key,
                self._settings.longest_block_s,  # type: ignore[arg-type]
                "LEFT",
                "RIGHT",
            )
            payload = arrived
        finally:
            if payload is None:
                self._held.discard(slot.key)
        return None if payload is None else Reserved(slot, payload)

    async def begin(self, slot: Slot, job_id: str) -> Attempt:
        """Counts a try. The count outlives this bridge, so that a job that kills it is known as such."""
        record = keys.attempts(slot.queue, job_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(record, "first_s", f"{time.time():.3f}")
            pipe.hincrby(record, "number", 1)
            pipe.hget(record, "first_s")
            pipe.expire(record, keys.ATTEMPTS_TTL_S)
            pipe.type(job_id)
            _, number, first_s, _, kind = await pipe.execute()
        return Attempt(number, float(first_s), kind in (b"none", b"string"))

    async def settle(self, slot: Slot, job_id: str, answer: bytes) -> None:
        """The answer appears and the slot goes, in this order and both or none."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(job_id, answer, ex=self._settings.result_ttl_s)
            pipe.delete(slot.key)
            pipe.delete(keys.attempts(slot.queue, job_id))
            await pipe.execute()
        self._held.discard(slot.key)

    async def give_back(self, slot: Slot, job_id: str | None, counts: bool = False) -> int:
        """The job is again the next of its queue. counts: whether the try was the job's own failure.

        Answers how many jobs were moved: 0 when somebody else has taken it over."""
        record = keys.attempts(slot.queue, job_id or "")
        moved = await self._give_back(keys=[slot.key, slot.queue, record], args=[0 if counts else 1])
        self._held.discard(slot.key)
        return int(moved)

    async def bury(self, slot: Slot, letter: DeadLetter, answer: bytes) -> None:
        """The job goes to the dead letters, with its reason; `answer` to its id, if it has one."""
        settings = self._settings
        has_answer = letter.job_id is not None
        text = orjson.dumps(
            {
                "time_s": round(time.time(), 3),
                "queue": slot.queue,
                "id": letter.job_id,
                "code": letter.code,
                "message": letter.message,
                "size_bytes": letter.size_bytes,
            }
        )
        answer_key = letter.job_id if letter.job_id is not None else ""
        await self._bury(
            keys=[
                slot.key,
                answer_key,
                keys.attempts(slot.queue, answer_key),
                keys.DEAD_LETTERS,
                keys.DEAD_LETTERS_SEEN,
            ],
            args=[
                answer if has_answer else b"",
                settings.result_ttl_s,
                text,
                settings.dead_letters,
                settings.dead_letter_payloads,
                settings.dead_letter_ttl_s,
                keys.DEAD_LETTER_PAYLOAD,
            ],
        )
        self._held.discard(slot.key)

    async def depth(self, queue: str) -> int:
        """Jobs that wait in `queue`. Raises WRONGTYPE as a RedisError when the key is no list."""
        return await self._redis.llen(queue)
