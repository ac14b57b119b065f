"""Tables: the CSV that FathomNet takes as an upload, and that of VIAME and DIVE."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from serve_app.formats.boxes import Found, ImageRows, image_rows
from serve_app.formats.contract import MAX_WRITTEN_BYTES, Answer, too_large, within_limit
from serve_app.formats.file_names import cell

Cell = str | int | float

FATHOMNET_COLUMNS = ("concept", "image", "x", "y", "width", "height", "observer")

VIAME_HEADER = (
    "# 1: Detection or Track-id,2: Video or Image Identifier,3: Unique Frame Identifier,"
    "4-7: Img-bbox(TL_x,TL_y,BR_x,BR_y),8: Detection or Length Confidence,9: Target Length (0 or -1 if invalid),"
    "10-11+: Repeated Species,Confidence Pairs or Attributes"
)

_NO_LENGTH = -1


def write_fathomnet(answers: Sequence[Answer]) -> bytes:
    """FathomNet's upload: a row for each box, in whole pixels from 0.

    `image` is the file's name: FathomNet wants the public address of the image, which its owner puts in front.
    There is no column for a score. Source: "How to submit localized image annotations to the FathomNet database",
    https://www.fathomnet.org/post.
    """
    rows: list[Sequence[Cell]] = [FATHOMNET_COLUMNS]
    for image in image_rows(answers, "fathomnet-csv"):
        for found in image.found:
            x1, y1, x2, y2 = found.whole_px
            place = (cell(found.label), cell(image.file_name), x1, y1, x2 - x1, y2 - y1)
            rows.append((*place, cell(image.by)))
    return within_limit(table(rows))


def write_viame(answers: Sequence[Answer]) -> bytes:
    """VIAME's CSV: a row for each detection, frames from 0, each detection a track of its own.

    Source: Kitware/dive, `server/dive_utils/serializers/viame.py`; VIAME, `read_detected_object_set_viame_csv.cxx`,
    which knows no quotes, so that a comma within a text becomes a semicolon.
    """
    lines = [VIAME_HEADER.encode()]
    rows = (row for image in image_rows(answers, "viame-csv") for row in _viame_rows(image))
    numbered = ((number, *row) for number, row in enumerate(rows))
    return within_limit(b"\n".join([*lines, table(numbered)]))


def table(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as UTF-8, quoted where they must be. Texts in them are `cell`s already. Raises InvalidRequest where they
    are more than an answer may be."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        if written.tell() > MAX_WRITTEN_BYTES:
            raise too_large()
    return written.getvalue().encode()


def _viame_rows(image: ImageRows) -> Iterator[Sequence[Cell]]:
    for found in image.found:
        corners = [f"{value:.2f}" for value in found.box]
        row: list[Cell] = [_unquoted(image.file_name), image.number - 1, *corners, found.score, _NO_LENGTH]
        yield [*row, _unquoted(found.label), found.score, *_viame_shapes(image, found)]


def _viame_shapes(image: ImageRows, found: Found) -> Iterator[str]:
    detections = image.detections
    if detections.keypoints is not None:
        for number, (x, y, _) in enumerate(detections.keypoints[found.row].tolist(), 1):
            yield f"(kp) {number} {x:.1f} {y:.1f}"
    if detections.masks is not None:
        outline = detections.masks.outline(found.row, image.size_px)
    elif detections.corners is not None:
        outline = detections.corners[found.row]
    else:
        return
    if len(outline):
        yield "(poly) " + " ".join(f"{value:.1f}" for value in outline.ravel().tolist())


def _unquoted(text: str) -> str:
    """For a reader that knows no quotes, and takes what begins with a bracket for an attribute."""
    plain = cell(text).replace(",", ";").replace('"', "'")
    return f"[{plain[1:]}" if plain.startswith("(") else plain
