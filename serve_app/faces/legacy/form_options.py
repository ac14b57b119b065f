"""How a form asks for tiling: `tiling` is `on`, `off` or the size of a tile, `tiling_overlap` a part of a tile."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ValidationError

from deployments.definition import Tiling
from deployments.errors import InvalidRequest

_SIZE = re.compile(r"(\d{1,5})\s*[xX]\s*(\d{1,5})", re.ASCII)


def tiling_of(fields: Mapping[str, str]) -> Tiling | Literal["off"] | None:
    """What the fields ask for; None where they do not say, so that the model's own knob counts.

    Raises InvalidRequest that names the field, the limit and the value.
    """
    said = fields.get("tiling", "").strip().lower()
    overlap = fields.get("tiling_overlap", "").strip()
    if said in ("", "off"):
        if overlap:
            raise InvalidRequest("tiling_overlap has no effect without tiling, which must be 'on' or a size then")
        return "off" if said else None
    given: dict[str, Any] = {"overlap": overlap} if overlap else {}
    if said != "on":
        size = _SIZE.fullmatch(said)
        if size is None:
            raise InvalidRequest(f"tiling must be 'on', 'off' or WIDTHxHEIGHT in pixels, got {said[:50]!r}")
        given |= {"tile_width_px": size[1], "tile_height_px": size[2]}
    try:
        return Tiling.model_validate(given)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False)
        field = "tiling_overlap" if first["loc"] == ("overlap",) else f"tiling: {first['loc'][0]}"
        raise InvalidRequest(f"{field}: {first['msg']}, got {str(first['input'])[:50]!r}") from None
