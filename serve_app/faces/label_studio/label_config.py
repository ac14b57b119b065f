"""A project's labelling configuration: XML in which a person wrote what is to be labelled. Pure.

    <View>
      <Image name="image" value="$image"/>
      <RectangleLabels name="label" toName="image" model_score_threshold="0.3">
        <Label value="Sea star" predicted_values="Asteroidea,Asterias rubens"/>
      </RectangleLabels>
    </View>

A label stands for the model's label of the same name, in any case, or for those in `predicted_values`. What is
answered is its alias where it has one, else its value, as Label Studio itself writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree.ElementTree import ParseError, XMLParser

from deployments.errors import InvalidRequest
from deployments.request import SHOWN_CHARACTERS
from serve_app.bodies.option_values import number_in, shown

MAX_CHARACTERS = 2**20
"""Of a configuration: thousands of labels with all their attributes."""

MAX_TAGS = 20_000
MAX_CONTROLS = 50
"""Tags that a model can fill: each of them gets results of its own for all that is found."""

MAX_DEPTH = 50

CHOICES = "choices"
FILLED: Mapping[str, str] = {
    "rectanglelabels": "RectangleLabels",
    "brushlabels": "BrushLabels",
    "polygonlabels": "PolygonLabels",
    "keypointlabels": "KeyPointLabels",
    CHOICES: "Choices",
}
"""The type of a result -> the tag that it fills."""

_OPTIONS = ("label", "choice")


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that a model can fill."""

    kind: str
    """The type of its results, a key of FILLED."""
    name: str
    to_name: str
    """The name of the tag of the image."""
    data_key: str
    """Where a task has the image: `data[data_key]`."""
    score_threshold: float | None = None
    """Its `model_score_threshold`: what scores less is left out."""
    is_multiple: bool = False
    """Of choices, whether several may be chosen."""
    shown: dict[str, str] = field(default_factory=dict)
    """The model's label in lower case -> the label to answer."""

    def label_for(self, label: str) -> str | None:
        """What to answer for a label of the model; None where the configuration has no place for it."""
        return self.shown.get(label.strip().casefold())


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """controls: those that a model can fill, in their order, at least one; all of the same image."""

    controls: tuple[Control, ...]

    @property
    def data_key(self) -> str:
        """Where a task has the image."""
        return self.controls[0].data_key


def read_config(text: object, field_name: str) -> LabelConfig:
    """Raises InvalidRequest, which says what is wrong with the configuration."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequest(f"{field_name} must be the XML of a labelling configuration, got {shown(text)}")
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest(f"{field_name} has {len(text)} characters, the limit is {MAX_CHARACTERS}")
    tags = _Tags(field_name)
    parser = XMLParser(target=tags)
    try:
        parser.feed(text)
        parser.close()
    except (ParseError, ValueError) as error:
        raise InvalidRequest(f"{field_name} is not well-formed XML: {str(error)[:200]}") from None
    return LabelConfig(_of_one_image(tags, field_name))


@dataclass(slots=True)
class _Tags:
    """Takes what the parser finds. No tree is built, and a document type is refused before an entity is declared."""

    field_name: str
    images: dict[str, str] = field(default_factory=dict)
    controls: list[tuple[str, Mapping[str, str], list[Mapping[str, str]]]] = field(default_factory=list)
    _open: list[bool] = field(default_factory=list)
    """For each tag around the present place, whether it is a control."""
    _count: int = 0

    def doctype(self, name: str, public_id: str | None, system: str | None) -> NoReturn:
        del name, public_id, system
        raise InvalidRequest(f"{self.field_name} must have no <!DOCTYPE>")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_TAGS:
            raise InvalidRequest(f"{self.field_name} has more than {MAX_TAGS} tags, which is the limit")
        if len(self._open) >= MAX_DEPTH:
            raise InvalidRequest(f"{self.field_name} has tags inside each other {MAX_DEPTH} deep, which is the limit")
        kind = tag.lower()
        if kind in FILLED:
            if len(self.controls) >= MAX_CONTROLS:
                raise InvalidRequest(
                    f"{self.field_name} has more than {MAX_CONTROLS} tags that a model can fill, which is the limit"
                )
            self.controls.append((kind, attributes, []))
        elif kind == "image":
            self.images[attributes.get("name", "")] = attributes.get("value", "")
        elif kind in _OPTIONS and any(self._open):
            self.controls[-1][2].append(attributes)
        self._open.append(kind in FILLED)

    def end(self, tag: str) -> None:
        del tag
        self._open.pop()

    def close(self) -> None:
        pass


def _of_one_image(tags: _Tags, field_name: str) -> tuple[Control, ...]:
    found = [
        _control(kind, attributes, options, image, tags.images[image])
        for kind, attributes, options in tags.controls
        for image in [_image_of(attributes, tags.images)]
        if image is not None and attributes.get("name")
    ]
    if not found:
        raise InvalidRequest(
            f"{field_name} has no tag that a model can fill: one of {', '.join(FILLED.values())} with a name, and "
            'toName of an <Image name="..." value="$...">'
        )
    return tuple(one for one in found if one.data_key == found[0].data_key)


def _image_of(attributes: Mapping[str, str], images: Mapping[str, str]) -> str | None:
    names = [name.strip() for name in attributes.get("toName", "").split(",")]
    return next((name for name in names if images.get(name, "").startswith("$")), None)


def _control(
    kind: str, attributes: Mapping[str, str], options: list[Mapping[str, str]], image: str, value: str
) -> Control:
    name = attributes["name"]
    threshold = number_in(attributes.get("model_score_threshold", ""), f"model_score_threshold of {name[:50]!r}")
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidRequest(
            f"model_score_threshold of {name[:SHOWN_CHARACTERS]!r} must be between 0 and 1, got {threshold}"
        )
    return Control(kind, name, image, value[1:], threshold, attributes.get("choice") == "multiple", _shown(options))


def _shown(options: list[Mapping[str, str]]) -> dict[str, str]:
    """Names that a person gave to say what a label stands for win over labels that happen to be called so."""
    by_itself: dict[str, str] = {}
    said: dict[str, str] = {}
    for one in options:
        value = one.get("value", "")
        answer = one.get("alias") or value
        for name in (value, answer):
            by_itself.setdefault(name.strip().casefold(), answer)
        for name in one.get("predicted_values", "").split(","):
            said.setdefault(name.strip().casefold(), answer)
    together = {**by_itself, **said}
    together.pop("", None)
    return together
