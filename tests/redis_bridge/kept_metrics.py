"""A recorder of metrics for tests."""

from redis_bridge.metrics import Metric


class Kept:
    """A recorder that keeps everything."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[tuple[str, float]] = []

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        assert len(tags) == len(metric.tags)
        self.seen.append((metric.name, tags))
        self.values.append((metric.name, value))
