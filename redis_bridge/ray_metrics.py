"""The bridge's metrics as metrics of Ray Serve."""

from typing import Any

from ray.serve import metrics

from redis_bridge.metrics import ALL_METRICS, SECONDS_BUCKETS, Metric


class RayRecorder:
    """Reports to Ray's metrics agent. Made inside a replica, as Ray adds the replica's own tags."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {metric.name: _ray_metric(metric) for metric in ALL_METRICS}

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        """Adds to a counter, sets a gauge, or observes into a histogram."""
        labels = dict(zip(metric.tags, tags, strict=True))
        ray_metric = self._metrics[metric.name]
        if metric.kind == "counter":
            if value > 0:
                ray_metric.inc(value, labels)
        elif metric.kind == "gauge":
            ray_metric.set(value, labels)
        else:
            ray_metric.observe(value, labels)


def _ray_metric(metric: Metric) -> Any:
    if metric.kind == "counter":
        return metrics.Counter(metric.name, metric.description, tag_keys=metric.tags)
    if metric.kind == "gauge":
        return metrics.Gauge(metric.name, metric.description, tag_keys=metric.tags)
    return metrics.Histogram(metric.name, metric.description, boundaries=list(SECONDS_BUCKETS), tag_keys=metric.tags)
