"""Run in the environment of ultralytics: the command `yolo predict`, SAHI, and a program, over raw rows.

Prints the boxes of the first two, over HTTP and over gRPC, as JSON: class, score and x1, y1, x2, y2 as parts of the
image's width and height; and what the program prints.
"""

import contextlib
import io
import json
import shlex
import sys
from pathlib import Path

import torch

# torchvision of PyPI is built for CUDA, and beside a PyTorch without it none of its operators are there; the one that
# is used here is declared instead, as ultralytics' own.
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision  # noqa: E402
from sahi import AutoDetectionModel  # noqa: E402
from sahi.predict import get_prediction  # noqa: E402
from ultralytics.cfg import entrypoint  # noqa: E402
from ultralytics.utils.nms import TorchNMS  # noqa: E402

library.impl("nms", TorchNMS.nms, "CPU")
torchvision.extension._has_ops = lambda: True


def by_yolo(command: str, frame: str, folder: Path) -> list[list[float]]:
    entrypoint(f"{command} save=False save_txt=True save_conf=True project={folder} name=run")
    rows = (folder / "run" / "labels" / f"{Path(frame).stem}.txt").read_text().split("\n")
    boxes = []
    for class_id, x, y, width, height, score in (map(float, row.split()) for row in rows if row):
        boxes.append([class_id, score, x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return boxes


def by_sahi(address: str, frame: str) -> list[list[float]]:
    model = AutoDetectionModel.from_pretrained(
        model_type="ultralytics", model_path=address, confidence_threshold=0.25, device="cpu", task="detect"
    )
    found = get_prediction(frame, model)
    sides = (found.image_width, found.image_height) * 2
    return [
        [
            one.category.id,
            float(one.score.value),
            *(float(side) / of for side, of in zip(one.bbox.to_xyxy(), sides, strict=True)),
        ]
        for one in found.object_prediction_list
    ]


def printed_by(program: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        exec(program, {})
    return text.getvalue()


if __name__ == "__main__":
    *commands, program, folder = sys.argv[1:]
    seen: dict = {"program": printed_by(program)}
    for way, command in zip(("", "_grpc"), commands, strict=True):
        options = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
        seen[f"yolo{way}"] = by_yolo(command.strip(), options["source"], Path(folder) / f"boxes{way}")
        seen[f"sahi{way}"] = by_sahi(options["model"], options["source"])
    sys.stdout.write(json.dumps(seen) + "\n")
