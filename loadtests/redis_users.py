"""Locust users of the Redis door: they push jobs and poll the key of the answer, as legacy clients do.

locust -f loadtests/redis_users.py --headless -u 8 -r 8 -t 60s --host redis://127.0.0.1:6379/0
"""

import os
import random
import time
import uuid

import redis
from locust import User, constant, task

from loadtests.answers import redis_reason
from loadtests.frames import JobTemplate, job_template, sample_frames
from loadtests.options import load_options
from loadtests.thresholds import enforce

OPTIONS = load_options(os.environ)
TEMPLATES: list[JobTemplate] = [job_template(frame) for frame in sample_frames()]
enforce(OPTIONS)


class InvalidAnswer(Exception):
    """The answer does not carry a list of predictions."""


class NoAnswer(Exception):
    """There was no answer within the timeout."""


class QueueingUser(User):
    """Pushes one job after the other and fetches each answer. `host` is the URL of Redis, by default REDIS_URL."""

    host = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    wait_time = constant(OPTIONS.pause_s)

    def on_start(self) -> None:
        """Opens one connection for this user, as separate clients have."""
        self.connection = redis.Redis.from_url(self.host, socket_timeout=OPTIONS.patience_s)

    def on_stop(self) -> None:
        """Closes the connection."""
        self.connection.close()

    @task
    def predict(self) -> None:
        """Pushes one job and reports the time from its push to its answer to Locust, as one request."""
        job_id = str(uuid.uuid4())
        job = random.choice(TEMPLATES).job(job_id)
        answer: bytes = b""
        error: Exception | None = None
        start_s = time.perf_counter()
        try:
            answer = self._answer_for(job_id, job)
            if reason := redis_reason(answer):
                error = InvalidAnswer(reason)
        except (redis.RedisError, NoAnswer) as raised:
            error = raised
        self.environment.events.request.fire(
            request_type="RPUSH",
            name=OPTIONS.model,
            response_time=(time.perf_counter() - start_s) * 1000,
            response_length=len(answer),
            exception=error,
            context=self.context(),
        )

    def _answer_for(self, job_id: str, job: bytes) -> bytes:
        self.connection.rpush(OPTIONS.model, job)
        ends_at_s = time.monotonic() + OPTIONS.patience_s
        while (answer := self.connection.get(job_id)) is None:
            if time.monotonic() > ends_at_s:
                raise NoAnswer(f"no answer within {OPTIONS.patience_s:g} s")
            time.sleep(OPTIONS.poll_s)  # Locust has patched it to let the other users run
        self.connection.delete(job_id)
        assert isinstance(answer, bytes)
        return answer
