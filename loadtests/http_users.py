"""Locust users of the HTTP door: they post images as the legacy scripts do, with `model_type`.

locust -f loadtests/http_users.py --headless -u 8 -r 8 -t 60s --host http://127.0.0.1:8082
"""

import os
import random

from locust import HttpUser, constant, task

from loadtests.answers import http_reason
from loadtests.frames import sample_frames
from loadtests.options import load_options
from loadtests.thresholds import enforce

OPTIONS = load_options(os.environ)
FRAMES = sample_frames()
enforce(OPTIONS)


class PostingUser(HttpUser):
    """Posts one sample after the other and checks each answer."""

    wait_time = constant(OPTIONS.pause_s)

    @task
    def predict(self) -> None:
        """Posts one form: the image first, the model after it, and `file` as the name of the file."""
        form = {
            "file": ("file", random.choice(FRAMES).png, "image/png"),
            "model_type": (None, OPTIONS.model),
        }
        with self.client.post("/predictor/", files=form, timeout=OPTIONS.patience_s, catch_response=True) as response:
            if reason := http_reason(response.status_code, response.content or b""):
                response.failure(reason)
