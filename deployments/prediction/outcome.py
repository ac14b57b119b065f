"""One image's answer with its model and times, or an error in its place."""

from dataclasses import dataclass

from deployments.errors import ServingError
from deployments.prediction.results import Result
from deployments.process.message import message


@message
@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went inside the replica, in seconds; batch_size in images."""

    decode_s: float = 0.0
    wait_s: float = 0.0
    inference_s: float = 0.0
    postprocess_s: float = 0.0
    batch_size: int = 1

    def stage_seconds(self) -> dict[str, float]:
        """Seconds by the name of the stage, as in metrics and in the header Server-Timing."""
        return {
            "decode": self.decode_s,
            "wait": self.wait_s,
            "inference": self.inference_s,
            "postprocess": self.postprocess_s,
        }


@message
@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for one image. image_size_px: height, width of the client's image."""

    result: Result
    image_size_px: tuple[int, int]
    model: str
    revision: str
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Opaque:
    """The answer of an external worker, handed through untouched. payload: the bytes it wrote."""

    payload: bytes
    model: str


Outcome = Prediction | Opaque | ServingError
"""What `predict` returns for each request, in the order of the requests; errors are values here."""


def outcome_code(outcome: Outcome) -> str:
    """The label of an outcome in metrics: 'ok', or the error's code."""
    return outcome.code if isinstance(outcome, ServingError) else "ok"
