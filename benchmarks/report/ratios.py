"""Medians over rounds, and ratios of two systems with a bootstrap interval. Pure arithmetic.

Rounds are interleaved, so that the machine's drift meets both systems alike: a ratio is taken within each round
first, and the rounds are what is resampled (percentile bootstrap; Efron and Tibshirani 1993, chapter 13).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 4000
_SEED = 3


@dataclass(frozen=True, slots=True)
class Ratio:
    """median: of the rounds' ratios.  low, high: the 95 % interval; None with fewer than 3 rounds."""

    median: float
    low: float | None
    high: float | None
    rounds: int


def median(values: Sequence[float]) -> float:
    """The median. Raises ValueError when there is none."""
    if not len(values):
        raise ValueError("no values to take a median of")
    return float(np.median(np.asarray(values)))


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """`above` over `below`, round by round. Raises ValueError when the rounds differ or `below` has a zero."""
    if len(above) != len(below) or not len(above):
        raise ValueError(f"ratios need the same rounds, got {len(above)} and {len(below)}")
    if min(below) <= 0:
        raise ValueError("a ratio to zero")
    ratios = np.asarray(above, float) / np.asarray(below, float)
    if len(ratios) < 3:
        return Ratio(float(np.median(ratios)), None, None, len(ratios))
    draws = np.random.default_rng(_SEED).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[draws], axis=1), (2.5, 97.5))
    return Ratio(float(np.median(ratios)), float(low), float(high), len(ratios))
