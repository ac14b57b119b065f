"""Whether a model suits a labelling configuration, as far as can be told before it looks at an image. Pure."""

from deployments.catalogue import ModelRecord
from deployments.errors import InvalidRequest
from deployments.families import FAMILIES, answers_of
from deployments.prediction import ClassScores, Detections
from deployments.request import Options
from serve_app.faces.label_studio.label_config import CHOICES, FILLED, LabelConfig

_SHOWN_LABELS = 5


def version_of(record: ModelRecord) -> str:
    """What Label Studio compares with the version of the predictions that a task has already."""
    return f"{record.name}@{record.definition.revision}"


def options_for(record: ModelRecord, config: LabelConfig) -> Options:
    """The lowest threshold of all tags, so that none of them misses what it asks for; the model's own where one tag
    has none."""
    thresholds = [one.score_threshold for one in config.controls]
    said = [one for one in thresholds if one is not None]
    if len(said) < len(thresholds) or _answers(record) != Detections.what:
        return Options()
    return Options(score_threshold=min(said))


def check_suitable(record: ModelRecord, config: LabelConfig) -> None:
    """Raises InvalidRequest where the configuration has no tag for what the model answers, or none of its labels."""
    answers = _answers(record)
    if answers not in (Detections.what, ClassScores.what):
        raise InvalidRequest(f"{record.name} answers {answers}, which Label Studio cannot show")
    wants_choices = answers == ClassScores.what
    controls = [one for one in config.controls if (one.kind == CHOICES) == wants_choices]
    if not controls:
        needed = "Choices" if wants_choices else ", ".join(tag for kind, tag in FILLED.items() if kind != CHOICES)
        raise InvalidRequest(f"{record.name} answers {answers}; the labelling configuration needs one of {needed}")
    labels = record.definition.labels
    if labels is not None and not any(one.label_for(label) for one in controls for label in labels):
        known = ", ".join(repr(label[:50]) for label in labels[:_SHOWN_LABELS])
        more = f" and {len(labels) - _SHOWN_LABELS} more" if len(labels) > _SHOWN_LABELS else ""
        raise InvalidRequest(
            f"no label of the labelling configuration is one of {record.name}, which has {known}{more}; name its "
            'labels in predicted_values="..." of yours'
        )


def _answers(record: ModelRecord) -> str:
    """Of a family that is not known, the model itself says why it cannot be asked."""
    definition = record.definition
    return answers_of(definition) if definition.family in FAMILIES else Detections.what
