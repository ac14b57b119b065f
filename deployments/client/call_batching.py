"""Sends requests to one model together when they come faster than calls return.

A remote call costs some milliseconds of processor time on both sides, whatever it carries. While few calls are under
way, each request is a call of its own and waits for nothing. Beyond that, the requests that wait share the next call.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from deployments.client.outcomes import ReplicaDied, Send, outcomes_of
from deployments.client.waits import Waits
from deployments.errors import Overloaded
from deployments.prediction import Outcome
from deployments.request import Request

CALLS_PER_REPLICA = 16
"""Calls under way for each replica before requests share calls. With these, a replica can decode some images while
it infers others, and sees early what else has come. Sharing costs time: a call returns with its slowest image."""

FEWER_CALLS = ((0.002, 2), (0.020, 6))
"""(seconds, calls): for images that take less than these seconds each, this many calls. A call costs a millisecond or
two of the processors that also infer: for a fast model that is most of the work, for a slower one a tenth of it.

What an image takes is the time between two returns, divided by the images of a call. Where many calls are under way
each seems long, only because they wait for each other."""

CALL_MEMORY = 16
"""How many calls the time of an image is averaged over."""

MAX_REQUESTS_A_CALL = 32
"""A call returns when its slowest image is done: in a larger one the others would wait for it."""

MAX_SENT_PER_REPLICA = 64
"""Requests under way for each replica. What a replica has no room for it refuses, but its client learns so only when
the rest of the call is done. Tiles count there and not here."""

MAX_WAITING_PER_REPLICA = 64
"""Requests that wait for a call, beside those under way. More would only wait longer. They are refused at once, while
their client still has time to try elsewhere or later."""


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    expires_at_s: float
    future: asyncio.Future[Outcome]
    is_taken: bool = False

    @property
    def is_tiled(self) -> bool:
        """Whether it is cut into parts: it may take as long as many others, and so travels alone."""
        return self.request.options.cuts


class CallBatcher:
    """The requests of one client to one model.

    send: makes one call.  replicas: how many replicas the model has now.  waits: what ends when the model is removed.
    """

    def __init__(self, send: Send, replicas: Callable[[], int], waits: Waits | None = None) -> None:
        self._send = send
        self._waits = waits or Waits()
        self._replicas = replicas
        self._waiting: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._is_flush_due = False
        self._image_s = 1.0

    async def submit(self, request: Request) -> Outcome:
        """The outcome of `request`: Overloaded at once when too many wait already.

        Raises what `Waits.until` raises, and ReplicaDied when that happened under its call. Cancelling drops the
        request if it has not been sent; a call whose requests are all dropped is cancelled too.
        """
        most = MAX_WAITING_PER_REPLICA * max(1, self._replicas())
        if len(self._waiting) >= most:
            return Overloaded(f"{len(self._waiting)} requests wait for this model already, the limit is {most}")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.time() + request.deadline_s, loop.create_future())
        self._waiting.append(waiting)
        if not self._is_flush_due:
            # In the next round of the loop, so that requests which arrived in the same round go together.
            self._is_flush_due = True
            loop.call_soon(self._flush)
        try:
            async with self._waits.until(waiting.expires_at_s):
                return await waiting.future
        finally:
            # What was dropped makes room for others, whether or not a call returns meanwhile.
            if not waiting.is_taken:
                self._waiting.remove(waiting)

    def _flush(self) -> None:
        self._is_flush_due = False
        limit = self._calls_at_once
        most = MAX_SENT_PER_REPLICA * max(1, self._replicas())
        while self._waiting and len(self._calls) < limit and self._sent < most:
            batch = self._take(limit - len(self._calls), limit, most - self._sent)
            if batch:
                self._sent += len(batch)
                call = asyncio.get_running_loop().create_task(self._send_batch(batch))
                self._calls.add(call)
                call.add_done_callback(partial(self._on_returned, len(batch)))

    def _take(self, free_calls: int, limit: int, room: int) -> list[_Waiting]:
        """What goes into the next call, without what was dropped meanwhile: an even share for each free call.

        Never all that waits: so a replica has one call to decode while it infers another.
        """
        share = min(-(-len(self._waiting) // free_calls), -(-2 * len(self._waiting) // limit))
        most = min(share, MAX_REQUESTS_A_CALL, room)
        taken = [self._waiting.popleft()]
        while len(taken) < most and not (taken[-1].is_tiled or self._waiting[0].is_tiled):
            taken.append(self._waiting.popleft())
        for waiting in taken:
            waiting.is_taken = True
        return [waiting for waiting in taken if not waiting.future.done()]

    @property
    def _calls_at_once(self) -> int:
        each = next((calls for below_s, calls in FEWER_CALLS if self._image_s < below_s), CALLS_PER_REPLICA)
        return each * max(1, self._replicas())

    def _on_returned(self, size: int, call: asyncio.Task[None]) -> None:
        self._sent -= size
        self._calls.discard(call)
        self._flush()

    async def _send_batch(self, batch: list[_Waiting]) -> None:
        call = asyncio.current_task()
        left = len(batch)

        def forget(future: asyncio.Future[Outcome]) -> None:
            nonlocal left
            left -= 1
            if left == 0 and call is not None and not is_answered:
                call.cancel()

        is_answered = False
        clock = asyncio.get_running_loop().time
        began_at_s = clock()
        for waiting in batch:
            waiting.future.add_done_callback(forget)
        # Not `replace`, which costs ten times as much and is called for every request.
        requests = [
            Request(
                one.image,
                one.options,
                max(waiting.expires_at_s - began_at_s, 1e-6),
                one.waiting_behind,
                one.request_id,
                one.traceparent,
            )
            for waiting in batch
            for one in (waiting.request,)
        ]
        try:
            outcomes = await outcomes_of(self._send, requests)
        except ReplicaDied as died:
            is_answered = True
            for waiting in batch:
                if not waiting.future.done():
                    waiting.future.set_exception(ReplicaDied(*died.args))
            return
        is_answered = True
        image_s = (clock() - began_at_s) / max(1, len(self._calls)) / len(batch)
        self._image_s += (image_s - self._image_s) / CALL_MEMORY
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(outcome)
