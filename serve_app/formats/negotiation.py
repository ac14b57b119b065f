"""Which format a client wants, from the header `Accept` (RFC 9110, 12.5.1).

The header can only choose between media types; formats that share one are chosen by their name, but for the one in
`BY_MEDIA_TYPE`. Where several are wanted equally, the one that was named more exactly is given, and JSON before all
others. A client that wants a page (`text/html`: a browser, or the JDK's HttpURLConnection, which sends image/jpeg
too) has not chosen anything, and gets JSON.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from serve_app.formats.contract import NotAcceptable

JSON = "json"

BY_MEDIA_TYPE: Mapping[str, str] = {
    "application/json": JSON,
    "text/csv": "fathomnet-csv",
    "application/xml": "voc",
    "text/xml": "voc",
    "image/jpeg": "picture",
    "image/png": "picture-png",
    "application/zip": "dwc",
}
"""Media type -> the format that it chooses, in the order in which we prefer them."""

_MAX_RANGES = 64
"""Media types in a header that are looked at; browsers send about eight."""


class _Range(NamedTuple):
    kind: str
    quality: float

    def exactness(self, media_type: str) -> int:
        """0: another type; 1: any; 2: any of its kind; 3: this one."""
        if self.kind in ("*/*", "*"):
            return 1
        if self.kind == media_type:
            return 3
        return 2 if self.kind == f"{media_type.split('/')[0]}/*" else 0


def accepted_format(accept: str) -> str:
    """The name of the format that the header `accept` asks for. Raises NotAcceptable where it allows none."""
    ranges = list(_ranges(accept))
    if not ranges or any(one.kind == "text/html" for one in ranges):
        return JSON
    wanted = [(*_wish(ranges, media_type), name) for media_type, name in BY_MEDIA_TYPE.items()]
    quality, _, name = max(wanted, key=lambda one: one[:2])  # the first of equal ones
    if quality == 0:
        known = ", ".join(BY_MEDIA_TYPE)
        raise NotAcceptable(f"Accept allows none of the media types that are written here: {known}")
    return name


def _wish(ranges: list[_Range], media_type: str) -> tuple[float, int]:
    """How much this type is wanted, 0 to 1, and how exactly it was named: what the most exact range says of it."""
    exactness, quality = max((one.exactness(media_type), one.quality) for one in ranges)
    return (quality, exactness) if exactness else (0.0, 0)


def _ranges(accept: str) -> Iterator[_Range]:
    """What the header says; what makes no sense is left out."""
    for part in accept.split(",", _MAX_RANGES)[:_MAX_RANGES]:
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            value = float(quality)
        except ValueError:
            continue
        if ("/" in kind or kind == "*") and 0 <= value <= 1:
            yield _Range(kind, value)
