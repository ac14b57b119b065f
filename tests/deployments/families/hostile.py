"""What the tests of hostile generic models share."""

from pathlib import Path

import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family

CLASSIFIER = {"task": "classifier", "pixel_range": "0..1"}


def refused(family: str, path: Path, reason: str) -> None:
    """Refused before anything is built, for `reason`, by a message that names the file."""
    definition = ModelDefinition(
        family=family, weights=str(path), labels=("red", "green", "blue"), canvas_px=(32, 32), parameters=CLASSIFIER
    )
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        load_family(definition)
    assert path.name in caught.value.message
