"""A task that runs in the background until it is stopped, and that a health check can ask about."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def check_running(task: asyncio.Task[None]) -> None:
    """Raises RuntimeError, for a health check, when `task`, which should never return, has ended. The error says why,
    and names the task: give it a name that says what it does, such as 'discovery of models'."""
    if task.done():
        reason = None if task.cancelled() else task.exception()
        raise RuntimeError(f"the {task.get_name()} is dead: {reason or 'it has ended'}") from reason


class BackgroundTask:
    """Runs `work()` from `start` to `stop`. It should never return: `check` finds out when it has.

    name: what it does, for the error of `check` and for debuggers, such as 'discovery of models'.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work(), name=self._name)

    def check(self) -> None:
        """Raises RuntimeError when the task has ended, for a health check: it died, or was stopped."""
        if self._task is not None:
            check_running(self._task)

    async def stop(self) -> None:
        """Cancels the task and waits for its end. Does nothing if it was not started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
