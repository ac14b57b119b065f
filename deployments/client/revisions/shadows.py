"""Puts copies of requests to a candidate whose answers no client gets, and compares them with those of the model.

A copy is sent when its client's answer is there. It is dropped where too many are under way, and nothing that becomes
of it reaches the client.
"""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from deployments.catalogue import ModelRecord
from deployments.client.revisions.candidates import can_be_tried
from deployments.client.revisions.comparison import Comparison, compare
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Request

logger = logging.getLogger(OWN_LOGGER)

MOST_AT_ONCE = 8
"""Copies under way from this process; more are dropped."""

MOST_BYTES = 64 * 2**20
"""Of the images of these copies, which live on after their clients have gone."""

DEADLINE_S = 25.0
"""For a copy: as much as a client of the HTTP door gives."""

Ask = Callable[[str, Sequence[Request]], Awaitable[list[Outcome]]]


class RevisionMeter(Protocol):
    """Counts what becomes of the requests that go to candidates, and of the copies."""

    def shared(self, candidate: ModelRecord, outcome: str, count: int) -> None:
        """outcome: `answered`, or `passed-on` where the model had to answer."""
        ...

    def shadowed(self, candidate: ModelRecord, outcome: str) -> None:
        """outcome of one copy: `same`, `differing`, `failed` or `dropped`."""
        ...

    def compared(self, candidate: ModelRecord, comparison: Comparison) -> None:
        """The boxes of one copy beside those of its client's answer."""
        ...


class Shadows:
    """The copies that this process has under way. ask: puts them to a model, once."""

    def __init__(self, ask: Ask, meter: RevisionMeter) -> None:
        self._ask = ask
        self._meter = meter
        self._under_way: set[asyncio.Task[None]] = set()
        self._held_bytes = 0

    def cast(self, candidate: ModelRecord, request: Request, answer: Prediction) -> None:
        """Sends a copy of `request`, in the background, and compares with `answer`. Never waits or raises."""
        size_bytes = request.image.nbytes
        is_full = len(self._under_way) >= MOST_AT_ONCE or self._held_bytes + size_bytes > MOST_BYTES
        if is_full or not can_be_tried(candidate):
            self._meter.shadowed(candidate, "dropped")
            return
        # In a context of its own, as Serve cancels and traces what belongs to the request of a client.
        work = self._look(candidate, request, answer)
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._held_bytes += size_bytes
        self._under_way.add(task)

        def forget(task: asyncio.Task[None]) -> None:
            self._held_bytes -= size_bytes
            self._under_way.discard(task)

        task.add_done_callback(forget)

    async def stop(self) -> None:
        """Ends all copies."""
        tasks = set(self._under_way)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self, candidate: ModelRecord, request: Request, answer: Prediction) -> None:
        try:
            copy = replace(request, deadline_s=DEADLINE_S, waiting_behind=None, traceparent=None)
            [outcome] = await self._ask(candidate.name, [copy])
            found = outcome.result if isinstance(outcome, Prediction) else None
            if not isinstance(found, Detections) or not isinstance(answer.result, Detections):
                self._meter.shadowed(candidate, "failed")
                return
            # In a thread: the boxes of the fullest images take milliseconds.
            comparison = await asyncio.to_thread(compare, answer.result, found)
        except Exception:
            logger.exception("a copy for %s could not be compared", candidate.name, extra=about([request.origin]))
            self._meter.shadowed(candidate, "failed")
            return
        self._meter.compared(candidate, comparison)
        self._meter.shadowed(candidate, "differing" if comparison.differs else "same")
        if comparison.differs:
            logger.info(
                "model %s and its candidate %s differ: %d boxes in both, %d only in the model's answer, "
                "%d only in the candidate's",
                answer.model,
                candidate.name,
                comparison.both,
                comparison.only_model,
                comparison.only_candidate,
                extra=about([request.origin]),
            )
