"""Notices work that does not end and a model that fails on everything, so that its replica is replaced.

Whoever runs something in a thread says so, and the health check asks. A thread cannot be stopped from outside: what
is stuck in one ends with its process.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from types import TracebackType

from deployments.definition import STUCK_AFTER_S, UNHEALTHY_AFTER_BATCHES


class Watched:
    """What is watched between its `__enter__` and `__exit__`, in the thread that enters it.

    A class and not a generator, which takes longer than all else here: there are two of these for each image.
    """

    __slots__ = ("_now", "_since_cpu_s", "_thread", "cpu_limit_s", "since_s", "what")

    def __init__(self, now: "_Now", what: str, cpu_limit_s: float | None) -> None:
        self._now = now
        self.what = what
        self.cpu_limit_s = cpu_limit_s

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._since_cpu_s = 0.0 if self.cpu_limit_s is None else time.thread_time()
        self.since_s = self._now.clock()
        with self._now.lock:
            self._now.running.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._now.lock:
            self._now.running.discard(self)

    @property
    def spent_cpu_s(self) -> float:
        """Processor time of its thread, which must not have ended."""
        return time.clock_gettime(time.pthread_getcpuclockid(self._thread)) - self._since_cpu_s


@dataclass(slots=True, eq=False)
class _Now:
    clock: Callable[[], float]
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: set[Watched] = field(default_factory=set)


class Watchdog:
    """What runs in the threads of one replica now, and how many of its batches failed in a row.

    `during` may be called in any thread, the rest belongs to one. stuck_after_s, unhealthy_after_batches: may be
    changed at any time.  clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stuck_after_s = STUCK_AFTER_S
        self.unhealthy_after_batches = UNHEALTHY_AFTER_BATCHES
        self._now = _Now(clock)
        self._failures = 0
        self._failed: set[Hashable] = set()
        self._reason = ""

    def during(self, what: str, cpu_limit_s: float | None = None) -> Watched:
        """Watches what is done inside: it is stuck after `stuck_after_s` seconds, and after `cpu_limit_s` seconds of
        processor time, which a busy machine does not lengthen.

        what: for people, such as 'the decoding of an image'. To be entered in the thread that does it, so that
        waiting for the thread does not count.
        """
        return Watched(self._now, what, cpu_limit_s)

    def note_batch(self, images: Iterable[Hashable], is_inferred: bool) -> None:
        """A batch has ended. is_inferred: whether at least one of its images was, together or alone.

        images: what tells them apart, such as a digest of each; not used when one was inferred. A batch that failed
        counts only if one of its images has not failed before in this row: the same image sent again and again says
        nothing about the model.
        """
        if is_inferred:
            self._failures = 0
            self._failed.clear()
            return
        new = set(images) - self._failed
        self._failed |= new
        self._failures += bool(new)
        if self._failures >= self.unhealthy_after_batches:
            self.give_up(f"the model failed on {self._failures} batches of different images in a row")

    def give_up(self, reason: str) -> None:
        """The replica must be replaced, for this reason, unless there is one already."""
        self._reason = self._reason or reason

    @property
    def reason(self) -> str:
        """Why the replica must be replaced; '' when it need not. A reason stays: what was stuck may still end, but
        in a state that nobody knows."""
        if not self._reason and self._now.running:
            now_s = self._now.clock()
            # The lock keeps the threads alive whose clocks are read.
            with self._now.lock:
                for one in self._now.running:
                    if now_s - one.since_s > self.stuck_after_s:
                        self.give_up(f"{one.what} has taken more than {self.stuck_after_s:g} s and does not end")
                    elif one.cpu_limit_s is not None and one.spent_cpu_s > one.cpu_limit_s:
                        self.give_up(f"{one.what} has used more than {one.cpu_limit_s:g} s of processor time")
        return self._reason

    def check(self) -> None:
        """Raises RuntimeError with the reason when the replica must be replaced, for a health check."""
        if self.reason:
            raise RuntimeError(f"{self.reason}; this replica must be replaced")
