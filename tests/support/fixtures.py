"""Files that may not be passed on with the repository: real checkpoints and photographs with reference outputs.

Each family is compared with its reference without them. Where FATHOM_TEST_FIXTURES names their folder, the tests that
need them run too, and a file that is missing there is an error; where it is not set those tests are skipped.
"""

import os
from pathlib import Path

import pytest

VARIABLE = "FATHOM_TEST_FIXTURES"
FIXTURES = Path(os.environ[VARIABLE]).resolve() if os.environ.get(VARIABLE) else None


def fixtures_folder() -> Path:
    """The folder of these files; skips the test where there is none."""
    if FIXTURES is None:
        pytest.skip(f"{VARIABLE} is not set")
    return FIXTURES


def fixture_file(name: str) -> Path:
    """The file `name` of the folder; skips the test where there is no folder."""
    path = fixtures_folder() / name
    assert path.exists(), f"{path} is missing, although {VARIABLE} names its folder"
    return path
