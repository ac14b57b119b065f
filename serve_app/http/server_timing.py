"""The header Server-Timing: where the time of one image went in the model's process."""

from deployments.prediction import Prediction


def server_timing(prediction: Prediction) -> str:
    """Its value, in milliseconds."""
    seconds = prediction.timings.stage_seconds()
    return ", ".join(f"{stage};dur={spent_s * 1000:.1f}" for stage, spent_s in seconds.items())
