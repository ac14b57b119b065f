"""What the tests of runtimes share."""

import pytest

from deployments.runtimes import Resources, Runtime, load_runtime

THREADS = 2


@pytest.fixture(scope="session")
def _one_thread_setting() -> None:
    """Threads can be set only before TensorFlow's first operation; the tests of families set the same."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture
def runtime(_one_thread_setting: None) -> Runtime:
    """The product's TensorFlow runtime, without a graph yet."""
    return load_runtime("tensorflow", Resources(cpu_threads=THREADS))
