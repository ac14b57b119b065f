"""The networks that are compared. Knows no framework: the PyTorch side has nothing of this project, and reads it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A checkpoint that both sides can run."""

    family: str
    """Of ours that reads its file."""

    input_px: int
    """Height and width of its input."""

    file: str
    """Name of the file or folder with its weights."""

    batches: tuple[int, ...] = (1, 2, 4, 8)


NETWORKS = {
    "yolov5n": Network("yolov5", 640, "yolov5n.pt"),
    "yolov8n": Network("ultralytics", 640, "yolov8n.pt"),
    # A batch of it takes seconds.
    "yolov8x": Network("ultralytics", 640, "yolov8x.pt", (1, 2, 4)),
    "rf-detr-nano": Network("rf-detr", 384, "rf-detr-nano.pth", (1, 2, 4)),
    "vit-b16": Network("huggingface", 224, "vit-b16"),
}
"""By the name of the command line. yolov5n is read as published; the others get random weights."""
