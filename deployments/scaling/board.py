"""What the policies of all models know together: who is awake, who waits for a place, and who gives way.

It lives in the memory of Ray Serve's controller, in which the policies of all models run one after the other, and is
made anew within one round of its loop after a restart. Nothing here is on the way of a request.

Serve wakes a sleeping model by itself, and does not ask its policy from its first request on until a replica runs. So
a model that was not asked about for a whole round is being woken. Then the board looks at the cluster once a second:
if the model waits for a place, others give way as `places.py` says.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from deployments.logs import OWN_LOGGER
from deployments.scaling.places import Tenant, Usage, evictions
from deployments.scaling.reports import Context, memory_copies, usage_of
from deployments.scaling.spare import spare_places
from deployments.scaling.view import View

logger = logging.getLogger(OWN_LOGGER)

LOOK_PERIOD_S = 1.0
"""Between two looks at the cluster, while a model is being woken or wants a further replica. One costs the controller
some milliseconds; without need, it does not look."""

QUIET_FOR_S = 10.0
"""A model that is not asked about, and yet has no replica that starts, is passed over for so long: it is being
deployed, or has failed."""

ECHO_S = 30.0
"""So long Serve's mean of requests (`look_back_period_s`) still holds those of a model that has given up its place,
and it is woken again though nobody asks. For so long nobody gives way to it."""

NEWS_FOR_S = 5.0
"""What a look has found counts for so long: who gives way, and what there is room for."""

_AT_ONCE = {"downscale_delay_s": 0.0, "downscale_to_zero_delay_s": 0.0}


@dataclass(slots=True)
class _Known:
    """Of one model. Times in seconds on the controller's clock."""

    asked_at_s: float
    awake_since_s: float | None = None
    usage: Usage | None = None
    running: int = 0
    memory_copies: float | None = None
    wants_more_until_s: float = 0.0
    most: int = 0
    """So many replicas there is room for, those that it has among them."""
    most_until_s: float = 0.0
    gives_up: int = 0
    """The number of replicas of which it is to give up one; 0: of none."""
    gives_up_until_s: float = 0.0
    gave_up_at_s: float = -math.inf
    helped_at_s: float = 0.0
    quiet_until_s: float = 0.0

    def needs_look(self, round_began_s: float, now_s: float) -> bool:
        """Whether it is being woken, or wants more replicas."""
        is_waking = self.asked_at_s < round_began_s and now_s >= self.quiet_until_s
        return is_waking or now_s < self.wants_more_until_s


