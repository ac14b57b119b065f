"""What a request says beside its image: fields, whichever way they came. Knows no meaning of a field.

A field is one by its name: browsers and scripts send texts as files, too, and what a route does not know is refused,
since a slip of the pen would otherwise change nothing and say nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from deployments.errors import InvalidRequest
from deployments.nearest_name import nearest_of

MAX_PARTS = 32
MAX_FIELD_BYTES = 4096


FILE = "file"
"""Name of the part with the image. Every other part is a field, whether it was sent as text or as a file."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a route's form may have beside the image. fields: their names.  max_field_bytes: of each."""

    fields: frozenset[str]
    max_field_bytes: int = MAX_FIELD_BYTES


@dataclass(slots=True)
class Form:
    """files: part name -> content of uploads.  fields: part name -> text of plain fields."""

    files: dict[str, bytes | memoryview] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def add_field(self, name: str, text: str) -> None:
        """Raises InvalidRequest where the field has another value already."""
        said = self.fields.setdefault(name, text)
        if said != text:
            raise InvalidRequest(f"the field {name!r} is given twice, as {said[:50]!r} and as {text[:50]!r}")


def add_query(form: Form, query: bytes, accepted: Accepted, aliases: Mapping[str, str]) -> None:
    """Adds the parameters of the URL as if they were fields. Raises InvalidRequest for what no field is called.

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
