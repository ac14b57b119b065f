"""What a request says beside its image: fields, whichever way they came.

Every part but the image is a field, as browsers and scripts send text as files, too. A field that the route does not
know is refused: a misspelt one would otherwise have no effect, and nobody would know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from deployments.errors import InvalidImage, InvalidRequest
from deployments.origin import NOWHERE, Origin
from deployments.request import Image
from deployments.text.nearest_name import nearest_of

MAX_PARTS = 32
MAX_FIELD_BYTES = 4096


FILE = "file"
"""Name of the part with the image. Every other part is a field, whether it was sent as text or as a file."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a route's form may have beside the image."""

    fields: frozenset[str]
    """Their names."""

    max_field_bytes: int = MAX_FIELD_BYTES


@dataclass(slots=True)
class Form:
    """A form that was read."""

    files: dict[str, bytes | memoryview] = field(default_factory=dict)
    """Part name -> content."""

    fields: dict[str, str] = field(default_factory=dict)
    """Field name -> text."""

    origin: Origin = NOWHERE
    """Of the request that it came with."""

    def add_field(self, name: str, text: str) -> None:
        """Raises InvalidRequest where the field has another value already."""
        said = self.fields.setdefault(name, text)
        if said != text:
            raise InvalidRequest(f"the field {name!r} is given twice, as {said[:50]!r} and as {text[:50]!r}")


def add_query(form: Form, query: bytes, accepted: Accepted, aliases: Mapping[str, str]) -> None:
    """Adds the parameters of the URL as if they were fields. Raises InvalidRequest for an unknown one.

    aliases: other names of fields.
    """
    try:
        parameters = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS
        )
    except ValueError:
        raise InvalidRequest(
            f"the query must be percent-encoded UTF-8 with at most {MAX_PARTS} parameters, got {query[:100]!r}"
        ) from None
    for name, text in parameters:
        field_name = aliases.get(name, name)
        if field_name not in accepted.fields:
            raise InvalidRequest(f"unknown query parameter {name[:100]!r}; {nearest_of(name, accepted.fields)}")
        form.add_field(field_name, text)


def refuse_query(query: bytes) -> None:
    """For a route that reads no query. Raises InvalidRequest that names the first parameter."""
    if query:
        add_query(Form(), query, Accepted(frozenset()), {})


def image_of(form: Form) -> Image:
    """The uploaded file. Raises InvalidRequest and InvalidImage."""
    content = form.files.get(FILE)
    if content is None:
        sent = ", ".join(sorted(form.fields))[:200]
        raise InvalidRequest(f"the form has no file part named 'file'; it has: {sent or 'nothing'}")
    if len(content) == 0:
        raise InvalidImage("the part 'file' is empty")
    return Image.from_encoded(content)
