"""The bridge as a whole: consumers that follow the catalogue of models, the heartbeat and the registry entries."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping

from deployments.catalogue import Catalogue, ModelRecord
from deployments.client.protocols import Predict
from deployments.definition import is_valid_name
from deployments.logs import OWN_LOGGER
from deployments.process.background_task import check_running
from redis_bridge import metrics
from redis_bridge.admission.limits import InFlightBytes
from redis_bridge.client.clock import SteadyClock
from redis_bridge.client.connection import REDIS_ERRORS, Connections, pause
from redis_bridge.delivery.assembly import Delivery
from redis_bridge.delivery.consumer import Consumer
from redis_bridge.delivery.model_calls import Models
from redis_bridge.metrics import NoRecorder, Recorder
from redis_bridge.registry.model_registry import Entry, Registry, entry_of
from redis_bridge.server.requirements import refuse_unsupported
from redis_bridge.server.watch import RedisWatch
from redis_bridge.settings import BridgeSettings
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.key_repair import OwnKeys
from redis_bridge.store.liveness import Liveness
from redis_bridge.store.queue_depths import queue_depths

logger = logging.getLogger(OWN_LOGGER)

POLL_INTERVAL_S = 0.2


class Bridge:
    """One bridge, from `start` to `stop`. Several may run side by side on one Redis."""

    def __init__(
        self,
        connections: Connections,
        predict: Predict,
        catalogue: Catalogue,
        settings: BridgeSettings,
        recorder: Recorder | None = None,
    ) -> None:
        self.bridge_id = secrets.token_hex(6)
        redis, vital = connections.redis, connections.vital or connections.redis
        self._redis = redis
        self._settings = settings
        self._recorder = recorder or NoRecorder()
        self._jobs = JobStore(redis, self.bridge_id, settings, connections.bulk, connections.waiting)
        clock = SteadyClock(jump_s=settings.takeover_after_s / 2, settle_s=settings.takeover_after_s)
        self._liveness = Liveness(vital, self._jobs, settings, clock, self._on_reclaimed)
        self._own_keys = OwnKeys(vital)
        self._registry = Registry(redis, settings.registry_key, self.bridge_id, self._liveness.is_alive)
        self._watch = RedisWatch(vital, self.bridge_id, settings.heartbeat_s, lambda: len(self._consumers))
        self._models = Models(predict, catalogue, settings)
        self._delivery = Delivery(self._models, self._jobs, self._liveness, settings, self._recorder)
        self._consumers: dict[str, Consumer] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        # Not of `BackgroundTask`, whose stop cancels: a cancellation inside a Redis command may be swallowed.
        self._loops: list[asyncio.Task[None]] = []
        self._stop_following = asyncio.Event()
        self._stop_watching = asyncio.Event()
        self._foreign: Mapping[str, Entry | None] | None = None
        self._registered: dict[str, Entry] = {}
        self._registered_at_s = float("-inf")
        self.waiting: Mapping[str, int] | None = None
        """Queue -> jobs that wait in it, as of the last heartbeat; None when that is not known."""

    @property
    def queues(self) -> frozenset[str]:
        """The queues that have a consumer now."""
        return frozenset(self._consumers)

    @property
    def in_flight(self) -> InFlightBytes:
        """The byte budget of the bridge, shared with the gateway to external workers."""
        return self._delivery.memory

    @property
    def redis_reason(self) -> str:
        """Why Redis would accept no job or no answer now; '' when all is well."""
        return self._watch.reason

    def waiting_for(self, model: str) -> int | None:
        """Jobs that wait in Redis for this model, as of the last heartbeat; None when that is not known."""
        return self._models.waiting.get(model)

    def external_queues(self) -> Mapping[str, Entry | None] | None:
        """The queues that external workers serve, by the configuration or by the registry: queue -> entry; None until
        the registry has been read. Names that a queue cannot have are left out."""
        if self._foreign is None:
            return None
        named = {queue: entry for queue, entry in self._foreign.items() if is_valid_name(queue)}
        return dict.fromkeys(self._settings.external_queues) | named

    def start(self) -> None:
        """Begins, in the background; Redis may still be away."""
        unused = self._settings.profiles.keys() - self._models_by_queue()
        if unused:
            logger.warning("there are profiles for queues that no model has now: %s", ", ".join(sorted(unused)))
        loop = asyncio.get_running_loop()
        self._loops = [
            loop.create_task(self._follow(), name="bridge's watch over the models"),
            loop.create_task(self._beat(), name="bridge's heartbeat"),
            loop.create_task(self._sweep(), name="bridge's sweep of leases"),
            loop.create_task(self._keep_measuring(), name="bridge's measuring of its queues"),
            loop.create_task(self._watch.run(self._stop_watching), name="bridge's watch over Redis"),
        ]

    def check(self) -> None:
        """Raises RuntimeError when a loop has died, for a health check. Redis may be away."""
        if not self._stop_following.is_set():
            for loop in self._loops:
                check_running(loop)
        for consumer in self._consumers.values():
            consumer.check()

    async def stop(self, drain_s: float) -> None:
        """Leaves the registry, reserves nothing more, and requeues what is in flight after `drain_s` seconds."""
        self._stop_following.set()
        if self._loops:
            await asyncio.wait(self._loops[:1])
        with contextlib.suppress(*REDIS_ERRORS):
            await self._registry.withdraw()
        await asyncio.gather(*(consumer.stop(drain_s) for consumer in self._consumers.values()))
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=drain_s)
        # Only now: other bridges must not reclaim what is still being finished here.
        self._stop_watching.set()
        if self._loops:
            await asyncio.wait(self._loops)
        with contextlib.suppress(*REDIS_ERRORS):
            await self._liveness.leave(leaves_jobs=self._jobs.holds_any)
        self._delivery.close()

    async def _beat(self) -> None:
        while not self._stop_watching.is_set():
            pause_s = self._settings.heartbeat_s
            try:
                await self._liveness.beat()
            except REDIS_ERRORS as error:
                self._delivery.errors.note("the heartbeat did not reach Redis", error)
                pause_s = POLL_INTERVAL_S
            # After the beat, which must not wait for it; also when it failed, as one of these keys may be why.
            with contextlib.suppress(*REDIS_ERRORS):
                await self._own_keys.repair(list(self._consumers), self.bridge_id)
            await pause(pause_s, self._stop_watching)

    async def _keep_measuring(self) -> None:
        while not self._stop_watching.is_set():
            try:
                await self._measure()
            except REDIS_ERRORS as error:
                self._models.waiting, self.waiting = {}, None
                self._delivery.errors.note("the queues could not be measured", error)
            await pause(self._settings.heartbeat_s, self._stop_watching)

    async def _sweep(self) -> None:
        while not self._stop_watching.is_set():
            try:
                await self._liveness.sweep_if_due()
            except REDIS_ERRORS as error:
                self._delivery.errors.note("the leases could not be swept", error)
            await pause(POLL_INTERVAL_S, self._stop_watching)

    async def _measure(self) -> None:
        self._recorder.record(metrics.IN_FLIGHT_BYTES, self._delivery.memory.held_bytes)
        waiting_for: Counter[str] = Counter()
        consumers = dict(self._consumers)
        depths = await queue_depths(self._redis, [*consumers, *(self.external_queues() or {})])
        self.waiting = depths
        for queue, consumer in consumers.items():
            self._recorder.record(metrics.IN_FLIGHT, consumer.in_flight, queue)
            self._recorder.record(metrics.PARKED, consumer.parked, queue)
            if (waiting := depths.get(queue)) is not None:
                self._recorder.record(metrics.QUEUE_DEPTH, waiting, queue)
                self._recorder.record(metrics.OLDEST_JOB_SECONDS, consumer.oldest_s(waiting), queue)
                if model := self._models.find(queue):
                    waiting_for[model.name] += waiting
        self._models.waiting = dict(waiting_for)

    async def _follow(self) -> None:
        is_supported = False
        while not self._stop_following.is_set():
            models = self._models_by_queue()
            try:
                if not is_supported:
                    await refuse_unsupported(self._redis)
                    is_supported = True
                await self._register({queue: entry_of(queue, model) for queue, model in models.items()})
            except REDIS_ERRORS as error:
                self._delivery.errors.note("the registry could not be refreshed", error)
            if self._foreign is not None:
                self._set_consumers(set(models), frozenset(self._foreign))
            await pause(POLL_INTERVAL_S, self._stop_following)

    async def _register(self, entries: dict[str, Entry]) -> None:
        """Writes entries that have changed at once, and all at every heartbeat."""
        is_due = time.monotonic() - self._registered_at_s >= self._settings.heartbeat_s
        if entries == self._registered and not is_due:
            return
        self._foreign = await self._registry.refresh(entries)
        self._registered, self._registered_at_s = entries, time.monotonic()
        external = self._settings.external_queues
        self._delivery.taken_keys = frozenset({self._settings.registry_key, *entries, *self._foreign, *external})

    def _set_consumers(self, queues: set[str], foreign: frozenset[str]) -> None:
        for queue in queues - foreign - self._consumers.keys():
            logger.info("taking jobs of queue %s, profile %s", queue, self._settings.profile_of(queue).preset)
            self._consumers[queue] = self._delivery.consumer(queue)
            self._consumers[queue].start()
        for queue, consumer in list(self._consumers.items()):
            # A queue whose model has gone keeps its consumer until those who wait there have been answered.
            if queue in foreign or (queue not in queues and consumer.is_finished):
                logger.info("taking no more jobs of queue %s", queue)
                del self._consumers[queue]
                leaving = asyncio.get_running_loop().create_task(consumer.stop(self._settings.job_deadline_s))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    def _models_by_queue(self) -> dict[str, ModelRecord]:
        external = self._settings.external_queues
        return {queue: model for queue, model in self._models.by_queue().items() if queue not in external}

    def _on_reclaimed(self, queue: str, jobs: int) -> None:
        self._recorder.record(metrics.RECLAIMED, jobs, queue)
