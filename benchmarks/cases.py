"""What is measured: the cases of a run, by name, and which systems each one is for. Pure data.

A case is called `<model>-<image>-<loop>`: m1-720p-c32 is the 14 ms detector with 720p JPEGs, closed loop, 32
clients; m1-720p-o80 is the same under Poisson arrivals at 80 % of our own capacity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from benchmarks.models import DEMO, M1, M50, NOOP
from benchmarks.sample_images import HD, LARGE, SMALL
from benchmarks.systems.table import FAST, HANDWRITTEN, LEGACY, LIMIT, OURS, PLAIN

EVERYBODY = (LIMIT, OURS, FAST, *HANDWRITTEN, PLAIN, LEGACY)
OURS_ONLY = (OURS,)
NOT_LEGACY = (LIMIT, OURS, FAST, *HANDWRITTEN, PLAIN)
BEST = (LIMIT, OURS, *HANDWRITTEN)


@dataclass(frozen=True, slots=True)
class Case:
    """One load. concurrency: of a closed loop.  share: of our capacity, of an open loop.  systems: who runs it."""

    model: str
    image: str
    systems: tuple[str, ...]
    concurrency: int | None = None
    share: float | None = None

    @property
    def name(self) -> str:
        """As in reports and on the command line."""
        loop = f"c{self.concurrency}" if self.share is None else f"o{self.share * 100:.0f}"
        return f"{self.model}-{self.image}-{loop}"

    @property
    def stem(self) -> str:
        """Model and image: what cases of one capacity share."""
        return f"{self.model}-{self.image}"


def _closed(model: str, image: str, systems: tuple[str, ...], *levels: int) -> list[Case]:
    return [Case(model, image, systems, concurrency=level) for level in levels]


def _open(model: str, image: str, *shares: float) -> list[Case]:
    return [Case(model, image, OURS_ONLY, share=share) for share in shares]


CASES: tuple[Case, ...] = (
    *_closed(NOOP, SMALL, EVERYBODY, 1, 8, 32),
    *_open(NOOP, SMALL, 0.8, 1.5),
    *_closed(M1, HD, EVERYBODY, 1, 8, 32),
    *_open(M1, HD, 0.3, 0.6, 0.8, 1.5),
    *_closed(M1, LARGE, NOT_LEGACY, 8),
    *_closed(M50, HD, BEST, 1, 32),
    *_open(M50, HD, 0.8),
    *_closed(DEMO, HD, BEST, 1, 32),
)


BAR_CASES = (
    f"{NOOP}-{SMALL}-c32",
    *(f"{M1}-{HD}-{loop}" for loop in ("c1", "c32", "o80", "o150")),
    f"{M50}-{HD}-o80",
)
"""The cases that the bars need, for a shorter run."""


def chosen_cases(patterns: Iterable[str], models: Sequence[str], systems: Sequence[str]) -> list[Case]:
    """The cases whose name matches one of `patterns` (shell wildcards), for `models` and `systems` only.

    An open loop brings the closed loop with it that measures our capacity. Raises ValueError when none is left.
    """
    patterns = list(patterns)
    named = {case for case in CASES if any(fnmatch(case.name, pattern) for pattern in patterns)}
    stems = {case.stem for case in named if case.share is not None}
    kept = [
        Case(case.model, case.image, runners, case.concurrency, case.share)
        for case in CASES
        if case.model in models
        and (case in named or (case.stem in stems and case.concurrency == 32))
        and (runners := tuple(name for name in case.systems if name in systems))
    ]
    if not kept:
        known = ", ".join(case.name for case in CASES)
        raise ValueError(f"no case is left for {', '.join(patterns)}; known: {known}")
    return kept
