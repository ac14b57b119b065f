"""Reports to Ray's metrics what becomes of requests that go to candidates. The table of names is docs/metrics.md."""

from ray.serve import metrics

from deployments.catalogue import ModelRecord
from deployments.client.revisions.comparison import Comparison
from deployments.process.buffered_counter import BufferedCounter

_TAGS = ("model", "candidate", "revision")


class ServeRevisionMeter:
    """The meter of one door, made inside its replica."""

    def __init__(self) -> None:
        self._shared = _counter(
            "fathom_candidate_requests_total", "Requests of the share of a candidate.", (*_TAGS, "outcome")
        )
        self._images = _counter(
            "fathom_shadow_images_total", "Copies of requests that were put to a candidate.", (*_TAGS, "outcome")
        )
        self._boxes = _counter("fathom_shadow_boxes_total", "Boxes compared.", (*_TAGS, "found_by"))
        self._score_difference = _counter(
            "fathom_shadow_score_difference_total", "Differences of the scores of boxes that both found.", _TAGS
        )

    def shared(self, candidate: ModelRecord, outcome: str, count: int) -> None:
        """Counts requests of a candidate's share."""
        self._shared.add(count, *_tags(candidate), outcome)

    def shadowed(self, candidate: ModelRecord, outcome: str) -> None:
        """Counts a copy."""
        self._images.add(1, *_tags(candidate), outcome)

    def compared(self, candidate: ModelRecord, comparison: Comparison) -> None:
        """Counts the boxes of a copy, and adds up how far the scores are apart."""
        tags = _tags(candidate)
        self._boxes.add(comparison.both, *tags, "both")
        self._boxes.add(comparison.only_model, *tags, "model")
        self._boxes.add(comparison.only_candidate, *tags, "candidate")
        self._score_difference.add(comparison.score_difference, *tags)


def _counter(name: str, description: str, tag_keys: tuple[str, ...]) -> BufferedCounter:
    return BufferedCounter(metrics.Counter(name, description, tag_keys=tag_keys), tag_keys, {})


def _tags(candidate: ModelRecord) -> tuple[str, str, str]:
    knob = candidate.knobs.candidate
    return (knob.of if knob else "", candidate.name, candidate.definition.revision)
