"""Heartbeats of bridges, and the reclaiming of leases of bridges that died.

A bridge lives as long as its heartbeat key. A lease whose bridge has no heartbeat is reclaimed by whichever bridge
sees it first: its job goes back to the head of its queue, as a suspect. Check and move are one script, so that two
bridges cannot double a job and a lease of a living bridge is never touched.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deployments.logs import OWN_LOGGER
from redis_bridge import keys
from redis_bridge.client.clock import SteadyClock
from redis_bridge.client.connection import REDIS_ERRORS
from redis_bridge.client.scripts import Script
from redis_bridge.keys import Slot
from redis_bridge.settings import BridgeSettings
from redis_bridge.store import job_scripts
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.key_repair import OwnKeys
from redis_bridge.store.leases import Lease

logger = logging.getLogger(OWN_LOGGER)

_SCAN_COUNT = 1000


class Liveness:
    """One bridge's heartbeat, and its watch over the leases of dead bridges."""

    def __init__(
        self,
        redis: Redis,
        jobs: JobStore,
        settings: BridgeSettings,
        clock: SteadyClock,
        on_reclaimed: Callable[[str, int], None],
    ) -> None:
        """on_reclaimed: called with a queue and the number of its jobs."""
        self._redis = redis
        self._bridge = jobs.bridge
        self._jobs = jobs
        self._settings = settings
        self._on_reclaimed = on_reclaimed
        self.clock = clock
        """The time of the server, as the heartbeats show it."""
        self._beat = Script(redis, job_scripts.BEAT)
        self._reclaim = Script(redis, job_scripts.RECLAIM)
        self._own_keys = OwnKeys(redis)
        self._server: str | None = None
        self._dead: set[str] = set()
        self._beat_at_s = float("-inf")
        self._swept_at_s = float("-inf")

    @property
    def is_sure(self) -> bool:
        """Whether other bridges certainly still see this one as alive; only then it reserves jobs."""
        return time.monotonic() - self._beat_at_s < self._settings.takeover_after_s / 2

    def sweep_soon(self) -> None:
        """Makes the next `sweep_if_due` due: there may be a lease of ours that we do not know of."""
        self._swept_at_s = float("-inf")

    async def beat(self) -> None:
        """Renews our heartbeat, and sees whose has expired. Raises what connection.REDIS_ERRORS lists."""
        started_s = time.monotonic()
        bridges, (seconds, microseconds) = await self._beat(
            keys=[keys.heartbeat(self._bridge), keys.BRIDGES],
            args=[int(self._settings.takeover_after_s * 1000), self._bridge],
        )
        self._beat_at_s = started_s
        if self.clock.observe(int(seconds) + int(microseconds) / 1e6, started_s):
            logger.warning("the clock of Redis was set; nothing is reclaimed from other bridges for a while")
        others = {keys.bridge_from_member(member) for member in bridges} - {self._bridge, None}
        self._dead = await self._without_heartbeat([bridge for bridge in others if bridge])
        await self._remove([member for member in bridges if keys.bridge_from_member(member) is None])
        await self._check_server()

    async def _without_heartbeat(self, bridges: list[str]) -> set[str]:
        """Those of `bridges` that are dead; asked for together."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for bridge in bridges:
                pipe.exists(keys.heartbeat(bridge))
            living = await pipe.execute() if bridges else []
        return {bridge for bridge, lives in zip(bridges, living, strict=True) if not lives}

    async def _remove(self, strange: list[bytes]) -> None:
        """Members of the set of bridges that no bridge has written."""
        if strange:
            logger.warning("%s had %d members that are not bridges: removed", keys.BRIDGES, len(strange))
            await self._redis.srem(keys.BRIDGES, *strange[:_SCAN_COUNT])

    async def sweep_if_due(self) -> None:
        """Sweeps all leases when another bridge has died, when something may have been lost, and now and then.

        May take long on a Redis with millions of keys, so it must not delay the beats. Raises what
        connection.REDIS_ERRORS lists.
        """
        is_due = time.monotonic() - self._swept_at_s > self._settings.orphan_scan_s
        # After a jump of the clock the heartbeats of the living have expired too, until each has beaten again.
        if not self.clock.is_settled or not (self._dead or is_due):
            return
        self._swept_at_s, dead = time.monotonic(), set(self._dead)
        try:
            await self._sweep()
        except REDIS_ERRORS:
            self.sweep_soon()
            raise
        if dead and self.clock.is_settled:
            await self._redis.srem(keys.BRIDGES, *dead)
            self._dead -= dead

    async def _sweep(self) -> None:
        """Reclaims every lease whose bridge is dead: its job goes back to its queue."""
        moved: Counter[str] = Counter()
        async for key in self._redis.scan_iter(match=keys.SLOTS_PATTERN, count=_SCAN_COUNT, _type="list"):
            slot = keys.slot_from_key(key.decode(errors="replace"))
            if slot is None:
                continue
            try:
                moved[slot.queue] += await self._reclaim_lease(slot)
            except ResponseError as error:
                # The queue's key may not be a list: its leases stay, those of other queues must not.
                logger.warning("the lease %s cannot be reclaimed: %s", slot.key, error)
        for queue, jobs in moved.items():
            if jobs:
                logger.warning("%d jobs of queue %s had no living bridge and were requeued", jobs, queue)
                self._on_reclaimed(queue, jobs)

    async def leave(self, leaves_jobs: bool) -> None:
        """Ends the heartbeat. leaves_jobs: there may be leases of ours, so we stay listed, as dead, until they are
        reclaimed."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(keys.heartbeat(self._bridge))
            if not leaves_jobs:
                pipe.srem(keys.BRIDGES, self._bridge)
            await pipe.execute()

    async def is_alive(self, bridge: str) -> bool:
        """Whether this bridge's heartbeat has not expired."""
        return bool(await self._redis.exists(keys.heartbeat(bridge)))

    async def _reclaim_lease(self, slot: Slot) -> int:
        """Returns how many jobs were moved. A lease of our own that is not known has reappeared, or a response was
        lost."""
        if slot.bridge == self._bridge:
            return 0 if self._jobs.is_held(slot) else await self._jobs.requeue([Lease(slot, "", None)])
        of_bridge = [keys.heartbeat(slot.bridge), keys.trial(slot.bridge)]
        await self._own_keys.repair_keys({keys.trial(slot.bridge): "string", keys.attempts(slot.queue): "hash"})
        of_job = [slot.key, slot.queue, keys.attempts(slot.queue)]
        times: list[float | str] = [f"{self.clock.now_s():.3f}", keys.ATTEMPTS_TTL_S]
        times += [f"{self.clock.expected_s():.3f}", f"{self.clock.jump_s:.3f}"]
        moved = int(await self._reclaim(keys=[*of_bridge, *of_job], args=times))
        if moved < 0:
            # The next beat will see the clock, and then wait.
            self.sweep_soon()
        return max(moved, 0)

    async def _check_server(self) -> None:
        """After a restart Redis may have come back without its last second, and with other settings."""
        try:
            server = (await self._redis.info("server")).get("run_id")
            if server == self._server:
                return
            memory = await self._redis.info("memory")
        except ResponseError:
            # INFO may be forbidden to us; the periodic sweep finds the same, later.
            return
        self._server = server
        self.sweep_soon()
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction" and memory.get("maxmemory"):
            logger.warning(
                "Redis evicts keys when its memory is full (maxmemory-policy %s): it may drop whole queues with "
                "all jobs in them, silently; set maxmemory-policy noeviction",
                policy,
            )
