"""Adaptive batching: how large a batch may be and how long it may wait for more images, learned from past batches.

The time of a batch is modelled as a line, `fixed_s + each_s * size`, and fitted by least squares to the batches that
were run; old ones fade. From it follows how many images fit under a latency target. The micro-batcher reports what
happened and asks what to do; the policy itself reads no clock.
"""

import math
from dataclasses import dataclass

MEMORY_BATCHES = 50.0
"""How slowly old batches fade: after about two thirds of this many others a batch counts for half."""

MEMORY_S = 2.0
"""Seconds over which the load is averaged."""

CROWDED = 2
"""When this many batches' worth of images wait, only throughput counts."""

ENOUGH = 1.05
"""Without a target, a batch is large enough when an image in it costs at most this many times what it would cost in
the largest batch. On a CPU, where batching saves little, that is one or two images, and the next batch starts soon.
On a GPU it is most of the largest batch."""

ALL_PRESENT = 0.7
"""When at least this share of the peak is present whenever a batch starts, more images are not to be expected: a few
clients send again as soon as they are answered. Images that arrive at random are seldom as many as at their peak."""

WAITS_FROM, WAITS_FULLY_FROM = 0.6, 0.85
"""Shares of time in which the model is busy. Below the first, no batch waits for more images: fuller batches would
save processor time that nobody needs. Above the second, a batch may use all its time under the target."""


@dataclass(frozen=True, slots=True)
class Load:
    """The circumstances of one batch."""

    run_s: float
    """How long it ran."""
    idle_s: float
    """How long the model had nothing to do before."""
    present: int
    """Images in work or waiting when it started, its own among them."""
    peak: int
    """The most images that were present at once since the previous batch."""


class AdaptiveBatchPolicy:
    """The batching of one model.

    largest: the largest batch that can be run.
    target_s: an image should be inferred within this many seconds after it is ready for a batch. None: batches are as
        large as pays off, and none waits.
    """

    def __init__(self, largest: int, target_s: float | None = None) -> None:
        self.largest = largest
        self.target_s = target_s
        self._weight = self._sizes = self._squares = self._seconds = self._products = 0.0
        self._busy = 0.0
        self._peak = 0.0
        self._present = 0.0

    def note_run(self, size: int, load: Load, is_alone: bool = True) -> None:
        """A batch of `size` ran. is_alone: whether no other slowed it, so that its time shows what it costs."""
        if is_alone or not self._weight:
            self._note_cost(size, load.run_s)
        run_s, idle_s = load.run_s, load.idle_s
        fade = math.exp(-(run_s + idle_s) / MEMORY_S)
        self._busy += (1.0 - fade) * (run_s / max(run_s + idle_s, 1e-9) - self._busy)
        self._peak = max(float(load.peak), self._peak * fade)
        self._present += (1.0 - fade) * (load.present - self._present)

    def limit(self, waiting: int) -> int:
        """The largest size of the next batch, when `waiting` images wait.

        As many as fit into half of the target, because an image may have to wait for a whole batch before its own.
        `largest` when more wait than the target allows anyway, and before the cost of a batch is known. Without a
        target, what pays off.
        """
        if self.target_s is None:
            return self._paying
        limit = self._fitting
        return self.largest if waiting >= CROWDED * limit else limit

    @property
    def max_wait_s(self) -> float:
        """Seconds that the first image of a batch may wait for others although the model is free.

        0 without a target, because only the user knows what time is worth; 0 when the model is rarely busy; and 0
        when the peak fits into one batch and is nearly always present when a batch starts: those images come from all
        the clients there are, which would wait for each other.
        """
        limit = self._fitting
        if self.target_s is None or not self._weight or limit == 1:
            return 0.0
        if self._peak <= limit and self._present >= ALL_PRESENT * self._peak:
            return 0.0
        share = (self._busy - WAITS_FROM) / (WAITS_FULLY_FROM - WAITS_FROM)
        return max(self.target_s - self.run_s(limit), 0.0) * min(max(share, 0.0), 1.0)

    def run_s(self, size: int) -> float:
        """Seconds that a batch of `size` is expected to take; 0 before any was run."""
        fixed_s, each_s = self._cost()
        return fixed_s + each_s * size

    @property
    def _fitting(self) -> int:
        if self.target_s is None or not self._weight:
            return self.largest
        fixed_s, each_s = self._cost()
        fitting = (self.target_s / 2 - fixed_s) / max(each_s, 1e-9)
        return int(min(max(fitting, 1.0), self.largest))

    @property
    def _paying(self) -> int:
        """The smallest size that pays off, by doubling: runtimes compile batches of such sizes and pad others."""
        fixed_s, each_s = self._cost()
        if not fixed_s:
            return 1 if self._is_spread else self.largest
        enough_s = ENOUGH * self.run_s(self.largest) / self.largest
        size = 1
        while size < self.largest and fixed_s / size + each_s > enough_s:
            size *= 2
        return min(size, self.largest)

    @property
    def _is_spread(self) -> bool:
        """Whether batches of different sizes were seen: only they separate a batch's cost from an image's."""
        if not self._weight:
            return False
        size = self._sizes / self._weight
        return self._squares / self._weight - size * size >= 1e-3 * size * size

    def _note_cost(self, size: int, run_s: float) -> None:
        keep = 1.0 - 1.0 / MEMORY_BATCHES
        self._weight = self._weight * keep + 1
        self._sizes = self._sizes * keep + size
        self._squares = self._squares * keep + size * size
        self._seconds = self._seconds * keep + run_s
        self._products = self._products * keep + size * run_s

    def _cost(self) -> tuple[float, float]:
        """Seconds of any batch, and of each image in it: a least-squares line with neither part below zero.

        From batches of one size only, all time is attributed to the images. The limit then errs on the small side,
        and the smaller batches that follow correct it.
        """
        if not self._weight:
            return 0.0, 0.0
        size, seconds = self._sizes / self._weight, self._seconds / self._weight
        if not self._is_spread:
            return 0.0, seconds / size
        spread = self._squares / self._weight - size * size
        each_s = (self._products / self._weight - size * seconds) / spread
        each_s = min(max(each_s, 0.0), seconds / size)
        return seconds - each_s * size, each_s
