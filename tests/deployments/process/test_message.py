"""What travels between processes arrives as it was sent."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from ray import cloudpickle

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.prediction import Detections, Prediction, Timings
from deployments.request import Image, Options, Request

OPTIONS = Options(0.25, 0.5, 10, ("Sea star",), Tiling(overlap=0.25))
REQUEST = Request(Image.from_encoded(b"\x89PNG"), OPTIONS, 12.5, 3, "an-id", "00-trace")
DETECTIONS = Detections(
    np.ones((2, 4), np.float32), np.array([0.9, 0.5], np.float32), np.array([3, 1], np.int32), ("a", "b")
)
PREDICTION = Prediction(DETECTIONS, (720, 1280), "m", "7", Timings(0.1, 0.2, 0.3, 0.4, 5))


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_request_arrives_as_it_was_sent(dumps: Callable[[object], bytes]) -> None:
    arrived = pickle.loads(dumps([REQUEST]))[0]
    assert arrived.image.encoded.tobytes() == b"\x89PNG"
    assert (arrived.options, arrived.deadline_s, arrived.waiting_behind) == (OPTIONS, 12.5, 3)
    assert arrived.origin == REQUEST.origin


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_prediction_arrives_as_it_was_sent(dumps: Callable[[object], bytes]) -> None:
    arrived = pickle.loads(dumps([PREDICTION]))[0]
    assert list(arrived.result) == list(DETECTIONS)
    assert arrived.result.class_ids.dtype == np.int32
    assert (arrived.image_size_px, arrived.model, arrived.revision) == ((720, 1280), "m", "7")
    assert arrived.timings == PREDICTION.timings


def test_what_arrives_is_checked_like_what_is_made() -> None:
    sent = pickle.dumps(OPTIONS).replace(np.float64(0.25).tobytes()[::-1], np.float64(4.0).tobytes()[::-1])
    with pytest.raises(InvalidRequest, match="score_threshold"):
        pickle.loads(sent)
