"""Answers as models give them, small and always the same; and the command that writes them down in all formats.

python -m tests.serve_app.formats.sample_answers FOLDER
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image

from deployments.prediction import ClassScores, Detections, Embedding, Masks, Prediction, Result
from serve_app.formats import FORMATS, Answer

SIZE_PX = (120, 200)
"""Height, width."""

BOXES = [(10.4, 20.6, 60.2, 80.9), (100.0, 5.0, 200.0, 120.0), (150.2, 30.0, 150.4, 31.0)]
LABELS = ("Sea star", 'Fish, "small" <juvenile> & co', "Crab")
CLASS_IDS = (4, 0, 2)
SCORES = (0.91, 0.5, 0.25)


def detections(**more: object) -> Detections:
    """Three boxes: one with fractions, one at the right and lower edges, one thinner than a pixel."""
    found = Detections(
        boxes=np.array(BOXES, np.float32),
        scores=np.array(SCORES, np.float32),
        class_ids=np.array(CLASS_IDS, np.int32),
        labels=LABELS,
    )
    return replace(found, **more)  # type: ignore[arg-type]


def nothing() -> Detections:
    """A frame without animals."""
    return detections().picked(np.zeros(0, np.intp))


def masks() -> Masks:
    """On a grid of half the size: a disc, a column at the right edge, and one cell."""
    rows, columns = np.mgrid[:60, :100]
    shapes = [(rows - 25) ** 2 + (columns - 17) ** 2 < 144, columns > 95, (rows == 15) & (columns == 75)]
    return Masks.of(3, lambda index: shapes[index], (60, 100))


def keypoints() -> np.ndarray:
    """Two for each detection, the second hardly seen."""
    first = np.array(BOXES, np.float32)[:, :2]
    return np.stack([np.c_[first, [0.9] * 3], np.c_[first + 5, [0.1] * 3]], axis=1).astype(np.float32)


def corners() -> np.ndarray:
    """Boxes turned by a quarter: diamonds."""
    x1, y1, x2, y2 = np.array(BOXES, np.float32).T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return np.stack([np.c_[x, y1], np.c_[x2, y], np.c_[x, y2], np.c_[x1, y]], axis=1)


def classes() -> ClassScores:
    """The best class is not the first."""
    return ClassScores(np.array([0.2, 0.7, 0.1], np.float32), ("Copepod", "Diatom", "Other"))


def embedding() -> Embedding:
    """Four numbers."""
    return Embedding(np.arange(4, dtype=np.float32))


def image_file(size_px: tuple[int, int] = SIZE_PX, kind: str = "PNG") -> bytes:
    """A dark grey image."""
    written = io.BytesIO()
    PIL.Image.new("RGB", (size_px[1], size_px[0]), (40, 40, 40)).save(written, kind)
    return written.getvalue()


def answer(result: Result, file_name: str = "frame-1.png", model: str = "benthic-demo") -> Answer:
    """One image's, with the image."""
    return Answer(file_name, Prediction(result, SIZE_PX, model, "3"), image_file())


def answer_with_label(label: str) -> Answer:
    """One detection, of this name."""
    one = detections().picked(np.array([0]))
    return answer(replace(one, labels=(label,)))


def samples() -> list[Answer]:
    """Two frames with animals and one without."""
    return [answer(detections()), answer(nothing(), "frame-2.png"), answer(detections(), "frame-3.png")]


def main(folder: Path) -> None:
    """Writes every format that tools of other environments read, and the images beside it."""
    for name in ("coco-dataset", "megadetector", "voc"):
        (folder / f"{name}.{FORMATS[name].file_type(3)[1]}").write_bytes(FORMATS[name].write(samples()))
    with_masks = [answer(detections(masks=masks()))]
    (folder / "coco-dataset-masks.json").write_bytes(FORMATS["coco-dataset"].write(with_masks))
    outlined = [answer(detections(masks=masks(), keypoints=keypoints()))]
    (folder / "viame.csv").write_bytes(FORMATS["viame-csv"].write(outlined))
    (folder / "megadetector-classes.json").write_bytes(FORMATS["megadetector"].write([answer(classes())]))
    for one in samples():
        (folder / one.file_name).write_bytes(image_file())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
