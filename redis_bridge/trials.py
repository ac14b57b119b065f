"""Who may be in work beside whom: many jobs at once, or one job on trial alone. Knows no job and no Redis.

When a bridge dies nobody knows which of its jobs killed it. Each of them is a suspect and is next tried alone: if a
bridge dies then, the job on trial is to blame, and no bystander.
"""

import asyncio
from collections import deque

TRIAL_S = 2.0
"""How long a job on trial keeps all others out. A job that kills its bridge does so while it is read and sent on;
what its model then takes longer for must not hold up other queues."""


class Trials:
    """Lets in whoever came first, so that trials and other work take turns."""

    def __init__(self) -> None:
        self._at_work = 0
        self._is_trial = False
        self._waiting: deque[tuple[bool, asyncio.Future[None]]] = deque()

    async def join(self) -> None:
        """Waits until no trial is on, nor due before us. Ends with `leave`."""
        await self._turn(alone=False)

    def leave(self) -> None:
        """One less at work."""
        self._at_work -= 1
        self._admit()

    async def begin(self) -> bool:
        """Waits until nobody else is at work, and keeps all others out; True then. Ends with `end`."""
        await self._turn(alone=True)
        return True

    def end(self, *, is_at_work: bool) -> None:
        """The trial is over. is_at_work: its job goes on beside others, and ends with `leave`."""
        self._is_trial = False
        self._at_work += is_at_work
        self._admit()

    async def _turn(self, *, alone: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((alone, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._undo(alone)
            self._admit()
            raise

    def _undo(self, alone: bool) -> None:
        if alone:
            self._is_trial = False
        else:
            self._at_work -= 1

    def _admit(self) -> None:
        while self._waiting and not self._is_trial:
            alone, turn = self._waiting[0]
            if not turn.done():
                if alone and self._at_work:
                    return
                self._is_trial = alone
                self._at_work += not alone
                turn.set_result(None)
            self._waiting.popleft()
