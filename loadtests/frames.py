"""The images that load tests send: the drawn samples of the demo model, as files and as queue jobs."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import orjson
import pybase64
from PIL import Image

from deployments.families.demo import SAMPLES_FOLDER


@dataclass(frozen=True, slots=True)
class Frame:
    """One sample."""

    name: str
    """Of its file."""

    png: bytes
    """The file."""


def sample_frames() -> list[Frame]:
    """The samples of the demo model, sorted by name. Raises FileNotFoundError if there are none."""
    frames = [Frame(path.name, path.read_bytes()) for path in sorted(SAMPLES_FOLDER.glob("*.png"))]
    if not frames:
        raise FileNotFoundError(f"no sample frames (*.png) in {SAMPLES_FOLDER}")
    return frames


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """A queue job without its id. The image is encoded only once, because encoding is not under test."""

    fields: bytes
    """All but the opening brace and the id of the job's JSON."""

    def job(self, job_id: str) -> bytes:
        """The payload of one job."""
        return b'{"id":' + orjson.dumps(job_id) + b"," + self.fields


def job_template(frame: Frame) -> JobTemplate:
    """`frame` as legacy clients push it: base64 of float32 BGR pixels, 1 x height x width x 3, C order."""
    rgb = np.asarray(Image.open(BytesIO(frame.png)).convert("RGB"), dtype=np.float32)
    height, width = rgb.shape[:2]
    bgr = np.ascontiguousarray(rgb[np.newaxis, :, :, ::-1])
    fields = {"image": pybase64.b64encode(bgr.tobytes()).decode(), "height": height, "width": width}
    return JobTemplate(orjson.dumps(fields)[1:])
