"""The mean batch of our system, from its own counters. Knows the names in docs/metrics.md and their text form."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.load.ask import ask, get_request

LAG_TIMEOUT_S = 20.0
"""Ray collects the counters of its processes every few seconds, so they lag behind."""

_POLL_INTERVAL_S = 0.5
_SAMPLE = re.compile(
    r'^(?:ray_)?fathom_(batches|batched_images)_total\{[^}]*\bmodel="([^"]*)"[^}]*\} ([0-9.eE+]+)$', re.M
)


@dataclass(frozen=True, slots=True)
class Batches:
    """Counted since the replicas started."""

    batches: float = 0.0
    images: float = 0.0


def parse_batches(text: str, model: str) -> Batches:
    """The counters of `model` in Prometheus text, summed over replicas; zeros when there are none yet."""
    sums = {"batches": 0.0, "batched_images": 0.0}
    for kind, name, value in _SAMPLE.findall(text):
        if name == model:
            sums[kind] += float(value)
    return Batches(sums["batches"], sums["batched_images"])


def read_batches(port: int, path: str, model: str) -> Batches:
    """The counters now, as far as the system knows them."""
    answer = ask(port, get_request(path), 10.0)
    return (
        parse_batches(answer.body.decode("utf-8", "replace"), model) if answer and answer.status == 200 else Batches()
    )


def batches_with(
    read: Callable[[], Batches],
    images: float,
    timeout_s: float = LAG_TIMEOUT_S,
    poll_interval_s: float = _POLL_INTERVAL_S,
) -> Batches | None:
    """The counters once they hold `images`; None when they do not within `timeout_s`."""
    until_s = time.monotonic() + timeout_s
    while (seen := read()).images < images:
        if time.monotonic() >= until_s:
            return None
        time.sleep(poll_interval_s)
    return seen


def mean_batch(before: Batches, after: Batches | None) -> float | None:
    """Images in a batch between two readings; None when nothing is known."""
    if after is None or after.batches <= before.batches:
        return None
    return (after.images - before.images) / (after.batches - before.batches)
