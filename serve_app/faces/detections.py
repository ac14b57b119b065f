"""What a face needs of a prediction when its protocol knows only boxes."""

from deployments.errors import InvalidRequest
from deployments.prediction import Detections, Prediction


def detections_of(prediction: Prediction) -> Detections:
    """Raises InvalidRequest where the model answers something else."""
    result = prediction.result
    if not isinstance(result, Detections):
        raise InvalidRequest(
            f"{prediction.model} answers {result.what}, which this protocol has no words for; see /v1"
        )
    return result
