"""Reports a model's measurements to Ray's metrics, from where Prometheus reads them.

Every series also carries Ray's own tags: application, deployment, replica.
"""

from collections import Counter
from collections.abc import Sequence

from ray.serve import metrics

from deployments.prediction import Outcome, Prediction, Timings, outcome_code
from deployments.process.buffered_counter import BufferedCounter
from deployments.serving.metrics import BATCH_BUCKETS, SECONDS_BUCKETS

STAGES = tuple(Timings().stage_seconds())


class ServeMeter:
    """The meter of one replica; must be made inside it."""

    def __init__(self, model: str) -> None:
        self._tags = {"model": model}
        self._requests = BufferedCounter(
            metrics.Counter("fathom_requests_total", "Requests answered by a model.", tag_keys=("model", "outcome")),
            ("outcome",),
            self._tags,
        )
        self._request_seconds = self._histogram("fathom_request_seconds", "Seconds of a call in the replica.")
        self._batch_size = metrics.Histogram(
            "fathom_batch_size", "Images in a batch.", boundaries=BATCH_BUCKETS, tag_keys=("model",)
        )
        self._batches = self._counting("fathom_batches_total", "Batches run.")
        self._batched_images = self._counting("fathom_batched_images_total", "Images run in batches.")
        self._waiting_images = metrics.Gauge(
            "fathom_waiting_images", "Images taken in and not answered yet.", tag_keys=("model",)
        )
        self._batch_limit = metrics.Gauge(
            "fathom_batch_limit", "Images that a batch may have under the latency target.", tag_keys=("model",)
        )
        self._batch_max_wait = metrics.Gauge(
            "fathom_batch_patience_seconds", "How long a batch may wait to be filled.", tag_keys=("model",)
        )
        self._seen_policy: tuple[int, float] | None = None
        self._stages = {
            stage: self._histogram(f"fathom_{stage}_seconds", f"Seconds of {stage} for an image.") for stage in STAGES
        }

    def answered(self, outcomes: Sequence[Outcome], call_s: float, in_work: int) -> None:
        """Counts every outcome; times the call, and the stages of its first prediction."""
        for code, count in Counter(outcome_code(outcome) for outcome in outcomes).items():
            self._requests.add(count, code)
        self._request_seconds.observe(call_s, self._tags)
        prediction = next((outcome for outcome in outcomes if isinstance(outcome, Prediction)), None)
        if prediction is not None:
            for stage, seconds in prediction.timings.stage_seconds().items():
                self._stages[stage].observe(seconds, self._tags)
        if in_work == 0:
            self._waiting_images.set(0, self._tags)

    def batch(self, size: int, in_work: int) -> None:
        """Counts a batch and its images: a histogram's sum is only an estimate in Ray's metrics."""
        self._batches.add(1)
        self._batched_images.add(size)
        self._batch_size.observe(size, self._tags)
        self._waiting_images.set(in_work, self._tags)

    def batch_policy(self, limit: int, max_wait_s: float) -> None:
        """Sets both gauges, if they have changed visibly."""
        seen = limit, round(max_wait_s, 3)
        if seen != self._seen_policy:
            self._seen_policy = seen
            self._batch_limit.set(limit, self._tags)
            self._batch_max_wait.set(max_wait_s, self._tags)

    def _counting(self, name: str, description: str) -> BufferedCounter:
        return BufferedCounter(metrics.Counter(name, description, tag_keys=("model",)), (), self._tags)

    @staticmethod
    def _histogram(name: str, description: str) -> metrics.Histogram:
        return metrics.Histogram(name, description, boundaries=SECONDS_BUCKETS, tag_keys=("model",))
