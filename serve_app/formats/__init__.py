"""Answers in the formats of the field: from predictions to bytes, for the faces of the HTTP door. No HTTP, no Ray.

    contract     one image's answer, a format, its errors      negotiation  which format a client wants
    boxes        detections in the units that formats want     file_names   texts made safe for files and tables
    coco, tables, voc, annotation_systems, megadetector, darwin_core, picture: the formats
    coco_masks, category_ids, archive: what several of them need

It may import the core (`deployments`), and nothing else of the door. The formats: docs/formats.md.

To add one: a function from answers to bytes, its line in `FORMATS` and in `EXPRESSED_BY` (contract), a row in
docs/formats.md, and a test that reads it back with a reader that people use.
"""

from collections.abc import Mapping

from deployments.errors import InvalidRequest
from deployments.text.nearest_name import nearest_of
from serve_app.formats import annotation_systems, coco, darwin_core, megadetector, picture, tables, voc
from serve_app.formats.contract import ZIP, Answer, Format, NotAcceptable
from serve_app.formats.negotiation import JSON, accepted_format

__all__ = ["FORMATS", "Answer", "Format", "NotAcceptable", "chosen"]

_AS_JSON = ("application/json", "json")
_AS_CSV = ("text/csv", "csv")

FORMATS: Mapping[str, Format] = {
    "coco": Format(*_AS_JSON, coco.write_results),
    "coco-dataset": Format(*_AS_JSON, coco.write_dataset),
    "fathomnet-csv": Format(*_AS_CSV, tables.write_fathomnet),
    "voc": Format("application/xml", "xml", voc.write_voc, is_file_each=True),
    "vars": Format(*_AS_JSON, annotation_systems.write_vars),
    "tator": Format(*_AS_JSON, annotation_systems.write_tator),
    "viame-csv": Format(*_AS_CSV, tables.write_viame),
    "megadetector": Format(*_AS_JSON, megadetector.write_megadetector),
    "dwc": Format(*ZIP, darwin_core.write_darwin_core),
    "picture": Format("image/jpeg", "jpg", picture.write_jpeg, needs_images=True, is_file_each=True),
    "picture-png": Format("image/png", "png", picture.write_png, needs_images=True, is_file_each=True),
}
"""By name. "json" is not among them: the faces write it themselves."""


def chosen(name: str, accept: str) -> Format | None:
    """The format that a request asks for: by its name, else by the header `accept`; both may be "". None for JSON.

    Raises InvalidRequest for a name that no format has, with the nearest, and NotAcceptable where `accept` allows
    nothing that is written here.
    """
    wanted = name or accepted_format(accept)
    if wanted == JSON:
        return None
    if wanted not in FORMATS:
        raise InvalidRequest(f"format: there is no {name[:64]!r}; {nearest_of(name, [JSON, *FORMATS])}")
    return FORMATS[wanted]
