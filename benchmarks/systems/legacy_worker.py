"""The legacy worker, rewritten from what is known of its wire: one job at a time, from BLPOP to SET.

`python -m benchmarks.systems.legacy_worker`; prints READY when the model is loaded.
"""

import base64
import json
import os
import sys
from typing import Any

import numpy as np
from redis import Redis

from benchmarks.limit.pipeline import Pipeline
from benchmarks.systems.contract import DEFINITION, QUEUE, REDIS
from deployments.definition import ModelDefinition

READY = "the worker is ready"


def main() -> None:
    """Runs until SIGINT."""
    pipeline = Pipeline(ModelDefinition.model_validate_json(os.environ[DEFINITION]))
    store = Redis.from_url(os.environ[REDIS], socket_timeout=None)  # waits for a job as long as it takes
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    while True:
        taken: Any = store.blpop([os.environ[QUEUE]])
        job = json.loads(taken[1].decode())
        shape = (1, job["height"], job["width"], 3)
        batch = np.frombuffer(base64.b64decode(job["image"]), np.float32).reshape(shape)
        pixels = np.ascontiguousarray(batch[0, :, :, ::-1].astype(np.uint8))
        [rows] = pipeline.answer([pipeline.prepare_pixels(pixels)])
        store.set(job["id"], json.dumps(rows))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
