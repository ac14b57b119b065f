"""ONNX files that mean harm: each is refused with its reason before ONNX Runtime sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from deployments.definition import ModelDefinition
from deployments.families import load_family
from tests.deployments.families.hostile import CLASSIFIER, refused
from tests.deployments.families.small_generic_models import save_onnx, write_onnx_classifier


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
    "names that call": (named("__import__('os').system('true')"), "names in its metadata is not a list of values"),
    "names too deep": (named("(" * 5000 + ")" * 5000), "names in its metadata is not a list of values"),
    "names too long": (named("[" + "1," * 2**20 + "]"), "characters, the limit is"),
    "names that are none": (named("{0: 'a', 2: 'b'}"), "not a list of classes, counted from 0"),
    "two inputs": (second_input, "the model has 2 inputs, expected one"),
    "input of texts": (text_input, "is of type object, expected float16"),
    "no graph": (no_nodes, "not an ONNX model: its graph is empty"),
}


@pytest.mark.parametrize("case", ONNX)
def test_an_onnx_file_is_complete_and_only_computes(tmp_path: Path, case: str) -> None:
    edit, reason = ONNX[case]
    refused("onnx", edited_onnx(tmp_path / "evil.onnx", edit), reason)


def test_damaged_and_absent_onnx_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    refused("onnx", path, "cannot read the model: No such file")
    path.write_bytes(b"PK\x03\x04 no protobuf at all \xff\xff")
    refused("onnx", path, "not an ONNX file: it is a zip archive")
    path.write_bytes(b"")
    refused("onnx", path, "not an ONNX model: its graph is empty")


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
