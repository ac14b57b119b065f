"""Asks a fathomnet-serve model server which animals are in an image.

    from fathom_client import Client

    for detection in Client().predict("frame.jpg", model="megafishdetector-s").detections:
        print(detection.label, detection.score, detection.box)

Knows nothing of the server's own packages: it speaks /v1 over HTTP.
"""

from fathom_client.answers import Box, ClassScore, Detection, Keypoint, Outcome, Point, Prediction, Timings
from fathom_client.async_client import AsyncClient
from fathom_client.client import Client
from fathom_client.errors import (
    DeadlineExceeded,
    FathomError,
    InvalidImage,
    InvalidRequest,
    ModelCrashed,
    ModelNotFound,
    NotAllowed,
    Overloaded,
    Problem,
    Refusal,
    ServerFailed,
    ServerNotReachable,
    TimedOut,
    Unavailable,
    UnexpectedAnswer,
    UnusableImage,
    WrongKindOfAnswer,
)
from fathom_client.images import ImageInput
from fathom_client.masks import Mask
from fathom_client.options import Options
from fathom_client.retries import Retry
from fathom_client.system import Exported, Model, Readiness
from fathom_client.version import VERSION as __version__

__all__ = [
    "AsyncClient",
    "Box",
    "ClassScore",
    "Client",
    "DeadlineExceeded",
    "Detection",
    "Exported",
    "FathomError",
    "ImageInput",
    "InvalidImage",
    "InvalidRequest",
    "Keypoint",
    "Mask",
    "Model",
    "ModelCrashed",
    "ModelNotFound",
    "NotAllowed",
    "Options",
    "Outcome",
    "Overloaded",
    "Point",
    "Prediction",
    "Problem",
    "Readiness",
    "Refusal",
    "Retry",
    "ServerFailed",
    "ServerNotReachable",
    "TimedOut",
    "Timings",
    "Unavailable",
    "UnexpectedAnswer",
    "UnusableImage",
    "WrongKindOfAnswer",
    "__version__",
]
