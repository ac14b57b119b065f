"""What both sides of the comparison have in common: orders as lines of JSON, and the clocks. Knows no framework.

A line in is {"variant": "...", "batch": 4, "seconds": 2.0}, a line out {"images": 97, "wall_s": 2.01, "best_s": 0.08,
"best_cpu_s": 0.15}: the last two are of the single run of a batch that took least. The first line out is
{"variants": [...]}.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

Run = Callable[[], object]
Prepare = Callable[[str, int], Run]
"""A variant and a batch size to what runs one batch of images that are there already."""

WARM_UP_RUNS = 2


def claimed_output() -> TextIO:
    """Standard output, for answers only: whatever libraries print from now on goes where errors go."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return answers


def obey(answers: TextIO, variants: list[str], prepare: Prepare) -> None:
    """Answers orders until the input ends."""
    answers.write(json.dumps({"variants": variants}) + "\n")
    for line in sys.stdin:
        order = json.loads(line)
        run = prepare(order["variant"], order["batch"])
        answers.write(json.dumps(timed(run, order["batch"], order["seconds"])) + "\n")


def timed(run: Run, batch: int, seconds: float) -> Mapping[str, float]:
    """Runs for that many seconds, at least once, after warming up."""
    for _ in range(WARM_UP_RUNS):
        run()
    spans_s: list[float] = []
    cpu_spans_s: list[float] = []
    began_s = time.perf_counter()
    while not spans_s or time.perf_counter() - began_s < seconds:
        started_s, cpu_started_s = time.perf_counter(), time.process_time()
        run()
        spans_s.append(time.perf_counter() - started_s)
        cpu_spans_s.append(time.process_time() - cpu_started_s)
    return {
        "images": batch * len(spans_s),
        "wall_s": time.perf_counter() - began_s,
        "best_s": min(spans_s),
        "best_cpu_s": min(cpu_spans_s),
    }
