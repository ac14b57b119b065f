"""Base64 in the forms in which clients write it. Pure.

Plain base64 is read as it is. Anything else is tried once more: with line breaks and blanks, in the URL-safe
alphabet, without its padding, or as a data URI, as browsers make it.
"""

import binascii
import re
from string import whitespace

import pybase64

from deployments.errors import InvalidImage

_DATA_URI = re.compile(r"\s*data:(?P<kind>[^,]{0,200}?)(?P<base64>;\s*base64)?,", re.IGNORECASE)
_AS_USUAL = str.maketrans("-_", "+/", whitespace)
_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")


def decoded_base64(text: str, field: str = "image") -> bytes:
    """The bytes in `text`, the value of `field`. Raises InvalidImage, which says what is wrong with it."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return _decoded_otherwise(text, field)


def _decoded_otherwise(text: str, field: str) -> bytes:
    uri = _DATA_URI.match(text, 0, 300)
    if uri is not None:
        if uri["base64"] is None:
            raise InvalidImage(f"{field} is a data URI without ;base64, got {text[:40]!r}")
        text = text[uri.end() :]
        try:
            return pybase64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    # Not split and joined: each of a million blanks would make a string of its own.
    text = text.translate(_AS_USUAL).rstrip("=")
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        raise InvalidImage(
            f"{field} is not valid base64: {foreign[0]!r} at character {foreign.start()}"
            f"{' of the data' if uri else ''}, blanks not counted"
        )
    if len(text) % 4 == 1:
        raise InvalidImage(f"{field} is not valid base64: {len(text)} characters, one too many or some missing")
    return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
