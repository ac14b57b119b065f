"""The door with room for tensors."""

import pytest

from serve_app.settings import DoorSettings


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(default_model="benthic-demo", deadline_s=20)
