"""Makes detectron2_retinanet.json with the ORIGINAL code of facebookresearch/detectron2 (commit 02b5c4e).

    python make_detectron2_retinanet.py CHECKOUT

CHECKOUT is a checkout of that repository, whose compiled part is not needed. Needs an environment of its own, with
what `make_detectron2_scales.py` names or newer (PyTorch 2.13 was used); nothing of this project is imported but the
seeded weights. The images are the sample frames of the demo model, which are drawings of our own.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from detectron2_weights import weight

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[3] / "deployments" / "families" / "demo" / "samples"
CASES = (
    {"image": "seafloor-1.png", "is_turned": False, "short_edge": 720, "longest_edge": 1280},
    {"image": "seafloor-2.png", "is_turned": True, "short_edge": 320, "longest_edge": 512},
)
NMS_IOU = 0.5
KEPT = 120


def build(checkout):
    """The original network as its model zoo configures it, with seeded weights."""
    sys.path.insert(0, str(checkout))
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(checkout / "configs/COCO-Detection/retinanet_R_50_FPN_3x.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.RETINANET.NMS_THRESH_TEST = NMS_IOU
    cfg.TEST.DETECTIONS_PER_IMAGE = 300
    model = build_model(cfg).eval()
    state = {name: torch.from_numpy(weight(name, tuple(value.shape))) for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return model


def described(logits, deltas):
    """One level of the head's raw outputs: its shape, moments and first values."""
    return {
        "logits_shape": list(logits.shape),
        "logits_mean": float(logits.mean()),
        "logits_std": float(logits.numpy().std()),
        "logits_first16": [round(float(value), 4) for value in logits.flatten()[:16]],
        "deltas_std": float(deltas.numpy().std()),
        "deltas_first16": [round(float(value), 4) for value in deltas.flatten()[:16]],
    }


def run(model, inputs, threshold):
    """The detections above `threshold`, best first."""
    model.test_score_thresh = threshold
    with torch.no_grad():
        [answer] = model([inputs])
    found = answer["instances"]
    return found.pred_boxes.tensor, found.scores, found.pred_classes


def answer(model, case):
    """The case with the size of its input, its raw outputs, its threshold and its detections."""
    from detectron2.data.transforms import ResizeShortestEdge

    pixels = cv2.imread(str(SAMPLES / case["image"]))
    pixels = np.ascontiguousarray(pixels.transpose(1, 0, 2)) if case["is_turned"] else pixels
    height, width = pixels.shape[:2]
    edges = [case["short_edge"]] * 2
    resized = ResizeShortestEdge(edges, case["longest_edge"]).get_transform(pixels).apply_image(pixels)
    tensor = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
    inputs = {"image": tensor, "height": height, "width": width}
    with torch.no_grad():
        images = model.preprocess_image([inputs])
        features = model.backbone(images.tensor)
        maps = model.head([features[name] for name in model.head_in_features])
    _, scores, _ = run(model, inputs, 0.05)
    # Between two scores, so that the last digits do not decide what is above.
    place = min(KEPT, len(scores) - 1)
    threshold = round(float(scores[place - 1] + scores[place]) / 2, 6)
    boxes, scores, classes = run(model, inputs, threshold)
    return dict(
        case,
        resized=list(resized.shape[:2]),
        padded=list(images.tensor.shape[2:]),
        score_threshold=threshold,
        nms=NMS_IOU,
        max_detections=300,
        levels=[described(logits, deltas) for logits, deltas in zip(*maps, strict=True)],
        detections=[
            {"box": [round(value, 3) for value in box], "score": round(score, 5), "class_id": number}
            for box, score, number in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
        ],
    )


def main():
    """All cases in one file. The names and shapes of the tensors stand in detectron2_scales.json."""
    model = build(Path(sys.argv[1]))
    cases = [answer(model, case) for case in CASES]
    (HERE / "detectron2_retinanet.json").write_text(json.dumps({"cases": cases}) + "\n")


if __name__ == "__main__":
    main()
