"""A process of the limit: our own decoding and runtime in a loop, on orders that it reads line by line.

`python -m benchmarks.limit.worker CPU_THREADS`; definition and images come from the environment and from
files. A line in is a JSON object, a line out is its answer:

    {"do": "infer", "file": PATH, "batch": 4, "seconds": 2.0}      -> the same as loop, but without decoding
    {"do": "expect", "file": PATH}                                 -> {"rows": [...]}
    {"do": "loop", "file": PATH, "batch": 4, "seconds": 2.0}       -> {"images": 97, "seconds": 2, "p50_ms": 20, ...}
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.limit.pipeline import Pipeline
from benchmarks.load.tally import Latency
from benchmarks.systems.contract import DEFINITION
from deployments.definition import ModelDefinition


def main() -> None:
    """Runs until its input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # Whatever a library prints must not get among the answers.
    definition = ModelDefinition.model_validate_json(os.environ[DEFINITION])
    pipeline = Pipeline(definition, int(sys.argv[1]))
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        order = json.loads(line)
        encoded = Path(order["file"]).read_bytes()
        answers.write(json.dumps(_obey(pipeline, order, encoded)) + "\n")


def _obey(pipeline: Pipeline, order: Mapping[str, Any], encoded: bytes) -> dict[str, Any]:
    if order["do"] == "expect":
        return {"rows": pipeline.answer([pipeline.prepare(encoded)])[0]}
    batch: int = order["batch"]
    if order["do"] == "infer":
        ready = [pipeline.prepare(encoded)] * batch
        return loop(lambda: pipeline.infer(ready), batch, order["seconds"])
    return loop(lambda: pipeline.answer([pipeline.prepare(encoded) for _ in range(batch)]), batch, order["seconds"])


def loop(work: Callable[[], object], images: int, seconds: float) -> dict[str, float]:
    """Does `work`, which is about this many `images`, again and again. p50_ms, cpu_ms: of one `work`."""
    work()
    cpu_s = time.process_time()
    spans_s: list[float] = []
    began_at_s = now_s = time.perf_counter()
    while now_s - began_at_s < seconds:
        work()
        after_s = time.perf_counter()
        spans_s.append(after_s - now_s)
        now_s = after_s
    return {
        "images": images * len(spans_s),
        "seconds": now_s - began_at_s,
        "p50_ms": Latency.of(spans_s).p50_ms or 0.0,
        "cpu_ms": 1000 * (time.process_time() - cpu_s) / len(spans_s),
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
