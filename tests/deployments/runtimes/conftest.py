"""What the tests of runtimes share: one TensorFlow for the whole process."""

from tests.support.tensorflow_runtime import one_thread_setting, runtime

__all__ = ["one_thread_setting", "runtime"]
