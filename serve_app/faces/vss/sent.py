"""A form with several images. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.errors import InvalidImage, InvalidRequest
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.forms import MAX_FIELD_BYTES, MAX_PARTS, Accepted, Form, add_query
from serve_app.bodies.uploads import Part, field_text, form_parts

FILES = "files"
"""Name of the parts with the images."""

MAX_IMAGES = 512
"""Of one job. fastapi-vss takes as many as it is told, 32 by default; fiftyone-sync is set up for this many."""

LONGEST_FILE_NAME = 1024
"""Characters. aipipeline sends the whole path."""

_MAX_PARTS = MAX_IMAGES + MAX_PARTS
"""Some more than may be sent, so that the error can say how many there are."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image file under the name that the client gave it."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class SentImages:
    """images: one or more, none of them empty.  fields: name -> text, those that were given."""

    images: Sequence[NamedImage]
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepts:
    """What a route reads.  fields: beside the images, in the form or in the query.  most: images."""

    fields: frozenset[str] = frozenset()
    most: int = MAX_IMAGES


def read_sent(content_type: str, body: bytes, query: bytes, accepts: Accepts) -> SentImages:
    """Raises InvalidRequest and InvalidImage."""
    form = Form()
    images: list[NamedImage] = []
    for part in form_parts(content_type, body, FILES, _MAX_PARTS):
        if part.name == FILES:
            images.append(_image(part, len(images) + 1))
        elif part.name in accepts.fields:
            form.add_field(part.name, field_text(part, MAX_FIELD_BYTES))
        else:
            known = accepts.fields | {FILES}
            raise InvalidRequest(f"unknown field {part.name[:100]!r}; {nearest_of(part.name, known)}")
    add_query(form, query, Accepted(accepts.fields), {})
    if not 1 <= len(images) <= accepts.most:
        raise InvalidRequest(f"the form must have 1 to {accepts.most} file parts named 'files', got {len(images)}")
    return SentImages(images, form.fields)


def _image(part: Part, number: int) -> NamedImage:
    if part.file_name is None:
        raise InvalidRequest(f"files: image {number} is sent as text; send it as a file")
    if len(part.file_name) > LONGEST_FILE_NAME:
        raise InvalidRequest(
            f"files: image {number} has a name of {len(part.file_name)} characters, the limit is {LONGEST_FILE_NAME}"
        )
    if not part.content:
        raise InvalidImage(f"files: image {number} is empty")
    return NamedImage(part.file_name, part.content)
