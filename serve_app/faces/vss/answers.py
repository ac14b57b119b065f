"""What is kept of a job, and what its client is told. Pure.

Kept is one line of JSON and, of embeddings, the numbers as float32 behind it: a quarter of what they take as text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.vectors import Neighbour

PENDING = b'{"status":"pending"}\n'

_DECIMALS = 4
"""Of a score, as fastapi-vss rounds it."""


def kept_failure(sentence: str) -> bytes:
    """Of a job that failed."""
    return orjson.dumps({"status": "failed", "message": sentence}) + b"\n"


def kept_embeddings(file_names: Sequence[str], values: NDArray[np.float32]) -> bytes:
    """values: float32 (n, d), one row for each file."""
    line = orjson.dumps({"status": "done", "filenames": file_names, "dimension": values.shape[1]})
    return line + b"\n" + values.tobytes()


def kept_neighbours(file_names: Sequence[str], found: Sequence[Sequence[Neighbour]]) -> bytes:
    """found: for each file, the nearest first."""
    result = {
        "filenames": file_names,
        "predictions": [[one.label for one in each] for each in found],
        "scores": [[round(one.distance, _DECIMALS) for one in each] for each in found],
        "ids": [[one.id for one in each] for each in found],
    }
    return orjson.dumps({"status": "done", "result": result}) + b"\n"


def answer_of(kept: bytes) -> bytes:
    """What a client is told of the job, as JSON."""
    line, _, numbers = kept.partition(b"\n")
    told: dict[str, Any] = orjson.loads(line)
    if "dimension" in told:
        values = np.frombuffer(numbers, np.float32).reshape(-1, told["dimension"])
        told = {"status": "done", "result": {"filenames": told["filenames"], "embeddings": values}}
    elif "result" in told:
        # aipipeline reads this name.
        told["results"] = told["result"]
    return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)


def is_pending(kept: bytes) -> bool:
    """Whether there is more to come."""
    return kept == PENDING
