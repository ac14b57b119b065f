"""Who may be in work beside whom: many jobs at once, or one job on trial. Knows no job and no Redis.

When a bridge dies nobody knows which of its jobs killed it. Each of them is a suspect and is next tried in a window
of its own: nothing else begins while it is read and handed to its model, which is where jobs kill bridges. What the
model then takes is nobody's business: others go on beside it. Only a suspect whose bridge has died during its trial
is next kept apart from other suspects to its end, so that it is known who is to blame.
"""

import asyncio
import contextlib
from collections import deque

TRIAL_S = 2.0
"""How long the window of a job on trial may be, in which all others are kept out."""

HANDOVER_S = 0.1
"""How long it takes to hand a picture to its model: the end of a window."""

GRACE_S = 0.25
"""How long a window waits for those at work: then they have been read and are in their models."""


class FairRWLock:
    """Lets work and windows take turns: all work that waits, then one window."""

    def __init__(self) -> None:
        self._at_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_window = False
        self._on_trial = 0
        self._is_apart = False
        self._work: deque[asyncio.Future[None]] = deque()
        self._trials: deque[tuple[bool, asyncio.Future[None]]] = deque()

    async def join(self) -> None:
        """Waits until no window is open. Ends with `leave`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """One less at work."""
        self._count_work(-1)
        self._admit()

    async def begin(self, apart: bool = False) -> bool:
        """Opens a window: waits until no other is open, and until those at work are done or in their models. True
        then. Ends with `close_window` and then `end`. apart: no other job is to be on trial until this one's end."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trials.append((apart, turn))
        self._admit()
        try:
            await turn
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await self._idle.wait()
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.close_window()
                self.end()
            else:
                self._admit()
            raise
        return True

    def close_window(self) -> None:
        """Others may go on, and begin."""
        self._is_window = False
        self._admit()

    def end(self) -> None:
        """The job on trial has come to its end; its window is closed."""
        self._on_trial -= 1
        self._is_apart = False
        self._admit()

    def _count_work(self, more: int) -> None:
        self._at_work += more
        if self._at_work:
            self._idle.clear()
        else:
            self._idle.set()

    def _admit(self) -> None:
        if self._is_window:
            return
        while self._work:
            turn = self._work.popleft()
            if not turn.done():
                self._count_work(1)
                turn.set_result(None)
        while self._trials:
            apart, turn = self._trials[0]
            if not turn.done():
                if self._is_apart or (apart and self._on_trial):
                    return
                self._is_window = True
                self._is_apart = apart
                self._on_trial += 1
                turn.set_result(None)
            self._trials.popleft()
            if self._is_window:
                return
