"""What the OpenAPI document says of the paths below `/label-studio/{model}`."""

from dataclasses import dataclass, field
from typing import Any

from serve_app.faces.label_studio.label_config import FILLED
from serve_app.faces.label_studio.messages import MAX_TASKS
from serve_app.http.openapi_parts import Described, answers, problems, ref

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_XML: Schema = {"type": "string", "description": "The labelling configuration, XML"}
_SAID: Schema = {"type": ["string", "null"]}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


SCHEMAS: dict[str, Schema] = {
    "LabelStudioPrediction": {
        **_object(
            [],
            result={"type": "array", "items": ref("LabelStudioResult")},
            score={"type": ["number", "null"], "description": "The mean of the results' scores"},
            model_version=_TEXT,
            error={"type": "string", "description": "Why there is no prediction for this task"},
        ),
        "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
    },
    "LabelStudioResult": _object(
        ["id", "from_name", "to_name", "type", "original_width", "original_height", "value", "score"],
        id=_TEXT,
        from_name=_TEXT,
        to_name=_TEXT,
        type={"type": "string", "enum": list(FILLED)},
        original_width={"type": "integer"},
        original_height={"type": "integer"},
        image_rotation={"const": 0},
        value={"type": "object", "description": "Positions in percent of the image"},
        score=_NUMBER,
    ),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What is said of one path. status: of a good answer."""

    summary: str
    responses: Described
    status: int = 200
    body: Schema = field(default_factory=dict)

    @property
    def extra(self) -> Schema:
        """Parameters and body."""
        named: Schema = {
            "name": "model",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            "description": "A model's name, or a queue that it answers for",
        }
        if not self.body:
            return {"parameters": [named]}
        content = {"application/json": {"schema": self.body}}
        return {"parameters": [named], "requestBody": {"required": True, "content": content}}


_ERRORS_OF_A_POST = (404, 408, 413, 415, 422)

STATES = Operation(
    "Whether the model answers, for Label Studio",
    {
        200: answers("It does.", _object(["status", "model_class"], status={"const": "UP"}, model_class=_TEXT)),
        **problems(404, 422, 503),
    },
)
VERSIONS = Operation(
    "The versions of the model, for Label Studio",
    {
        200: answers("There is one.", _object(["versions"], versions={"type": "array", "items": _TEXT})),
        **problems(404, 422),
    },
)
SETUP = Operation(
    "Whether the model suits a project of Label Studio",
    {
        200: answers("It does.", _object(["model_version"], model_version=_TEXT)),
        **problems(*_ERRORS_OF_A_POST),
    },
    body=_object(["schema"], project=_SAID, schema=_XML, hostname=_SAID, access_token=_SAID),
)
PREDICT = Operation(
    "Predictions for tasks of Label Studio",
    {
        200: answers(
            "What was found in the image of each task, in their order.",
            _object(
                ["results", "model_version"],
                results={"type": "array", "items": ref("LabelStudioPrediction")},
                model_version=_TEXT,
            ),
        ),
        **problems(*_ERRORS_OF_A_POST),
    },
    body=_object(
        ["tasks", "label_config"],
        tasks={
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_TASKS,
            "items": _object(["data"], data={"type": "object"}),
        },
        label_config=_XML,
        project=_SAID,
        params={"type": ["object", "null"]},
    ),
)
WEBHOOK = Operation(
    "Something happened in a project of Label Studio",
    {
        201: answers("Noted. Nothing is trained here.", _object(["status"], status={"const": "ok"}, result=_TEXT)),
        **problems(*_ERRORS_OF_A_POST),
    },
    status=201,
    body=_object(["action"], action={"type": "string", "minLength": 1, "maxLength": 100}),
)
