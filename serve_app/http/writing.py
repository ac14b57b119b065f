"""Writing an answer that takes long enough for a thread, within the time that the client waits."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from deployments.errors import DeadlineExceeded

LEAST_WRITING_S = 2.0
"""For writing an answer, also where the model took all the time that there was. Clients wait for 5 s longer."""

T = TypeVar("T")


async def written_in_thread(write: Callable[[], T], patience_s: float) -> T:
    """What `write` returns. Raises DeadlineExceeded when it takes longer than `patience_s`, or LEAST_WRITING_S where
    that is more, and what `write` raises."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(write), max(patience_s, LEAST_WRITING_S))
    except TimeoutError:
        raise DeadlineExceeded("the images were looked at, and there was no time to write the answer") from None
