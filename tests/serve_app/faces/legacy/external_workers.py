"""What external workers are asked and answer: a frame, the masks of a segmenting worker, a queue by hand."""

import io
import json

import httpx
import numpy as np
import PIL.Image

from deployments.prediction import Opaque
from serve_app.faces.legacy.segmentation import SAM_QUEUE

CORAL = "image_queue_coral"
OUTLINES = [[[0, 0], [40, 0], [40, 40]], [[10, 10], [70, 10], [70, 40], [10, 40]], [[1, 1], [2, 1], [2, 2]]]
BOXES = [{"x": 0, "y": 0, "w": 40, "h": 40}, {"x": 10, "y": 10, "w": 60, "h": 30}, {"x": 1, "y": 1, "w": 1, "h": 1}]


def masks(*scores: float, **changes: object) -> Opaque:
    answer = {"box": BOXES[: len(scores)], "score": list(scores), "poly": OUTLINES[: len(scores)], **changes}
    return Opaque(json.dumps([answer]).encode(), SAM_QUEUE)


def frame(size_px: tuple[int, int] = (100, 50)) -> bytes:
    colours = np.random.default_rng(3).integers(1, 256, (size_px[1], size_px[0], 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(colours).save(buffer, "PNG")
    return buffer.getvalue()


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await client.post(path, files={"file": ("a.png", frame())}, data=fields)
