"""The numbers of categories, where a format wants numbers."""

from collections.abc import Iterable
from itertools import count

from serve_app.formats.boxes import ImageRows


def category_ids(images: Iterable[ImageRows]) -> dict[str, int]:
    """Label -> its number, from 1, one for each label.

    It is the model's class id plus 1, so that it is the same in every answer of a model, whatever was found.
    FathomNet numbers the sorted concepts of a dataset from 1, so a model that was trained on one keeps its numbers.
    Where two models answered, as a candidate may, a label whose number is taken gets a free one.
    """
    seen = sorted({(one.class_id, one.label) for image in images for one in image.found})
    ids: dict[str, int] = {}
    taken: set[int] = set()
    later = []
    for class_id, label in seen:
        number = class_id + 1
        if label in ids:
            continue
        if number in taken:
            later.append(label)
            continue
        ids[label] = number
        taken.add(number)
    free = count(max(taken, default=0) + 1)
    for label in later:
        if label not in ids:
            ids[label] = next(free)
    return ids
