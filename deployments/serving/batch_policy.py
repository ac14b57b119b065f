"""How many images a batch may have and how long it may wait for company, learned from how long batches take.

The cost of a batch is taken to be a line, so much for any batch and so much for each image, fitted to the batches
that were run, the old ones forgotten. From it follows what fits under a latency target. Knows no clock, no model
and no queue: the micro-batcher tells it what happened and asks it what to do.
"""

import math
from dataclasses import dataclass

MEMORY_BATCHES = 50.0
"""A batch counts for half after about two thirds of so many others."""

MEMORY_S = 2.0
"""How far back the load is looked at."""

CROWDED = 2
"""So many batches' worth of waiting images is a crowd, in which only throughput counts."""

ENOUGH = 1.05
"""Without a target a batch is large enough when an image in it costs at most this many times what it would cost in
the largest. On a processor, where a batch saves little, that is one or two images, and those that follow start soon;
on a GPU, most of the largest."""

ALL_THERE = 0.7
"""Where this share of the largest crowd is there whenever a batch starts, nobody else is to be expected: a few askers
who ask again as soon as they are answered. Those who come by chance are seldom as many as they ever are."""

PATIENT_FROM, FULLY_PATIENT_FROM = 0.6, 0.85
"""Shares of time in which the model has something to do. Below the first nothing waits for company: fuller batches
would save work that nobody is short of. Above the second a batch may use all its time under the target."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a batch met. run_s: how long it ran.  idle_s: how long the model had nothing to do before.  there: images
    in work or waiting when it started, its own among them.  crowd: the most that were there at once since the batch
    before."""

    run_s: float
    idle_s: float
    there: int
    crowd: int


class AdaptiveBatchPolicy:
    """The pace of one model's batches.

    largest: the largest batch that can be run.  target_s: seconds from ready for a batch to inferred that an image
    should stay below, and up to which a batch is filled; None: batches as large as pays, and none that waits.
    """

    def __init__(self, largest: int, target_s: float | None = None) -> None:
        self.largest = largest
        self.target_s = target_s
        self._weight = self._sizes = self._squares = self._seconds = self._products = 0.0
        self._busy = 0.0
        self._crowd = 0.0
        self._there = 0.0

    def note_run(self, size: int, load: Load, is_alone: bool = True) -> None:
        """A batch of `size` ran. is_alone: no other slowed it, so that its time tells what it costs."""
        if is_alone or not self._weight:
            self._note_cost(size, load.run_s)
        run_s, idle_s = load.run_s, load.idle_s
        fade = math.exp(-(run_s + idle_s) / MEMORY_S)
        self._busy += (1.0 - fade) * (run_s / max(run_s + idle_s, 1e-9) - self._busy)
        self._crowd = max(float(load.crowd), self._crowd * fade)
        self._there += (1.0 - fade) * (load.there - self._there)

    def limit(self, waiting: int) -> int:
        """Images of the next batch at most, with so many waiting. What fits into half of the target, since an
        image may have to wait for a whole batch before its own; `largest` when so many wait that the target
        cannot be held anyway. Without a target, what pays. Before it is known what batches cost, `largest`."""
        if self.target_s is None:
            return self._paying
        limit = self._fitting
        return self.largest if waiting >= CROWDED * limit else limit

    @property
    def max_wait_s(self) -> float:
        """Seconds that the first image of a batch may wait for others although the model is free.

        None without a target of the user's, who alone knows what time is worth; none when the model is rarely busy;
        and none when no more images have been there at once, lately, than a batch can have, and as many are there
        whenever one starts: those are then all the askers there are, and would wait for each other."""
        limit = self._fitting
        if self.target_s is None or not self._weight or limit == 1:
            return 0.0
        if self._crowd <= limit and self._there >= ALL_THERE * self._crowd:
            return 0.0
        share = (self._busy - PATIENT_FROM) / (FULLY_PATIENT_FROM - PATIENT_FROM)
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
        """By doubling, as runtimes compile a batch for such sizes and fill up what is between them."""
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
        """Whether batches of different sizes were seen, which alone tell a batch's cost from an image's."""
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
        """Seconds of any batch, and of each image more: a least-squares line, with neither part below zero. From
        batches of one size only, all is taken to be for the images: the limit then errs on the small side, and
        the sizes that follow show better."""
        if not self._weight:
            return 0.0, 0.0
        size, seconds = self._sizes / self._weight, self._seconds / self._weight
        if not self._is_spread:
            return 0.0, seconds / size
        spread = self._squares / self._weight - size * size
        each_s = (self._products / self._weight - size * seconds) / spread
        each_s = min(max(each_s, 0.0), seconds / size)
        return seconds - each_s * size, each_s
