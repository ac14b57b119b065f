"""One TensorFlow for the whole process: its threads, and the product's runtime as a fixture."""

import pytest

from deployments.runtimes import Resources, Runtime, load_runtime

THREADS = 2


@pytest.fixture(scope="session", autouse=True)
def one_thread_setting() -> None:
    """Threads can be set only before TensorFlow's first operation, so they are set before any test."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture
def runtime() -> Runtime:
    """The product's TensorFlow runtime, without a graph yet."""
    return load_runtime("tensorflow", Resources(cpu_threads=THREADS))
