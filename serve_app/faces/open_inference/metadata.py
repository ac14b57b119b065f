"""What clients are told of the server and its models. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from deployments.catalogue import Catalogue, ModelRecord, ModelState
from serve_app.faces.open_inference import raw
from serve_app.faces.open_inference.images import IMAGE, PIXELS
from serve_app.faces.open_inference.named import NamedModel, answers_what
from serve_app.faces.open_inference.outputs import described_for
from serve_app.faces.open_inference.tensors import BYTES

SERVER = {
    "name": "fathomnet-serve",
    "version": "2",
    "extensions": [
        "model_repository",
        "model_configuration",
        "statistics",
        "binary_tensor_data",
        "parameters",
    ],
}
"""version: of the protocol, as this server has no releases yet."""

_STATES = {
    ModelState.READY: "READY",
    ModelState.ASLEEP: "READY",
    ModelState.STARTING: "LOADING",
    ModelState.STOPPING: "UNLOADING",
}
"""A model that is asleep answers: the first request wakes it. All other states are UNAVAILABLE."""

Described = Mapping[str, tuple[str, list[int]]]
"""Name of a tensor -> its datatype and shape."""


def inputs_of(named: NamedModel) -> Described:
    """Of which a request has one."""
    if named.is_raw:
        return {raw.INPUT: (raw.DATATYPE, [-1, 3, -1, -1])}
    return {IMAGE: (BYTES, [-1]), PIXELS: ("UINT8", [-1, -1, -1, 3])}


def outputs_of_model(named: NamedModel) -> Described:
    """Those that are answered where none are named. Masks, keypoints and corners come with them where the model finds
    such, which only its weights say."""
    if named.is_raw:
        rows = raw.BOX_ROWS + len(named.record.definition.labels or ())
        return {raw.OUTPUT: (raw.DATATYPE, [-1, rows, -1])}
    return described_for(answers_what(named.record))


def metadata_of(named: NamedModel) -> dict[str, Any]:
    """The model's tensors."""
    return {
        "name": named.name,
        "versions": [named.version],
        "platform": _platform(named.record),
        "inputs": _tensors(inputs_of(named)),
        "outputs": _tensors(outputs_of_model(named)),
    }


def config_of(named: NamedModel) -> dict[str, Any]:
    """Triton's configuration of the model, as far as there is one here."""
    config = {
        "name": named.name,
        "platform": _platform(named.record),
        "backend": named.record.definition.family,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": 0,
        "input": [{**one, "optional": not named.is_raw} for one in _configured(inputs_of(named))],
        "output": list(_configured(outputs_of_model(named))),
        "parameters": {},
    }
    if named.is_raw:
        config["parameters"] = {"metadata": {"string_value": raw.literal_of(named.record)}}
    return config


def index_of(models: Iterable[NamedModel], only_ready: bool) -> list[dict[str, str]]:
    """The models with their states."""
    rows = [
        {
            "name": named.name,
            "version": named.version,
            "state": _STATES.get(named.record.state, "UNAVAILABLE"),
            "reason": named.record.reason,
        }
        for named in models
    ]
    return [row for row in rows if row["state"] == "READY"] if only_ready else rows


def why_not_ready(catalogue: Catalogue) -> str:
    """'' while a request to each required model would be answered now."""
    missing = [one for one in catalogue.records() if one.definition.required and not one.can_answer]
    return "; ".join(one.unavailable().message for one in missing)


def _platform(record: ModelRecord) -> str:
    return f"fathomnet_{record.definition.family}"


def _tensors(described: Described) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": shape} for name, (datatype, shape) in described.items()]


def _configured(described: Described) -> Iterable[dict[str, Any]]:
    for name, (datatype, shape) in described.items():
        kind = "STRING" if datatype == BYTES else datatype
        yield {"name": name, "data_type": f"TYPE_{kind}", "dims": shape}
