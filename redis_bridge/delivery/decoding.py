"""From a job's payload to what its model can be asked, in threads: several small payloads in one go."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from deployments.errors import ServingError
from deployments.watching.watch import Watch, current
from redis_bridge import metrics
from redis_bridge.delivery.leased_job import DecodedJob, JobClient, LeasedJob
from redis_bridge.delivery.served_queue import RedisRetry, ServedQueue
from redis_bridge.store.job_store import JobStore
from redis_bridge.wire import job_format
from redis_bridge.wire.encoding_contract import Payload
from redis_bridge.wire.job_format import Job, Malformed, Referenced, WireLimits
from redis_bridge.wire.profiles import QueueProfile


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The work was abandoned before the job's image had been read from Redis."""


class JobDecoder:
    """Decodes the jobs of one queue, and ends none of them."""

    def __init__(
        self,
        queue: ServedQueue,
        jobs: JobStore,
        retry: RedisRetry,
        threads: Executor,
        taken_keys: Callable[[], Collection[str]],
    ) -> None:
        """taken_keys: Redis keys that no answer may overwrite."""
        self._queue = queue
        self._jobs = jobs
        self._retry = retry
        self._threads = threads
        self._taken_keys = taken_keys
        self._limits = WireLimits(queue.settings.max_job_bytes)
        self._watch = current()

    async def decode(self, group: Sequence[LeasedJob]) -> list[tuple[LeasedJob, DecodedJob | Malformed | Abandoned]]:
        """What each job of `group` turned out to be, in order. Their payloads are dropped as they are decoded."""
        started_s = time.perf_counter()
        payloads = [leased.take_payload() for leased in group]
        parsed = await asyncio.get_running_loop().run_in_executor(
            self._threads, _parse_each, payloads, self._limits, self._taken_keys(), self._queue.profile
        )
        while payloads:
            self._jobs.forget(payloads.pop())
        for leased in group:
            leased.claims.prefetched.release()
        self._queue.record(metrics.DECODE_SECONDS, time.perf_counter() - started_s)
        return [(leased, await self._decoded(leased, one)) for leased, one in zip(group, parsed, strict=True)]

    def identify(self, leased: LeasedJob) -> None:
        """Finds only the id of a job whose payload is better not decoded, as that may be what kills bridges."""
        job_id = job_format.id_at_the_front(leased.take_payload(), self._taken_keys(), self._queue.profile)
        leased.client = JobClient(job_id)

    async def _decoded(
        self, leased: LeasedJob, parsed: Job | Referenced | Malformed
    ) -> DecodedJob | Malformed | Abandoned:
        leased.client = JobClient(parsed.job_id, parsed.done_list)
        found = await self._with_image(parsed) if isinstance(parsed, Referenced) else parsed
        if isinstance(found, Job):
            leased.claims.memory.resize(found.image.nbytes)
            if self._watch is not None:
                found = _traced(self._watch, self._queue.name, leased, found)
            return DecodedJob(leased, found)
        leased.claims.memory.release()
        return found

    async def _with_image(self, job: Referenced) -> Job | Malformed | Abandoned:
        most_bytes = self._limits.image.max_encoded_bytes

        async def fetch() -> tuple[bytes | ServingError | None]:
            return (await self._jobs.image(job.image_key, most_bytes),)

        fetched = await self._retry.until_done(fetch)
        if fetched is None:
            return Abandoned()
        complete = job_format.with_image(job, fetched[0], self._limits, self._queue.profile)
        if isinstance(complete, Job):
            await self._retry.is_done(lambda: self._jobs.let_expire(job.image_key))
        return complete


def _parse_each(
    payloads: Sequence[Payload], limits: WireLimits, taken_keys: Collection[str], profile: QueueProfile
) -> list[Job | Referenced | Malformed]:
    return [job_format.parse_job(payload, limits, taken_keys, profile) for payload in payloads]


def _traced(watch: Watch, queue: str, leased: LeasedJob, job: Job) -> Job:
    """`job`, as a part of the trace that begins with it if it is sampled."""
    leased.span = watch.begin(f"job {queue}", None, leased.origin)
    return replace(job, traceparent=watch.traceparent_of(leased.span))
