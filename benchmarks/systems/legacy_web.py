"""The legacy web server, rewritten from what is known of its wire: it pushes float32 BGR pixels as base64 text
onto a queue and polls for the answer every quarter of a second, in one thread for each request.

Run by `uvicorn benchmarks.systems.legacy_web:app`.
"""

import base64
import json
import os
import time
import uuid
from typing import Annotated, Any

import numpy as np
import PIL.Image
from fastapi import FastAPI, Form, UploadFile
from redis import Redis

from benchmarks.systems.contract import REDIS

POLL_INTERVAL_S = 0.25

app = FastAPI()
store = Redis.from_url(os.environ.get(REDIS, "redis://127.0.0.1:6379/0"))


@app.post("/predictor/")
def predict(model_type: Annotated[str, Form()], file: UploadFile) -> dict[str, Any]:
    """Pushes the job, waits for its answer, and removes it."""
    image = PIL.Image.open(file.file).convert("RGB")
    pixels = np.ascontiguousarray(np.asarray(image, np.float32)[None, :, :, ::-1])
    job_id = str(uuid.uuid4())
    job = {
        "id": job_id,
        "image": base64.b64encode(pixels.data).decode(),
        "height": image.height,
        "width": image.width,
    }
    store.rpush(model_type, json.dumps(job))
    while True:
        answer = store.get(job_id)
        if answer is not None:
            store.delete(job_id)
            return {"success": True, "predictions": json.loads(answer)}
        time.sleep(POLL_INTERVAL_S)
