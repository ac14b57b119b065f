"""What the tests of families share: one TensorFlow for the whole process, and the files with reference outputs."""

from pathlib import Path

import pytest

from deployments.runtimes import Resources, Runtime, load_runtime
from tests.support.fixtures import fixtures_folder

THREADS = 2


@pytest.fixture(scope="session", autouse=True)
def _one_thread_setting() -> None:
    """Threads can be set only before TensorFlow's first operation, so they are set before any test."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture
def runtime() -> Runtime:
    """The product's TensorFlow runtime, without a graph yet."""
    return load_runtime("tensorflow", Resources(cpu_threads=THREADS))


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of reference outputs, weights and images that are not in the repository, where there is one."""
    return fixtures_folder()
