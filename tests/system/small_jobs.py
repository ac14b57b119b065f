"""A job of a few pixels, for tests of many jobs."""

import base64
import json

import numpy as np


def job(job_id: str) -> bytes:
    image = base64.b64encode(np.zeros((1, 4, 4, 3), np.float32).tobytes()).decode()
    return json.dumps({"id": job_id, "image": image, "height": 4, "width": 4}).encode()
