"""What all load tests have in common, read from the environment, since Locust owns the command line."""

from collections.abc import Mapping

from pydantic import Field

from deployments.definition import Settings

PREFIX = "LOADTEST_"


class LoadOptions(Settings):
    """One option for each variable LOADTEST_<NAME>; times in seconds."""

    model: str = Field(default="image_queue_detectron2", min_length=1)
    """`model_type` over HTTP, the queue over Redis: a name that a model answers for on both doors."""

    pause_s: float = Field(default=0.05, ge=0)
    """What a user waits between an answer and its next question."""

    patience_s: float = Field(default=30.0, gt=0)
    """An answer that takes longer is a failure."""

    poll_s: float = Field(default=0.02, gt=0)
    """How often a Redis user looks for its answer; part of what it measures."""

    max_failed_ratio: float = Field(default=0.0, ge=0, le=1)
    """More failures than this share of all requests, and the run has failed."""

    max_p95_s: float | None = Field(default=None, gt=0)
    """A 95th percentile above this, and the run has failed; not set: no such limit."""


def load_options(environ: Mapping[str, str]) -> LoadOptions:
    """The options in `environ`. Raises pydantic's ValidationError for an unknown name or a bad value."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    return LoadOptions.model_validate(given)
