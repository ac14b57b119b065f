"""From a job's text to what can be tried, in threads: several small texts in one go. Knows no model."""

import asyncio
import time
from collections.abc import Collection, Sequence

from deployments.errors import ServingError
from redis_bridge import metrics
from redis_bridge.delivery.context import Door
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.settlement import Settlement
from redis_bridge.wire import job_format
from redis_bridge.wire.job_format import Job, Malformed, Referenced, WireLimits
from redis_bridge.wire.json_fields import Payload
from redis_bridge.wire.profiles import QueueProfile


class JobDecoder:
    """Reads the jobs of one queue. Those that nobody can try come to their end here."""

    def __init__(self, queue: str, door: Door, endings: Settlement) -> None:
        self._queue = queue
        self._door = door
        self._endings = endings
        self._profile = door.settings.profile_of(queue)
        self._limits = WireLimits(door.settings.max_job_bytes)

    async def read(self, group: Sequence[LeasedJob]) -> list[tuple[LeasedJob, Job]]:
        """The jobs of `group` that can be tried. The texts are dropped as they are read."""
        started_s = time.perf_counter()
        texts = [_text_of(held) for held in group]
        parsed = await asyncio.get_running_loop().run_in_executor(
            self._door.threads, _parse_each, texts, self._limits, self._door.taken_keys(), self._profile
        )
        while texts:
            self._door.jobs.forget(texts.pop())
        for held in group:
            held.text_hold.release()
        self._door.recorder.record(metrics.DECODE_SECONDS, time.perf_counter() - started_s, self._queue)
        readable: list[tuple[LeasedJob, Job]] = []
        for held, one in zip(group, parsed, strict=True):
            held.job_id, held.done_list = one.job_id, one.done_list
            job = await self._with_picture(held, one) if isinstance(one, Referenced) else one
            if isinstance(job, Job):
                held.job = job
                held.hold.resize(job.image.nbytes)
                readable.append((held, job))
            elif isinstance(job, Malformed):
                held.hold.resize(0)
                await self._endings.dead_letter(held, job.error)
        return readable

    def name_unread(self, held: LeasedJob) -> None:
        """Finds the id of a job whose text is better not read, as it may be what kills bridges."""
        assert held.payload is not None
        held.job_id = job_format.id_at_the_front(held.payload, self._door.taken_keys(), self._profile)
        held.payload = None

    async def _with_picture(self, held: LeasedJob, job: Referenced) -> Job | Malformed | None:
        """None where the work was abandoned, and the job has been given back."""
        most_bytes = self._limits.image.max_encoded_bytes

        async def fetch() -> tuple[bytes | ServingError | None]:
            return (await self._door.jobs.picture(job.image_key, most_bytes),)

        fetched = await self._endings.until_done(fetch)
        if fetched is None:
            await self._endings.requeue(held)
            return None
        complete = job_format.with_picture(job, fetched[0], self._limits, self._profile)
        if isinstance(complete, Job):
            await self._endings.is_done(lambda: self._door.jobs.let_expire(job.image_key))
        return complete


def _parse_each(
    texts: Sequence[Payload], limits: WireLimits, taken_keys: Collection[str], profile: QueueProfile
) -> list[Job | Referenced | Malformed]:
    return [job_format.parse_job(text, limits, taken_keys, profile) for text in texts]


def _text_of(held: LeasedJob) -> Payload:
    text, held.payload = held.payload, None
    assert text is not None
    return text
