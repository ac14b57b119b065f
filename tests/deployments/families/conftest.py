"""What the tests of families share: one TensorFlow for the whole process, and the files with reference outputs."""

from pathlib import Path

import pytest

from tests.support.fixtures import fixtures_folder
from tests.support.tensorflow_runtime import one_thread_setting, runtime

__all__ = ["fixtures", "one_thread_setting", "runtime"]


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of reference outputs, weights and images that are not in the repository, where there is one."""
    return fixtures_folder()
