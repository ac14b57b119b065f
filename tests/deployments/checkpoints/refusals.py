"""The refusal of a checkpoint."""

from pathlib import Path

import pytest

from deployments.checkpoints import open_checkpoint
from deployments.errors import ModelUnavailable


def refused(path: Path, reason: str) -> None:
    """The file is refused for `reason`, by a message that names the file."""
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        open_checkpoint(path)
    assert path.name in caught.value.message
