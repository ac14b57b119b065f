"""The hand-written server, as a careful person writes it: FastAPI on uvicorn, the model in a thread pool.

Run by `uvicorn benchmarks.systems.handwritten_app:app`.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, UploadFile

from benchmarks.limit.pipeline import Pipeline, Rows
from benchmarks.systems.contract import DEFINITION, THREADS
from deployments.definition import ModelDefinition

threads = ThreadPoolExecutor(int(os.environ.get(THREADS, "2")))
loaded: dict[str, Pipeline] = {}


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Loads the model before the first request."""
    del api
    definition = ModelDefinition.model_validate_json(os.environ[DEFINITION])
    loaded["model"] = await asyncio.to_thread(Pipeline, definition)
    yield


app = FastAPI(lifespan=lifespan)


def detect(encoded: bytes) -> Rows:
    """One image, decoded, inferred and finished in one thread."""
    model = loaded["model"]
    return model.answer([model.prepare(encoded)])[0]


@app.post("/predictor/")
async def predict(file: UploadFile) -> dict[str, Any]:
    """The legacy answer."""
    encoded = await file.read()
    rows = await asyncio.get_running_loop().run_in_executor(threads, detect, encoded)
    return {"success": True, "predictions": rows}
