"""Options of all load tests. They come from the environment, because Locust owns the command line."""

from collections.abc import Mapping

from pydantic import Field

from deployments.definition import Settings

PREFIX = "LOADTEST_"


class LoadOptions(Settings):
    """The field `pause_s` is the variable LOADTEST_PAUSE_S; times are in seconds."""

    model: str = Field(default="image_queue_detectron2", min_length=1)
    """`model_type` over HTTP, the queue over Redis. A queue's name works at both doors."""

    pause_s: float = Field(default=0.05, ge=0)
    """Pause of a user between an answer and its next request."""

    patience_s: float = Field(default=30.0, gt=0)
    """Timeout of an answer; one that takes longer is a failure."""

    poll_s: float = Field(default=0.02, gt=0)
    """Poll interval of a Redis user; part of what it measures."""

    max_failed_ratio: float = Field(default=0.0, ge=0, le=1)
    """The run fails if more than this share of all requests fail."""

    max_p95_s: float | None = Field(default=None, gt=0)
    """The run fails if the 95th percentile is above this; no limit if not set."""


def load_options(environ: Mapping[str, str]) -> LoadOptions:
    """The options in `environ`. Raises pydantic's ValidationError for an unknown name or a bad value."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environ.items() if name.startswith(PREFIX)}
    return LoadOptions.model_validate(given)
