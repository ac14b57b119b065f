"""A SavedModel, checked before TensorFlow loads it. Runs nothing of it.

A SavedModel is a program: loading it runs some of its functions, asking it runs others. So every operation of
every function must be one that only computes (`saved_model_ops.py`). Two functions of each file save and restore
its variables and do name files; they may stand in it as long as nothing calls them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_input import TensorFacts
from deployments.families.generic.saved_model_ops import INFERENCE_OPS, SAVER_OPS

MAX_PROGRAM_BYTES = 2**30
PROGRAM = "saved_model.pb"

# TensorFlow prefers other encodings of the program where they lie beside it, which would pass by this check.
_KNOWN_ENTRIES = frozenset(
    {PROGRAM, "variables", "assets", "assets.extra", "fingerprint.pb", "keras_metadata.pb", "debug"}
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SavedSignature:
    """One signature of a SavedModel."""

    input: TensorFacts
    """The only input."""

    input_key: str
    """The name under which the function takes it."""


def check_saved_model(folder: Path, signature: str) -> SavedSignature:
    """Check the SavedModel in `folder`. Raises ModelUnavailable with what was found in it."""
    graph = _only_graph(folder)
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    savers = {name for name, function in functions.items() if _ops(function) & SAVER_OPS}
    foreign = {op: name for name, function in functions.items() for op in _ops(function) - INFERENCE_OPS - SAVER_OPS}
    foreign |= {node.op: "the main graph" for node in graph.graph_def.node if node.op not in INFERENCE_OPS}
    if foreign:
        shown = ", ".join(f"{op[:60]} (in {name[:60]})" for op, name in sorted(foreign.items())[:_SHOWN])
        raise ModelUnavailable(
            f"{folder.name}: uses operations that are not run, as they may read or write files, run Python or need "
            f"an extension: {shown}"
        )
    called = savers & set(_called_names(graph))
    if called:
        raise ModelUnavailable(
            f"{folder.name}: function {min(called)[:60]!r}, which saves files, is called by others"
        )
    return _signature(folder, graph, signature)


def _only_graph(folder: Path) -> Any:
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / PROGRAM
    try:
        unknown = sorted({entry.name for entry in folder.iterdir()} - _KNOWN_ENTRIES)
        if unknown:
            raise ModelUnavailable(f"{folder.name}: holds {unknown[0][:80]!r}, which is not part of a SavedModel")
        size = path.stat().st_size
        if size > MAX_PROGRAM_BYTES:
            raise ModelUnavailable(f"{folder.name}: {PROGRAM} has {size} bytes, the limit is {MAX_PROGRAM_BYTES}")
        program = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except OSError as error:
        raise ModelUnavailable(f"{folder}: not a folder of a SavedModel: {error.strerror}") from error
    except Exception as error:
        if isinstance(error, ModelUnavailable):
            raise
        # What protobuf raises on damaged bytes differs between its implementations.
        raise ModelUnavailable(f"{folder.name}: {PROGRAM} is damaged") from error
    graphs = program.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ModelUnavailable(
            f"{folder.name}: {len(graphs)} graphs, or one of TensorFlow 1; expected one, exported by TensorFlow 2"
        )
    return graphs[0]


def _ops(function: Any) -> set[str]:
    return {node.op for node in function.node_def}


def _called_names(graph: Any) -> Iterator[str]:
    """Names of functions that anything can call but the main graph, which TensorFlow 2 never runs."""
    library = graph.graph_def.library
    for function in library.function:
        for node in function.node_def:
            # An operation may be the name of a function itself.
            yield node.op
            for value in node.attr.values():
                yield value.func.name
                yield from (inner.name for inner in value.list.func)
    for gradient in library.gradient:
        yield from (gradient.function_name, gradient.gradient_func)
    for registered in library.registered_gradients:
        yield registered.gradient_func
    yield from graph.object_graph_def.concrete_functions
    for item in graph.object_graph_def.nodes:
        yield from item.function.concrete_functions
        yield from (item.bare_concrete_function.concrete_function_name, item.captured_tensor.concrete_function)


def _signature(folder: Path, graph: Any, name: str) -> SavedSignature:
    import tensorflow as tf

    signatures = graph.signature_def
    if name not in signatures:
        known = ", ".join(sorted(key for key in signatures if not key.startswith("__"))) or "none"
        raise ModelUnavailable(f"{folder.name}: has no signature {name!r}; it has: {known}")
    inputs = signatures[name].inputs
    if len(inputs) != 1:
        raise ModelUnavailable(
            f"{folder.name}: signature {name!r} has {len(inputs)} inputs ({', '.join(sorted(inputs))}), expected one"
        )
    [(key, tensor)] = inputs.items()
    shape = tensor.tensor_shape
    sides = () if shape.unknown_rank else tuple(None if side.size < 0 else side.size for side in shape.dim)
    return SavedSignature(TensorFacts(key, tf.dtypes.as_dtype(tensor.dtype).name, sides), key)
