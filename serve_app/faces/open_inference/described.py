"""What the OpenAPI document says of the paths of the Open Inference Protocol."""

from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from serve_app.faces.open_inference.envelope import MAX_ID_CHARACTERS, MAX_TENSORS
from serve_app.faces.open_inference.images import MAX_IMAGES
from serve_app.faces.open_inference.tensors import DATATYPES, MAX_DIMENSIONS, MAX_SIDE
from serve_app.http.openapi_parts import answers, problems, ref

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DATATYPE: Schema = {"type": "string", "enum": sorted(DATATYPES)}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _closed(required: list[str], **properties: Schema) -> Schema:
    return {**_object(required, **properties), "additionalProperties": False}


def _list_of(items: Schema, **limits: int) -> Schema:
    return {"type": "array", "items": items, **limits}


_SHAPE = _list_of({"type": "integer", "minimum": 0, "maximum": MAX_SIDE}, minItems=1, maxItems=MAX_DIMENSIONS)
_SIZES = _list_of({"type": "integer", "minimum": -1})
_TENSORS = _list_of(_object(["name", "datatype", "shape"], name=_TEXT, datatype=_DATATYPE, shape=_SIZES))
_DURATION = _object(["count", "ns"], count=_COUNT, ns=_COUNT)
_STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output")
_CONFIGURED = _list_of(_object(["name", "data_type", "dims"], name=_TEXT, data_type=_TEXT, dims=_SIZES))

_SENT_TENSOR = _closed(
    ["name", "shape", "datatype", "data"],
    name={"enum": ["image", "pixels", "images"]},
    shape=_SHAPE,
    datatype=_DATATYPE,
    parameters=_closed([]),
    data={
        "type": "array",
        "description": "Row by row, nested or flat; an encoded image (BYTES) as base64. Not where the tensor stands "
        "as bytes after the JSON: then parameters.binary_data_size says how many they are",
    },
)

SCHEMAS: dict[str, Schema] = {
    "OipModel": _object(
        ["name", "versions", "platform", "inputs", "outputs"],
        name=_TEXT,
        versions=_list_of(_TEXT),
        platform=_TEXT,
        inputs=_TENSORS,
        outputs=_TENSORS,
    ),
    "OipConfig": _object(
        ["name", "platform", "input", "output", "parameters"],
        name=_TEXT,
        platform=_TEXT,
        input=_CONFIGURED,
        output=_CONFIGURED,
        parameters={"type": "object", "description": "Of raw rows: metadata, the Python literal for ultralytics"},
    ),
    "OipStatistics": _object(
        ["model_stats"],
        model_stats=_list_of(
            _object(
                ["name", "version", "last_inference", "inference_count", "execution_count", "inference_stats"],
                name=_TEXT,
                version=_TEXT,
                last_inference=_COUNT,
                inference_count=_COUNT,
                execution_count=_COUNT,
                inference_stats=_object(list(_STAGES), **dict.fromkeys(_STAGES, _DURATION)),
            )
        ),
    ),
    "OipIndex": _list_of(
        _object(
            ["name", "version", "state", "reason"],
            name=_TEXT,
            version=_TEXT,
            state={"enum": ["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]},
            reason=_TEXT,
        )
    ),
    "OipAnswer": _object(
        ["model_name", "model_version", "outputs"],
        model_name=_TEXT,
        model_version=_TEXT,
        id=_TEXT,
        outputs=_list_of(
            _object(
                ["name", "datatype", "shape"],
                name=_TEXT,
                datatype=_DATATYPE,
                shape=_list_of(_COUNT),
                parameters={"type": "object"},
                data={"type": "array"},
            )
        ),
    ),
}

_INFER = _closed(
    ["inputs"],
    id={"type": "string", "maxLength": MAX_ID_CHARACTERS},
    parameters={"type": "object", "description": "The options of /v1, timeout in microseconds, binary_data_output"},
    inputs=_list_of(_SENT_TENSOR, minItems=1, maxItems=MAX_TENSORS),
    outputs=_list_of(
        _closed(["name"], name=_NAME, parameters=_closed([], binary_data={"type": "boolean"})), maxItems=MAX_TENSORS
    ),
)


@dataclass(frozen=True, slots=True)
class Described:
    """One operation. found: the schema of its answer. statuses: of problems. body: the schema of what is sent."""

    summary: str
    found: Schema
    statuses: tuple[int, ...] = ()
    body: Schema | None = None
    extra: Schema = field(default_factory=dict)
    """More media types of the answer -> what is said of them."""

    def of(self, path: str) -> dict[str, Any]:
        """What FastAPI takes of it, for a route of this path."""
        answer = answers(self.summary, self.found)
        answer["content"] |= self.extra
        described: dict[str, Any] = {
            "parameters": [_PARAMETERS[name] for name in _PARAMETERS if f"{{{name}}}" in path]
        }
        if self.body is not None:
            content = {"application/json": {"schema": self.body}}
            described["requestBody"] = {"required": self.body is _INFER, "content": content}
        return {
            "summary": self.summary,
            "response_class": Response,
            "responses": {200: answer, **problems(*self.statuses)},
            "openapi_extra": described,
        }


_PARAMETERS: dict[str, Schema] = {
    "model": {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": _NAME,
        "description": "A model's name, or a queue that it answers for; with -raw after it, its raw rows",
    },
    "version": {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": _NAME,
        "description": "The model's revision; 1 for an external worker",
    },
}

_OF_POSTS = (408, 413, 415, 422)
_NOTHING: Schema = {"type": "object", "maxProperties": 0}
_BYTES: Schema = {
    "application/octet-stream": {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "The JSON, and the tensors after it; the header Inference-Header-Content-Length says "
            "where they begin",
        }
    }
}


class Operations:
    """Those of the protocol."""

    LIVE = Described("Whether this door answers", _object(["live"], live={"const": True}))
    READY = Described(
        "Whether every required model would answer now",
        _object(["live", "ready"], live={"const": True}, ready={"const": True}),
        (503,),
    )
    SERVER = Described(
        "The server and its extensions of the protocol",
        _object(["name", "version", "extensions"], name=_TEXT, version=_TEXT, extensions=_list_of(_TEXT)),
    )
    METADATA = Described("The tensors of a model", ref("OipModel"), (404,))
    MODEL_READY = Described(
        "Whether a request to this model would be answered now",
        _object(["name", "ready"], name=_TEXT, ready={"const": True}),
        (404, 503),
    )
    CONFIG = Described("A model's configuration, as Triton writes it", ref("OipConfig"), (404,))
    STATISTICS = Described("What a model was asked through this face", ref("OipStatistics"), (404,))
    ALL_STATISTICS = Described("What each model was asked through this face", ref("OipStatistics"))
    INDEX = Described(
        "All models with their states", ref("OipIndex"), _OF_POSTS, _closed([], ready={"type": "boolean"})
    )
    LOAD = Described(
        "Waits until the model answers; one that is asleep is woken",
        _NOTHING,
        (404, *_OF_POSTS),
        _closed([], parameters=_NOTHING),
    )
    UNLOAD = Described(
        "Refused: nobody may take a model from others",
        _NOTHING,
        (404, *_OF_POSTS),
        _closed([], parameters={"type": "object"}),
    )
    INFER = Described(
        f"What a model finds in 1 to {MAX_IMAGES} images", ref("OipAnswer"), (404, *_OF_POSTS), _INFER, _BYTES
    )
