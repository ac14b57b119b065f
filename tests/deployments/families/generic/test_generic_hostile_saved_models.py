"""SavedModels that mean harm: each is refused with its reason, and nothing in it is executed.

They would create a marker file; one test proves that they would, so that the absence of it means something.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.deployments.families.hostile import refused
from tests.deployments.families.small_generic_models import quiet, write_saved_model_classifier


def saved(folder: Path, act: Callable[[Any], Any]) -> Path:
    """A SavedModel whose signature does `act` with the images."""

    class Model(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32, name="images")])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            with tf.control_dependencies([act(images)]):
                return tf.identity(tf.reduce_mean(images, [1, 2]))

    with quiet():
        tf.saved_model.save(Model(), str(folder))
    return folder


def save(images: Any, marker: str) -> Any:
    return tf.raw_ops.Save(filename=marker, tensor_names=["x"], data=[images])


def count_records(images: Any, marker: str) -> Any:
    del images
    return tf.data.TFRecordDataset(marker).reduce(0, lambda number, _: number + 1)


def map_file(images: Any, marker: str) -> Any:
    del images
    return tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[1], memory_region_name=marker)


def tell_debugger(images: Any, marker: str) -> Any:
    return tf.raw_ops.DebugIdentityV2(input=images, debug_urls=[f"file://{marker}"])


def fill_table(images: Any, marker: str) -> Any:
    del images
    table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
    return tf.raw_ops.InitializeTableFromTextFileV2(table_handle=table, filename=marker, key_index=-2, value_index=-1)


ACTS: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "writes a file": (lambda _, marker: tf.io.write_file(marker, "x"), "WriteFile"),
    "reads a file": (lambda _, marker: tf.io.read_file(marker), "ReadFile"),
    "lists files": (lambda _, marker: tf.io.matching_files(marker), "MatchingFiles"),
    "prints into a file": (lambda images, marker: tf.print(images, output_stream=f"file://{marker}"), "PrintV2"),
    "calls Python": (lambda images, _: tf.py_function(lambda x: x, [images], tf.float32), "EagerPyFunc"),
    "calls numpy": (lambda images, _: tf.numpy_function(lambda x: x, [images], tf.float32), "PyFunc"),
    "saves a checkpoint": (save, "Save"),
    "maps a file into memory": (map_file, "ImmutableConst"),
    "reads records": (count_records, "TFRecordDataset"),
    "writes for a debugger": (tell_debugger, "DebugIdentityV2"),
    "fills a table from a file": (fill_table, "InitializeTableFromTextFileV2"),
}


@pytest.mark.parametrize("case", ACTS)
def test_a_saved_model_may_only_compute(tmp_path: Path, case: str) -> None:
    act, operation = ACTS[case]
    marker = tmp_path / "executed"
    folder = saved(tmp_path / "evil", lambda images: act(images, str(marker)))
    refused("saved-model", folder, rf"uses operations that are not run.*\b{operation} \(in __inference")
    assert not marker.exists()


def test_the_marker_appears_when_tensorflow_runs_such_a_model(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    folder = saved(tmp_path / "evil", lambda _: tf.io.write_file(str(marker), "x"))
    assert not marker.exists()
    model = tf.saved_model.load(str(folder))
    model.signatures["serving_default"](images=tf.zeros((1, 32, 32, 3)))
    assert marker.exists()


def test_a_saved_model_may_not_call_the_functions_that_save_files(tmp_path: Path) -> None:
    """Those that TensorFlow adds to every file are known; here the signature is made to call one."""
    from tensorflow.core.protobuf import saved_model_pb2

    folder = tmp_path / "evil"
    write_saved_model_classifier(folder)
    program = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    functions = program.meta_graphs[0].graph_def.library.function
    saver = next(one.signature.name for one in functions if "traced_save" in one.signature.name)
    caller = next(one for one in functions if "signature_wrapper" in one.signature.name)
    call = next(node for node in caller.node_def if node.op == "StatefulPartitionedCall")
    call.attr["f"].func.name = saver
    (folder / "saved_model.pb").write_bytes(program.SerializeToString())
    refused("saved-model", folder, "which saves files, is called by others")
    call.op = saver
    (folder / "saved_model.pb").write_bytes(program.SerializeToString())
    refused("saved-model", folder, "uses operations that are not run")


def test_a_saved_model_is_a_folder_with_one_graph_of_tensorflow_2(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = tmp_path / "model"
    refused("saved-model", folder, "not a folder of a SavedModel: No such file")
    write_saved_model_classifier(folder)
    (folder / "saved_model.cpb").write_bytes(b"")
    refused("saved-model", folder, r"holds 'saved_model\.cpb'")
    (folder / "saved_model.cpb").unlink()
    program = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    program.meta_graphs[0].ClearField("object_graph_def")
    (folder / "saved_model.pb").write_bytes(program.SerializeToString())
    refused("saved-model", folder, "one of TensorFlow 1; expected one, exported by TensorFlow 2")
    (folder / "saved_model.pb").write_bytes(b"\xff" * 50)
    refused("saved-model", folder, r"saved_model\.pb is damaged")