class Board:
    """look: asks about the cluster.  clock: seconds, for contexts without a time."""

    def __init__(self, look: Callable[[], Awaitable[View]], clock: Callable[[], float] = time.time) -> None:
        self._look = look
        self._clock = clock
        self._models: dict[str, _Known] = {}
        self._looking: asyncio.Task[None] | None = None
        self._looked_at_s = -math.inf

    def decide(self, context: Context, wanted: float, needs_room: bool) -> float:
        """How many replicas the model of `context` is to have. Never raises, and never waits.

        wanted: so many its work asks for.  needs_room: whether more than it has are had only where there is room.
        """
        now_s = self._clock() if context.current_time is None else context.current_time
        name = context.app_name or ""
        known = self._models.setdefault(name, _Known(now_s))
        previous_s, known.asked_at_s = known.asked_at_s, now_s
        self._note(known, context, now_s)
        has = context.target_num_replicas
        if has and has == known.gives_up and now_s < known.gives_up_until_s:
            # Serve delays what its configuration says; this one is asked for by somebody who waits.
            known.gave_up_at_s = now_s
            context.config = context.config.model_copy(update=_AT_ONCE)
            self._look_if_needed(previous_s, now_s)
            return has - 1
        if has and wanted <= 0 and known.running == 0 and known.gave_up_at_s > -math.inf:
            # Its echo has woken it, and it would take the next place that somebody else is given.
            context.config = context.config.model_copy(update=_AT_ONCE)
        if math.ceil(wanted) > max(has, 1) and needs_room and self._can_look:
            known.wants_more_until_s = now_s + NEWS_FOR_S
            most = known.most if now_s < known.most_until_s else 0
            wanted = min(wanted, max(has, most, 1))
        self._look_if_needed(previous_s, now_s)
        return wanted

    @property
    def _can_look(self) -> bool:
        """Whether there is an event loop: Serve's controller has one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        return True

    def _note(self, known: _Known, context: Context, now_s: float) -> None:
        known.running = context.current_num_replicas
        if known.running == 0:
            known.awake_since_s = known.usage = known.memory_copies = None
            return
        if known.awake_since_s is None:
            known.awake_since_s = now_s
        known.usage = usage_of(context, known.awake_since_s, now_s)
        known.memory_copies = memory_copies(context)

    def _look_if_needed(self, previous_s: float, now_s: float) -> None:
        if self._looking is not None or now_s - self._looked_at_s < LOOK_PERIOD_S or not self._can_look:
            return
        is_needed = self._looked_at_s == -math.inf or any(
            one.needs_look(previous_s, now_s) for one in self._models.values()
        )
        if is_needed:
            self._looked_at_s = now_s
            self._looking = asyncio.get_running_loop().create_task(self._look_now(previous_s))

    async def _look_now(self, round_began_s: float) -> None:
        try:
            self.see(await self._look(), self._clock(), round_began_s)
        except Exception:
            logger.warning("the cluster could not be looked at, no model gives way to another", exc_info=True)
        finally:
            self._looking = None

    def see(self, view: View, now_s: float, round_began_s: float) -> None:
        """Draws the consequences of what a look has found.

        round_began_s: models that were not asked about since then are being woken.
        """
        models = {one.name: one for one in view.tenants if one.is_model}
        for name in [name for name in self._models if name not in models]:
            del self._models[name]
        for name, tenant in models.items():
            if tenant.may_sleep:
                # One that is not known, as after a restart of the controller, may be waiting.
                known = self._models.setdefault(name, _Known(asked_at_s=-math.inf))
                if known.asked_at_s < round_began_s and tenant.waits_since_s is None and not tenant.held:
                    known.quiet_until_s = now_s + QUIET_FOR_S
        tenants = [self._as_known(one, now_s, round_began_s) for one in view.tenants]
        for eviction in evictions(view.totals, tenants, now_s):
            givers = " and ".join(eviction.names)
            logger.info("model %s waits for a place, for which %s gives up a replica", eviction.waiting, givers)
            if eviction.waiting in self._models:
                self._models[eviction.waiting].helped_at_s = now_s
            for name in eviction.names:
                self._models[name].gives_up = len(models[name].held)
                self._models[name].gives_up_until_s = now_s + NEWS_FOR_S
        for name, known in self._models.items():
            if now_s < known.wants_more_until_s:
                has = len(models[name].held) + models[name].waiting
                # Replicas that are still loading will take memory that is free now.
                copies = None if known.memory_copies is None else known.memory_copies - (has - known.running)
                known.most = has + spare_places(view, name, copies)
                known.most_until_s = now_s + NEWS_FOR_S

    def _as_known(self, tenant: Tenant, now_s: float, round_began_s: float) -> Tenant:
        known = self._models.get(tenant.name)
        if known is None:
            return tenant
        waits_since_s = tenant.waits_since_s
        is_forgotten = known.asked_at_s >= round_began_s and not tenant.held
        if is_forgotten or now_s - known.gave_up_at_s < ECHO_S:
            # Serve asks about it again, so nobody waits for it any more; or it is woken by its own echo.
            waits_since_s = None
        elif waits_since_s is not None:
            waits_since_s = max(waits_since_s, known.helped_at_s)
        return replace(tenant, usage=known.usage, waits_since_s=waits_since_s)
