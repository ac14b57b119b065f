"""Measure the demo model with the COCO protocol on held-out and on shifted drawings.

Run `python -m training.benthic_demo.evaluate`; it writes `metrics.json` beside the shipped weights.
"""

import argparse
import contextlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from deployments.definition import ModelDefinition
from deployments.families.contract import Thresholds
from deployments.families.demo.family import SHIPPED_WEIGHTS, BenthicDemo
from deployments.prediction import Detections
from training.benthic_demo.dataset import draw_scenes
from training.benthic_demo.scenes import Scene
from training.benthic_demo.seafloor import FRAME_PX
from training.benthic_demo.water import DARKER, MURKIER, TYPICAL

VALIDATION_FIRST_SEED = 1_000_000
TEST_FIRST_SEED = 2_000_000
METRICS_PATH = SHIPPED_WEIGHTS.with_name("metrics.json")

_log = logging.getLogger(__name__)
_BATCH = 8
# Low, so that the whole precision-recall curve is seen; a server would use about 0.25.
_THRESHOLDS = Thresholds(score_threshold=0.01, iou_threshold=0.6, max_detections=100)


def detect(weights: Path, scenes: list[Scene], thresholds: Thresholds) -> list[Detections]:
    """Run the family over full frames: one answer a scene, in pixels of the frame."""
    family = BenthicDemo(ModelDefinition(family="benthic-demo", weights=str(weights)))
    graph = family.build_graph()
    answers: list[Detections] = []
    for start in range(0, len(scenes), _BATCH):
        ready = [family.preprocess(scene.pixels) for scene in scenes[start : start + _BATCH]]
        outputs = [np.asarray(t) for t in graph(np.stack([one.canvas for one in ready]))]
        for row, one in enumerate(ready):
            image = tuple(tensor[row] for tensor in outputs)
            answers.append(family.postprocess(image, one.geometry, thresholds))
    return answers


def score(scenes: list[Scene], answers: list[Detections], labels: tuple[str, ...]) -> dict[str, Any]:
    """COCO figures: `map50`, `map50_95`, `ap50` per class, and the counts behind them."""
    from faster_coco_eval import COCO, COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(_ground_truth(scenes, labels))
        run = COCOeval_faster(truth, truth.loadRes(_results(answers)), "bbox", print_function=_mute)
        run.evaluate()
        run.accumulate()
        run.summarize()
    precision = run.eval["precision"][0, :, :, 0, -1]
    per_class = {label: round(float(precision[:, index].mean()), 4) for index, label in enumerate(labels)}
    return {
        "map50": round(float(run.stats[1]), 4),
        "map50_95": round(float(run.stats[0]), 4),
        "ap50": per_class,
        "scenes": len(scenes),
        "objects": sum(len(scene.objects) for scene in scenes),
        "hard_share": round(_hard_share(scenes), 4),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure on three seeded sets and write `metrics.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--output", type=Path, default=METRICS_PATH)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    labels = BenthicDemo(ModelDefinition(family="benthic-demo", weights=str(options.weights))).labels
    report: dict[str, Any] = {}
    sets = {"held_out": TYPICAL, "darker": DARKER, "murkier": MURKIER}
    for name, conditions in sets.items():
        seeds = range(TEST_FIRST_SEED, TEST_FIRST_SEED + options.scenes)
        scenes = draw_scenes(seeds, conditions)
        report[name] = score(scenes, detect(options.weights, scenes, _THRESHOLDS), labels)
        report[name]["seeds"] = [seeds.start, seeds.stop - 1]
        _log.info("%s: %s", name, report[name])
    options.output.write_text(json.dumps(report, indent=2) + "\n")


def _ground_truth(scenes: list[Scene], labels: tuple[str, ...]) -> dict[str, Any]:
    rows = [
        (image, labels.index(item.label), _xywh(item.box_px))
        for image, scene in enumerate(scenes)
        for item in scene.objects
    ]
    return {
        "info": {},
        "images": [{"id": image, "height": FRAME_PX[0], "width": FRAME_PX[1]} for image in range(len(scenes))],
        "categories": [{"id": index, "name": label} for index, label in enumerate(labels)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": index,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for number, (image, index, box) in enumerate(rows, 1)
        ],
    }


def _results(answers: list[Detections]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(index),
            "bbox": _xywh((x1, y1, x2, y2)),
            "score": float(value),
        }
        for image, answer in enumerate(answers)
        for (x1, y1, x2, y2), value, index in zip(answer.boxes.tolist(), answer.scores, answer.class_ids, strict=True)
    ]


def _xywh(box: tuple[float, float, float, float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _hard_share(scenes: list[Scene]) -> float:
    objects = [item for scene in scenes for item in scene.objects]
    return sum(item.hard for item in objects) / max(1, len(objects))


def _mute(*_: object) -> None:
    """faster-coco-eval prints through this; its tables are not wanted in the log."""


if __name__ == "__main__":
    main()
