"""COCO: `coco` is the list of results that evaluation tools read, `coco-dataset` a whole dataset that others import.

    [{"image_id": 1, "category_id": 4, "bbox": [x, y, width, height], "score": 0.91, ...}, ...]

Source: https://cocodataset.org/#format-data and #format-results; the pixels of an image are counted from 0. A mask is
run lengths of the image's size, a rotated box a polygon. Beside COCO's own members a result names its category and
file, as its numbers mean nothing without the dataset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from serve_app.formats.boxes import PX_DIGITS, SCORE_DIGITS, Found, ImageRows, image_rows
from serve_app.formats.category_ids import category_ids
from serve_app.formats.coco_masks import full_size_mask
from serve_app.formats.contract import MAX_WRITTEN_BYTES, Answer, too_large, within_limit

_SEEN = 0.5
"""How sure it must be that a keypoint is seen for a dataset to call it visible."""


def write_results(answers: Sequence[Answer]) -> bytes:
    """The list of results, images in order and detections best first."""
    images = list(image_rows(answers, "coco"))
    ids = category_ids(images)
    room = _Room()
    results = []
    for image in images:
        for found in image.found:
            shape, _ = _shape(image, found, room)
            results.append(
                {
                    "image_id": image.number,
                    "category_id": ids[found.label],
                    "bbox": found.box.span(PX_DIGITS),
                    "score": found.score,
                    **shape,
                    **_keypoints(image, found),
                    "category_name": found.label,
                    "file_name": image.file_name,
                }
            )
    return within_limit(orjson.dumps(results))


def write_dataset(answers: Sequence[Answer]) -> bytes:
    """The dataset, with the score of each annotation."""
    images = list(image_rows(answers, "coco-dataset"))
    ids = category_ids(images)
    room = _Room()
    annotations: list[dict[str, Any]] = []
    for image in images:
        for found in image.found:
            annotations.append(
                _annotation(len(annotations) + 1, image, found, room) | {"category_id": ids[found.label]}
            )
    dataset = {
        "info": {"description": "Detections, not checked by anybody", "contributor": ", ".join(_makers(images))},
        "licenses": [],
        "images": [
            {"id": one.number, "file_name": one.file_name, "width": one.width_px, "height": one.height_px}
            for one in images
        ],
        "annotations": annotations,
        "categories": [
            {"id": ids[name], "name": name, "supercategory": "", **_points_of(images)} for name in sorted(ids)
        ],
    }
    return within_limit(orjson.dumps(dataset))


class _Room:
    """Refuses masks as soon as they are more than an answer may have."""

    def __init__(self) -> None:
        self._left = MAX_WRITTEN_BYTES

    def take(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise too_large()


def _annotation(number: int, image: ImageRows, found: Found, room: _Room) -> dict[str, Any]:
    span = found.box.span(PX_DIGITS)
    shape, area = _shape(image, found, room)
    points = _keypoints(image, found)
    if points:
        seen = [2 if sure > _SEEN else 1 for sure in points["keypoints"][2::3]]
        points["keypoints"][2::3] = seen
        points["num_keypoints"] = len(seen)
    return {
        "id": number,
        "image_id": image.number,
        "bbox": span,
        "area": round(span[2] * span[3], PX_DIGITS) if area is None else area,
        "iscrowd": 0,
        "segmentation": [],
        **shape,
        **points,
        "score": found.score,
    }


def _shape(image: ImageRows, found: Found, room: _Room) -> tuple[dict[str, Any], int | None]:
    """The member `segmentation` of a detection that has more than a box, and the area in pixels of a mask."""
    if image.detections.masks is not None:
        mask, area = full_size_mask(image.detections.masks, found.row, image.size_px)
        room.take(len(mask["counts"]))
        return {"segmentation": mask}, area
    if image.detections.corners is not None:
        corners = image.detections.corners[found.row].astype(float).ravel().tolist()
        return {"segmentation": [[round(value, PX_DIGITS) for value in corners]]}, None
    return {}, None


def _keypoints(image: ImageRows, found: Found) -> dict[str, Any]:
    """The member `keypoints`: x, y and how sure it is that the point is seen, for each."""
    if image.detections.keypoints is None:
        return {}
    flat: list[float] = []
    for x, y, sure in image.detections.keypoints[found.row].astype(float).tolist():
        flat += [round(x, PX_DIGITS), round(y, PX_DIGITS), round(sure, SCORE_DIGITS)]
    return {"keypoints": flat}


def _points_of(images: Sequence[ImageRows]) -> Mapping[str, Any]:
    """What a category says of its keypoints. Their names are in no checkpoint."""
    counts = [one.detections.keypoints.shape[1] for one in images if one.detections.keypoints is not None]
    if not counts:
        return {}
    return {"keypoints": [str(number) for number in range(1, max(counts) + 1)], "skeleton": []}


def _makers(images: Sequence[ImageRows]) -> list[str]:
    return sorted({one.by for one in images})
