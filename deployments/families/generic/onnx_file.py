"""An ONNX file, checked before ONNX Runtime opens it. Runs nothing of it.

An ONNX graph computes in memory, with two ways out: tensors that lie in other files, and operations of an
extension. Both are refused. The packages `onnx` and `onnxruntime` are an extra and imported when needed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.checkpoints.file_kinds import kind_by_head
from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_input import TensorFacts
from deployments.families.shared.optional_package import optional_package

MAX_FILE_BYTES = 2**31 - 1
"""What a protobuf message can hold."""

MAX_LITERAL_CHARACTERS = 2**20
MAX_DEPTH = 50

_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_RUNTIME = "com.microsoft"
_RESERVED_DOMAINS = ("ai.onnx", "com.microsoft", "com.ms", "org.pytorch")
# Of ONNX Runtime's own operations those that its optimizer and quantizer write into files.
_RUNTIME_OPS_TEXT = """
    BiasGelu BiasSoftmax BiasSplitGelu DequantizeLinear FastGelu FusedConv FusedGemm FusedMatMul Gelu GroupNorm
    NhwcConv NhwcFusedConv NhwcMaxPool QAttention QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv
    QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
    QLinearWhere QuantizeLinear QuickGelu SkipLayerNormalization
"""
_RUNTIME_OPS = frozenset(_RUNTIME_OPS_TEXT.split())


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file that may be opened."""

    content: bytes
    """The whole file."""

    input: TensorFacts
    """The only input."""

    labels: tuple[str, ...] | None
    """None where it names no classes."""

    canvas_px: tuple[int, int] | None
    """Height and width that its exporter wrote down; None where it did not."""


def read_onnx(path: Path) -> OnnxFile:
    """Read and check the file at `path`. Raises ModelUnavailable with what was found in it."""
    onnx = optional_package("onnx")
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelUnavailable(f"{path.name}: {size} bytes, the limit is {MAX_FILE_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailable(f"{path}: cannot read the model: {error.strerror}") from error
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:
        # What protobuf raises on damaged bytes differs between its implementations.
        kind = kind_by_head(content)
        found = f"not an ONNX file: it is {kind}" if kind else "not an ONNX file, or a damaged one"
        raise ModelUnavailable(f"{path.name}: {found}") from error
    try:
        _check_model(onnx, model)
        return OnnxFile(content, _only_input(onnx, model), _labels(model), _canvas_px(model))
    except _UnsafeGraph as error:
        raise ModelUnavailable(f"{path.name}: {error}") from error


class _UnsafeGraph(ValueError):
    """Why a model is not opened."""


def _check_model(onnx: Any, model: Any) -> None:
    if not model.graph.node:
        raise _UnsafeGraph("not an ONNX model: its graph is empty")
    own = {(function.domain, function.name) for function in model.functions}
    taken = [domain for domain, _ in own if not domain or domain.startswith(_RESERVED_DOMAINS)]
    if taken:
        raise _UnsafeGraph(f"defines functions in the domain {taken[0]!r}, which is not a model's own")
    graphs = [model.graph]
    for info in model.training_info:
        graphs += [info.initialization, info.algorithm]
    for graph in graphs:
        _check_tensors(onnx, (*graph.initializer, *_halves(graph.sparse_initializer)))
        _check_nodes(onnx, graph.node, own, 0)
    for function in model.functions:
        _check_nodes(onnx, function.node, own, 0)
        for attribute in function.attribute_proto:
            _check_attribute(onnx, attribute, own, 0)


def _check_nodes(onnx: Any, nodes: Any, own: set[tuple[str, str]], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _UnsafeGraph(f"its graphs are nested more than {MAX_DEPTH} deep")
    for node in nodes:
        known = (
            node.domain in _STANDARD
            or (node.domain == _RUNTIME and node.op_type in _RUNTIME_OPS)
            or (node.domain, node.op_type) in own
        )
        if not known:
            raise _UnsafeGraph(
                f"operation {node.op_type[:60]!r} of {node.domain[:60]!r} is not of the ONNX standard, and "
                "extensions are not loaded"
            )
        for attribute in node.attribute:
            _check_attribute(onnx, attribute, own, depth)


def _check_attribute(onnx: Any, attribute: Any, own: set[tuple[str, str]], depth: int) -> None:
    sparse = _halves((attribute.sparse_tensor, *attribute.sparse_tensors))
    _check_tensors(onnx, (attribute.t, *attribute.tensors, *sparse))
    for graph in (attribute.g, *attribute.graphs):
        _check_tensors(onnx, (*graph.initializer, *_halves(graph.sparse_initializer)))
        _check_nodes(onnx, graph.node, own, depth + 1)


def _halves(sparse_tensors: Any) -> Iterator[Any]:
    for tensor in sparse_tensors:
        yield from (tensor.values, tensor.indices)


def _check_tensors(onnx: Any, tensors: Any) -> None:
    for tensor in tensors:
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
            raise _UnsafeGraph(
                f"tensor {tensor.name[:60]!r} lies in another file, {place[:80]!r}; save the model as one file"
            )


def _only_input(onnx: Any, model: Any) -> TensorFacts:
    # Old files list their weights among the inputs too.
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise _UnsafeGraph(f"the model has {len(inputs)} inputs, expected one, of images")
    tensor = inputs[0].type.tensor_type
    shape = tuple(
        side.dim_value if side.HasField("dim_value") and side.dim_value > 0 else None for side in tensor.shape.dim
    )
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError, TypeError):
        raise _UnsafeGraph(f"input {inputs[0].name[:60]!r} is not a tensor of numbers") from None
    return TensorFacts(inputs[0].name, dtype, shape)


def _labels(model: Any) -> tuple[str, ...] | None:
    """Class names as ultralytics writes them: a Python literal, {0: 'person', ...}, in the metadata."""
    names = _metadata(model, "names")
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if names is None:
        return None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _UnsafeGraph(f"names in its metadata are not a list of classes, counted from 0: {str(names)[:60]}")
    return tuple(names)


def _canvas_px(model: Any) -> tuple[int, int] | None:
    """Height and width for which ultralytics exported a graph that takes any."""
    sides = _metadata(model, "imgsz")
    if isinstance(sides, list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
        return sides[0], sides[1]
    return None


def _metadata(model: Any, key: str) -> Any:
    """A literal of the metadata; None when it is not there. Constants only: nothing is looked up or called."""
    text = next((entry.value for entry in model.metadata_props if entry.key == key), None)
    if text is None:
        return None
    if len(text) > MAX_LITERAL_CHARACTERS:
        raise _UnsafeGraph(f"{key} in its metadata has {len(text)} characters, the limit is {MAX_LITERAL_CHARACTERS}")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise _UnsafeGraph(f"{key} in its metadata is not a list of values: {text[:60]!r}") from None
