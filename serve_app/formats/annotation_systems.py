"""JSON for systems that people annotate with: VARS and Tator."""

from collections.abc import Sequence

import orjson

from serve_app.formats.boxes import PART_DIGITS, image_rows
from serve_app.formats.contract import Answer, within_limit

GENERATOR = "fathomnet-serve"


def write_vars(answers: Sequence[Answer]) -> bytes:
    """VARS: annotations as annosaurus has them, each with one association "bounding box" in whole pixels from 0.

    What VARS must know beside, the video and the moment, its own user adds. Source: mbari-org/annosaurus;
    mbari-org/vars-gridview, `association.py`, which wants integers, x and y from 0, width and height above 0.
    """
    annotations = []
    for image in image_rows(answers, "vars"):
        for found in image.found:
            x1, y1, x2, y2 = found.whole_px
            box = {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
            origin = {"confidence": found.score, "generator": f"{GENERATOR} {image.by}", "image": image.file_name}
            association = {
                "link_name": "bounding box",
                "to_concept": "self",
                "link_value": orjson.dumps(box | origin).decode(),
                "mime_type": "application/json",
            }
            annotations.append({"concept": found.label, "observer": GENERATOR, "associations": [association]})
    return within_limit(orjson.dumps(annotations))


def write_tator(answers: Sequence[Answer]) -> bytes:
    """Tator: for each image the localizations of type `box`, as parts of its width and height.

    `media_id` and `type` are numbers of the user's own project, so they are added by whoever sends them. Source:
    cvisionai/tator, `api/main/schema/components/localization.py`.
    """
    media = [
        {
            "media": image.file_name,
            "localizations": [
                {
                    **dict(zip(("x", "y", "width", "height"), found.parts.span(PART_DIGITS), strict=True)),
                    "frame": 0,
                    "attributes": {"Label": found.label, "Confidence": found.score, "Model": image.by},
                }
                for found in image.found
            ],
        }
        for image in image_rows(answers, "tator")
    ]
    return within_limit(orjson.dumps(media))
