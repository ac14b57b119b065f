"""Every Redis command on jobs: from the queue into a slot, which is a lease, and out of it in exactly one way.

    reserve        the jobs that wait, up to a number and a size, each into a slot of its own: one script
    reserve_large  the next one, read in a thread
    reserve_next   BLMOVE queue -> slot, for a queue that was empty
    ack            the answers, then the slots go: one script
    requeue        slots -> head of the queue, or its end: one script
    dead_letter    the answer, then slot -> dead letters: one script

A Redis that is full refuses LMOVE and BLMOVE, but lets scripts through: then jobs are reserved by `reserve` alone.
All but the first three may be run twice. A job that another bridge has reclaimed is answered all the same: delivery
is at least once, and answers of one job are alike.
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deployments.errors import ImageTooLarge, InvalidRequest, ServingError
from redis_bridge import keys
from redis_bridge.client.bulk_read import BulkReader
from redis_bridge.client.connection import is_full
from redis_bridge.client.scripts import Script
from redis_bridge.keys import Slot
from redis_bridge.settings import BridgeSettings
from redis_bridge.store import job_scripts
from redis_bridge.store.leases import AckResult, DeadLetter, DeadLetterResult, JobAnswer, Lease, Reserved
from redis_bridge.store.retry_records import RetryRecord, fingerprint, record_from
from redis_bridge.wire.encoding_contract import Payload

FULL_POLL_INTERVAL_S = 0.02
"""How often the queue is polled while Redis is full and refuses blocking reads."""


class JobStore:
    """The jobs in Redis, as one bridge sees them. Every method may raise what connection.REDIS_ERRORS lists."""

    def __init__(
        self,
        redis: Redis,
        bridge: str,
        settings: BridgeSettings,
        bulk: BulkReader | None = None,
        waiting: Redis | None = None,
    ) -> None:
        self._redis = redis
        self._waiting = redis if waiting is None else waiting
        self._bulk = bulk
        self.bridge = bridge
        self._settings = settings
        self._numbers = itertools.count()
        self._held: set[str] = set()
        self._reserve = Script(redis, job_scripts.RESERVE)
        self._ack = Script(redis, job_scripts.ACK)
        self._requeue = Script(redis, job_scripts.REQUEUE)
        self._dead_letter = Script(redis, job_scripts.DEAD_LETTER)
        self._announce = Script(redis, job_scripts.ANNOUNCE)
        self._remember = Script(redis, job_scripts.REMEMBER)
        self._begin_trial = Script(redis, job_scripts.BEGIN_TRIAL)
        self._end_trial = Script(redis, job_scripts.END_TRIAL)

    @property
    def holds_any(self) -> bool:
        """Whether any job lies in a slot of this bridge, as far as it knows."""
        return bool(self._held)

    def is_held(self, slot: Slot) -> bool:
        """Whether a job of this bridge lies, or may this moment arrive, in `slot`."""
        return slot.key in self._held

    async def reserve(self, queue: str, most: int, most_bytes: int) -> list[Reserved]:
        """The oldest jobs of `queue`, at most `most`, each moved into a new slot; none when none wait.

        No more are taken once they have `most_bytes` together: the last may go beyond. When it raises, jobs may lie
        in the slots all the same: `Liveness.sweep_if_due` brings them back.
        """
        slots = [self._new_slot(queue) for _ in range(most)]
        payloads: list[bytes] = []
        try:
            script_keys = [queue, keys.attempts(queue), *(slot.key for slot in slots)]
            has_records, payloads = await self._reserve(keys=script_keys, args=[most_bytes])
        finally:
            self._held.difference_update(slot.key for slot in slots[len(payloads) :])
        return await self._reserved(slots, payloads, bool(has_records))

    async def reserve_large(self, queue: str) -> list[Reserved]:
        """The oldest job of `queue`, moved into a new slot and read in a thread; none when none waits, or where this
        bridge has no connections for it. The same goes for errors as in `reserve`."""
        if self._bulk is None:
            return []
        slot = self._new_slot(queue)
        payload: memoryview | None = None
        try:
            payload, has_records = await asyncio.to_thread(self._bulk.move, queue, slot.key, keys.attempts(queue))
        except ResponseError as error:
            if not is_full(error):
                raise
            return await self.reserve(queue, most=1, most_bytes=1)
        finally:
            if payload is None:
                self._held.discard(slot.key)
        return [] if payload is None else await self._reserved([slot], [payload], has_records)

    def forget(self, payload: Payload) -> None:
        """The memory of a payload that has been decoded is used for a later one."""
        if self._bulk is not None and isinstance(payload, memoryview):
            self._bulk.reuse(payload)

    async def reserve_next(self, queue: str) -> list[Reserved]:
        """The next job of `queue`, moved into a new slot; none when none came within `longest_block_s`.

        When it raises, a job may lie in the slot all the same, until `Liveness.sweep_if_due` requeues it."""
        slot = self._new_slot(queue)
        payload: bytes | None = None
        try:
            async with self._waiting.pipeline(transaction=False) as pipe:
                # Typed for whole seconds and text; the server takes fractions, and answers are bytes.
                block_s: Any = self._settings.longest_block_s
                pipe.blmove(queue, slot.key, block_s, "LEFT", "RIGHT")
                pipe.exists(keys.attempts(queue))
                payload, has_records = await pipe.execute()
        except ResponseError as error:
            if not is_full(error):
                raise
            await asyncio.sleep(FULL_POLL_INTERVAL_S)
            return await self.reserve(queue, most=1, most_bytes=1)
        finally:
            if payload is None:
                self._held.discard(slot.key)
        return [] if payload is None else await self._reserved([slot], [payload], bool(has_records))

    async def ack(self, answers: Sequence[JobAnswer]) -> list[AckResult]:
        """The answers to jobs of one queue appear and their slots go, all in one."""
        queue = answers[0].lease.slot.queue
        script_keys = [keys.attempts(queue)]
        arguments: list[Any] = [self._settings.result_ttl_of(queue)]
        for answer in answers:
            script_keys += [answer.lease.slot.key, answer.key]
            arguments += [answer.text, answer.lease.fingerprint if answer.lease.record else ""]
        results = [AckResult(result) for result in await self._ack(keys=script_keys, args=arguments)]
        for answer, result in zip(answers, results, strict=True):
            if result is not AckResult.KEY_IS_TAKEN:
                self._held.discard(answer.lease.slot.key)
        return results

    async def announce(self, queue: str, wishes: Sequence[tuple[str, str]]) -> None:
        """Pushes the key of each answer to its client's list. wishes: list, key."""
        done_lists, answer_keys = zip(*wishes, strict=True)
        await self._announce(keys=done_lists, args=[self._settings.result_ttl_of(queue), *answer_keys])

    async def remember(self, lease: Lease) -> None:
        """Remembers the job's record, so that it outlives this bridge."""
        if lease.record is None:
            return
        key = keys.attempts(lease.slot.queue)
        await self._remember(keys=[key], args=[lease.fingerprint, lease.record.text(), keys.ATTEMPTS_TTL_S])

    async def requeue(self, jobs: Sequence[Lease], to_end: bool = False) -> int:
        """Jobs of one queue, oldest first, are again its next ones, or its last, and their records are remembered.

        Returns how many jobs were moved; those that another bridge has reclaimed are not."""
        queue = jobs[0].slot.queue
        ordered = jobs if to_end else list(reversed(jobs))
        arguments: list[Any] = ["RIGHT" if to_end else "LEFT", keys.ATTEMPTS_TTL_S]
        for each in ordered:
            arguments += (each.fingerprint, each.record.text()) if each.record else ("", "")
        script_keys = [queue, keys.attempts(queue), *(each.slot.key for each in ordered)]
        moved = await self._requeue(keys=script_keys, args=arguments)
        self._held.difference_update(each.slot.key for each in jobs)
        return int(moved)

    async def dead_letter(self, lease: Lease, letter: DeadLetter, answer: JobAnswer | None) -> DeadLetterResult:
        """The job becomes a dead letter; `answer` goes to its client, if that can be reached. May be run twice."""
        settings, queue = self._settings, lease.slot.queue
        fields = {
            "time_s": letter.time_s,
            "queue": queue,
            "id": letter.job_id,
            "code": letter.code,
            "message": letter.message,
            "size_bytes": letter.size_bytes,
        }
        letters = [keys.DEAD_LETTERS, keys.DEAD_LETTERS_SEEN]
        done, *dropped_letters = await self._dead_letter(
            keys=[lease.slot.key, answer.key if answer else "", keys.attempts(queue), *letters],
            args=[
                answer.text if answer else b"",
                settings.result_ttl_of(queue),
                orjson.dumps(fields),
                settings.dead_letters,
                settings.dead_letter_payloads,
                settings.dead_letter_ttl_s,
                keys.DEAD_LETTER_PAYLOAD,
                lease.fingerprint,
                settings.dead_letter_payload_bytes,
            ],
        )
        self._held.discard(lease.slot.key)
        return DeadLetterResult(done > 0, done > 1, dropped_letters)

    async def image(self, key: str, most_bytes: int) -> bytes | ServingError | None:
        """What lies under a key that a job names: an image file, nothing, or why it is not read."""
        try:
            size_bytes = await self._redis.strlen(key)
            if size_bytes > most_bytes:
                return ImageTooLarge(f"the image under {key!r} has {size_bytes} bytes, the limit is {most_bytes}")
            # Typed as if it might be text; answers are bytes.
            content: Any = await self._redis.get(key)
        except ResponseError:
            return InvalidRequest(f"the key {key!r} does not hold an image file")
        return bytes(content) if content is not None else None

    async def let_expire(self, image_key: str) -> None:
        """An image without expiry, as old clients write them, is kept for as long as an answer."""
        if await self._redis.ttl(image_key) == -1:
            await self._redis.expire(image_key, self._settings.result_ttl_s)

    async def begin_trial(self, slot: Slot) -> None:
        """From now on the death of this bridge is the fault of the job in `slot`, or of another on trial."""
        await self._begin_trial(keys=[keys.trial(self.bridge)], args=[slot.key, keys.ATTEMPTS_TTL_S])

    async def end_trial(self, slot: Slot) -> None:
        """The job in `slot` is not to blame any more."""
        await self._end_trial(keys=[keys.trial(self.bridge)], args=[slot.key, keys.ATTEMPTS_TTL_S])

    def _new_slot(self, queue: str) -> Slot:
        slot = Slot(queue, self.bridge, next(self._numbers))
        self._held.add(slot.key)
        return slot

    async def _reserved(self, slots: list[Slot], payloads: Sequence[Payload], has_records: bool) -> list[Reserved]:
        names = [fingerprint(payload) for payload in payloads]
        records: list[RetryRecord | None] = [None] * len(names)
        if has_records and names:
            try:
                texts: Any = await self._redis.hmget(keys.attempts(slots[0].queue), names)
            except ResponseError:
                # Something else stands where the records should, until `OwnKeys` moves it. The jobs go on without.
                texts = [None] * len(names)
            except BaseException:
                self._held.difference_update(slot.key for slot in slots)
                raise
            records = [record_from(text) for text in texts]
        leases = [Lease(*each) for each in zip(slots[: len(payloads)], names, records, strict=True)]
        return [Reserved(*each) for each in zip(leases, payloads, strict=True)]
