"""Models that mean harm: each is refused with its reason, and nothing in it is executed.

The ones that do something would create a marker file; for each format one test proves that they would, so that
the absence of the marker means something.
"""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from tests.families.small_generic_models import (
    quiet,
    save_onnx,
    write_keras_classifier,
    write_onnx_classifier,
    write_saved_model_classifier,
)

CLASSIFIER = {"task": "classifier", "pixel_range": "0..1"}


def refused(family: str, path: Path, reason: str) -> None:
    """Refused before anything is built, for `reason`, by a message that names the file."""
    definition = ModelDefinition(
        family=family, weights=str(path), labels=("red", "green", "blue"), canvas_px=(32, 32), parameters=CLASSIFIER
    )
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        load_family(definition)
    assert path.name in caught.value.message


# --- .keras ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest_keras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "honest.keras"
    write_keras_classifier(path)
    return path


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_layer(honest: Path, path: Path, layer: dict[str, Any]) -> Path:
    """The honest model with its pooling layer replaced."""
    content = entries(honest)
    config = json.loads(content["config.json"])
    layers = config["config"]["layers"]
    layers[1] = {**layers[1], "registered_name": None} | layer
    return write_archive(path, content | {"config.json": json.dumps(config).encode()})


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}
LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "Lambda": ({"class_name": "Lambda", "config": {"function": LAMBDA}}, "the layer Lambda can run code"),
    "SavedModel inside": (
        {"class_name": "TFSMLayer", "config": {"filepath": "/tmp/evil"}},
        "the layer TFSMLayer can run code or read other files",
    ),
    "pickle inside": ({"class_name": "TorchModuleWrapper", "config": {"module": "gASV"}}, "the layer TorchModule"),
    "vocabulary from a path": (
        {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        "the layer StringLookup can run code or read other files",
    ),
    "function of Python": (
        {"module": "os", "class_name": "system", "config": {"command": "true"}},
        r"os\.system .* is no layer or operation of Keras itself",
    ),
    "function of Keras": (
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://evil"}},
        r"keras\.utils\.get_file .* is no layer",
    ),
    "inner module of Keras": (
        {"module": "keras.src.saving.saving_lib", "class_name": "H5IOStore", "config": {}},
        r"keras\.src\.saving\.saving_lib\.H5IOStore .* is no layer",
    ),
    "registered class": (
        {"module": "evil", "class_name": "Evil", "registered_name": "evil>Evil", "config": {}},
        r"evil\.Evil \(registered as evil>Evil\)",
    ),
    "registered under a known name": (
        {"class_name": "Dense", "registered_name": "evil>Evil", "config": {}},
        r"keras\.layers\.Dense \(registered as evil>Evil\)",
    ),
    "no module": ({"module": None, "class_name": "Dense", "config": {}}, "without a module"),
    "lambda as activation": (
        {"class_name": "Dense", "config": {"units": 3, "activation": LAMBDA}},
        "'__lambda__' without a module",
    ),
    "function as activation": (
        {
            "class_name": "Dense",
            "config": {"activation": {"class_name": "function", "module": "os", "config": "system"}},
        },
        r"the function os\.system is none of keras\.activations",
    ),
    "type of TensorFlow": (
        {"class_name": "Dense", "config": {"spec": {"class_name": "__typespec__", "module": "os", "config": []}}},
        r"os\.__typespec__",
    ),
    "private name": ({"class_name": "__init__", "config": {}}, r"keras\.layers\.__init__"),
    "training of an inner model": (
        {"module": "keras", "class_name": "Sequential", "config": {"layers": []}, "compile_config": {"loss": "evil"}},
        "has its own training",
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_keras_file_may_name_known_layers_only(honest_keras: Path, tmp_path: Path, case: str) -> None:
    layer, reason = LAYERS[case]
    refused("keras", with_layer(honest_keras, tmp_path / "evil.keras", layer), reason)


def test_a_lambda_that_keras_itself_wrote_does_not_run(tmp_path: Path) -> None:
    import keras

    marker, path = tmp_path / "executed", tmp_path / "evil.keras"
    image = keras.Input((32, 32, 3))
    evil = keras.layers.Lambda(lambda x, place=str(marker): Path(place).touch() or x)
    with quiet():
        keras.Model(image, evil(image)).save(path)
    assert marker.exists(), "the layer does nothing, so that this test would show nothing"
    marker.unlink()
    refused("keras", path, "the layer Lambda can run code")
    assert not marker.exists()


def weights_with(edit: Callable[[h5py.File, Path], None], folder: Path) -> bytes:
    path = folder / "edited.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.eye(3, dtype=np.float32)
        edit(file, folder)
    return path.read_bytes()


def external_dataset(file: h5py.File, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_bytes(bytes(36))
    file.create_dataset("stolen", (9,), np.float32, external=[(str(secret), 0, 36)])


def virtual_dataset(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (3,))
    file.create_virtual_dataset("stolen", layout)


def external_link(file: h5py.File, folder: Path) -> None:
    file["stolen"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def soft_link(file: h5py.File, folder: Path) -> None:
    del folder
    file["again"] = h5py.SoftLink("/layers")


def texts(file: h5py.File, folder: Path) -> None:
    del folder
    file["words"] = ["a", "b"]


def circle(file: h5py.File, folder: Path) -> None:
    del folder
    file["layers/again"] = file["/"]


def maze(file: h5py.File, folder: Path) -> None:
    """Forty groups, and a million million ways through them."""
    del folder
    group = file.create_group("maze")
    for _ in range(40):
        inner = group.create_group("left")
        group["right"] = inner
        group = inner


def compressed(file: h5py.File, folder: Path) -> None:
    del folder
    file.create_dataset("small", data=np.zeros(1000, np.float32), compression="gzip")


def empty_terabyte(file: h5py.File, folder: Path) -> None:
    del folder
    file.create_dataset("huge", (2**38,), np.float32, chunks=(2**20,))


WEIGHTS: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    "external dataset": (external_dataset, "'/stolen' in the weights lies in another file"),
    "virtual dataset": (virtual_dataset, "'/stolen' in the weights lies in another file"),
    "external link": (external_link, "'/stolen' in the weights is a link"),
    "soft link": (soft_link, "'/again' in the weights is a link"),
    "texts": (texts, "'/words' in the weights holds no numbers"),
    "a circle": (circle, "'/layers/again' in the weights stands in two places"),
    "a maze": (maze, "'/maze/right' in the weights stands in two places"),
    "compressed": (compressed, "'/small' in the weights is compressed"),
    "an empty terabyte": (empty_terabyte, "'/huge' in the weights claims 1099511627776 bytes and holds 0"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_the_weights_of_a_keras_file_lie_in_it(honest_keras: Path, tmp_path: Path, case: str) -> None:
    edit, reason = WEIGHTS[case]
    content = entries(honest_keras) | {"model.weights.h5": weights_with(edit, tmp_path)}
    refused("keras", write_archive(tmp_path / "evil.keras", content), reason)


def test_a_keras_file_is_an_archive_of_three_entries(honest_keras: Path, tmp_path: Path) -> None:
    content = entries(honest_keras)
    path = tmp_path / "evil.keras"
    refused("keras", write_archive(path, content | {"assets/../../x": b""}), "it holds 4 entries")
    refused("keras", write_archive(path, content, zipfile.ZIP_DEFLATED), "is compressed")
    path.write_bytes(honest_keras.read_bytes()[:-100])
    refused("keras", path, "no model that Keras 3 has saved: no zip archive, or one that is cut short")
    refused("keras", write_archive(path, {str(number): b"" for number in range(2000)}), "2000 entries in a directory")
    refused("keras", tmp_path / "absent.keras", "cannot read the model: No such file")


ENTRIES = {
    "no end": ({"config.json": b"[" * 100_000}, "no model that Keras 3 has saved"),
    "no model": ({"config.json": b"[]"}, "config.json holds no model"),
    "nested": ({"config.json": b'{"config":' * 300 + b"1" + b"}" * 300}, "nested more than 200 deep"),
    "no weights": ({"model.weights.h5": b"\x89HDF"}, "weights.h5 is damaged"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_keras_file_with_a_damaged_entry_is_refused(honest_keras: Path, tmp_path: Path, case: str) -> None:
    change, reason = ENTRIES[case]
    refused("keras", write_archive(tmp_path / "evil.keras", entries(honest_keras) | change), reason)


def test_two_entries_of_one_name_are_refused(honest_keras: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "evil.keras", entries(honest_keras))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    refused("keras", path, "it holds 4 entries")


# --- SavedModel -----------------------------------------------------------------------------------------------------


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
    refused("saved-model", folder, "no folder of a SavedModel: No such file")
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


# --- ONNX -----------------------------------------------------------------------------------------------------------


def edited_onnx(path: Path, edit: Callable[[Any], None]) -> Path:
    """The honest classifier, changed."""
    write_onnx_classifier(path)
    model = onnx.load(path)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def external_tensor(name: str, place: str) -> Any:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=place)
    return tensor


def kernel_elsewhere(place: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        del model.graph.initializer[:]
        model.graph.initializer.append(external_tensor("kernel", place))

    return edit


def hidden_in_a_branch(model: Any) -> None:
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [3, 3])
    branch = helper.make_graph([], "branch", [], [output], initializer=[external_tensor("inner", "/etc/passwd")])
    model.graph.node.append(
        helper.make_node("If", ["condition"], ["kernel2"], then_branch=branch, else_branch=branch)
    )


def hidden_in_a_constant(model: Any) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external_tensor("inner", "../secret")))


def foreign(op: str, domain: str) -> Callable[[Any], None]:
    return lambda model: model.graph.node.append(helper.make_node(op, ["images"], ["x"], domain=domain))


def function_in_place_of_another(model: Any) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    function = helper.make_function("com.microsoft", "EPContext", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    model.functions.append(function)


def named(text: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        del model.metadata_props[:]
        helper.set_model_props(model, {"names": text})

    return edit


def second_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def text_input(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def no_nodes(model: Any) -> None:
    del model.graph.node[:]


ONNX: dict[str, tuple[Callable[[Any], None], str]] = {
    "weights at an absolute path": (kernel_elsewhere("/etc/passwd"), "'kernel' lies in another file, '/etc/passwd'"),
    "weights in a folder above": (kernel_elsewhere("../../x"), "'kernel' lies in another file"),
    "weights beside the file": (kernel_elsewhere("weights.bin"), "save the model as one file"),
    "external tensor in a branch": (hidden_in_a_branch, "'inner' lies in another file"),
    "external tensor in a constant": (hidden_in_a_constant, "'inner' lies in another file"),
    "operation of an extension": (foreign("Evil", "evil.ops"), "operation 'Evil' of 'evil.ops' is not of the ONNX"),
    "operation that opens files": (foreign("EPContext", "com.microsoft"), "operation 'EPContext' of 'com.microsoft'"),
    "operation that runs Python": (foreign("PythonOp", "com.microsoft"), "operation 'PythonOp' of 'com.microsoft'"),
    "function in a reserved domain": (function_in_place_of_another, "in the domain 'com.microsoft'"),
    "names that call": (named("__import__('os').system('true')"), "names in its metadata is no list of values"),
    "names too deep": (named("(" * 5000 + ")" * 5000), "names in its metadata is no list of values"),
    "names too long": (named("[" + "1," * 2**20 + "]"), "characters, the limit is"),
    "names that are none": (named("{0: 'a', 2: 'b'}"), "no list of classes, counted from 0"),
    "two inputs": (second_input, "the model has 2 inputs, expected one"),
    "input of texts": (text_input, "is of type object, expected float16"),
    "no graph": (no_nodes, "no ONNX model: its graph is empty"),
}


@pytest.mark.parametrize("case", ONNX)
def test_an_onnx_file_is_complete_and_only_computes(tmp_path: Path, case: str) -> None:
    edit, reason = ONNX[case]
    refused("onnx", edited_onnx(tmp_path / "evil.onnx", edit), reason)


def test_damaged_and_absent_onnx_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    refused("onnx", path, "cannot read the model: No such file")
    path.write_bytes(b"PK\x03\x04 no protobuf at all \xff\xff")
    refused("onnx", path, "no ONNX file, or a damaged one")
    path.write_bytes(b"")
    refused("onnx", path, "no ONNX model: its graph is empty")


def test_what_names_an_own_function_is_served(tmp_path: Path) -> None:
    """Exporters put parts of a network into functions of the file; these are no extension."""
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"])
    function = helper.make_function("pkg.torch", "pool", ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 32, 32])
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("pool", ["images"], ["pooled"], domain="pkg.torch"),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    path = tmp_path / "own.onnx"
    save_onnx(path, nodes, [images], [output], {}, ("a", "b", "c"), ("pkg.torch",))
    model = onnx.load(path)
    model.functions.append(function)
    path.write_bytes(model.SerializeToString())
    args = {"family": "onnx", "weights": str(path), "parameters": CLASSIFIER}
    assert load_family(ModelDefinition(**args)).labels == ("a", "b", "c")
