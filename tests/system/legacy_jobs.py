"""Jobs as the legacy web server wrote them, and their answers."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem


def job(frame: Path, job_id: str) -> bytes:
    """A job as the legacy web server wrote it: base64 of float32 BGR pixels."""
    pixels = np.asarray(PIL.Image.open(frame).convert("RGB"))[..., ::-1].astype(np.float32)
    height, width = pixels.shape[:2]
    image = base64.b64encode(pixels[np.newaxis].tobytes()).decode()
    return json.dumps({"id": job_id, "image": image, "height": height, "width": width}).encode()


def answer_of(system: RunningSystem, job_id: str, deadline_s: float = 60) -> Any:
    text = wait_for(lambda: system.redis.get(job_id), deadline_s, f"the answer of {job_id}")
    assert 0 < system.redis.ttl(job_id) <= 24 * 3600
    return json.loads(text)
