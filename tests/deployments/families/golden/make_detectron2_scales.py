"""Makes detectron2_scales.json with the ORIGINAL code of facebookresearch/detectron2 (commit 02b5c4e).

    python make_detectron2_scales.py CHECKOUT IMAGES

CHECKOUT is a checkout of that repository, whose compiled part is not needed; IMAGES the folder of the images named
in CASES that are not among the sample frames of the demo model. Needs an environment of its own: PyTorch 1.13,
torchvision 0.14, NumPy < 1.25, pillow < 10, fvcore, iopath, omegaconf, yacs, pycocotools; nothing of this project is
imported but the seeded weights. The last case was made with PyTorch 2.13.

Two ways to merge several sizes of an image were published: in one batch, padded to the largest (the legacy model
server), and one after the other (the scripts beside the weights). Both keep what is above the threshold for each
class and size, then suppress once across all.
"""

import json
import sys
from pathlib import Path

import cv2
import torch
import torchvision
from detectron2_weights import weight

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[3] / "deployments" / "families" / "demo" / "samples"
ACROSS_IOU = 0.45
QUARTER = [[180, 320], [135, 240], [270, 480]]
CASES = (
    # The server's three sizes at a quarter, as the full ones take a minute for one image; it resizes float32.
    {"image": "D0232_03HD_00-00-35.png", "scales": QUARTER, "one_batch": True, "float32": True},
    {"image": "bus.jpg", "scales": QUARTER, "one_batch": True, "float32": True},
    {"image": "bus.jpg", "scales": QUARTER, "one_batch": True, "float32": False},
    # Sizes of 16:9 that need no padding, so that a fixed canvas and the least one are the same.
    {"image": "D0232_03HD_00-00-35.png", "scales": [[288, 512], [576, 1024]], "one_batch": False, "float32": False},
    # A drawing of our own, which is in the repository.
    {"image": "seafloor-1.png", "scales": QUARTER, "one_batch": True, "float32": True},
)
KEPT = 120


def build(checkout):
    """The original network as the published script configures it, with seeded weights."""
    sys.path.insert(0, str(checkout))
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(checkout / "configs/COCO-Detection/retinanet_R_50_FPN_3x.yaml"))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.TEST.DETECTIONS_PER_IMAGE = 300
    model = build_model(cfg).eval()
    state = {name: torch.from_numpy(weight(name, tuple(value.shape))) for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return model


def run(model, picture, case, threshold):
    """What is kept across all sizes: boxes, scores, classes, best first."""
    from detectron2.data.transforms import ResizeShortestEdge

    height, width = picture.shape[:2]
    model.test_score_thresh = threshold
    inputs = []
    for short, long in case["scales"]:
        resized = ResizeShortestEdge([short, short], long).get_transform(picture).apply_image(picture)
        tensor = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
        inputs.append({"image": tensor, "height": height, "width": width})
    batches = [inputs] if case["one_batch"] else [[one] for one in inputs]
    with torch.no_grad():
        found = [answer["instances"] for batch in batches for answer in model(batch)]
    boxes = torch.cat([one.pred_boxes.tensor for one in found])
    scores = torch.cat([one.scores for one in found])
    classes = torch.cat([one.pred_classes for one in found])
    kept = torchvision.ops.nms(boxes, scores, ACROSS_IOU)
    return boxes[kept], scores[kept], classes[kept], [len(one) for one in found]


def answer(model, images, case):
    """The case with its threshold and detections."""
    own = SAMPLES / case["image"]
    path = own if own.exists() else images / case["image"]
    picture = cv2.imread(str(path)).astype("float32" if case["float32"] else "uint8")
    _, scores, _, _ = run(model, picture, case, 0.05)
    # Between two scores, so that the last digits do not decide what is above.
    place = min(KEPT, len(scores) - 1)
    threshold = round(float(scores[place - 1] + scores[place]) / 2, 6)
    boxes, scores, classes, of_each_size = run(model, picture, case, threshold)
    detections = [
        {"box": [round(value, 3) for value in box], "score": round(score, 5), "class_id": number}
        for box, score, number in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
    ]
    return dict(case, threshold=threshold, of_each_size=of_each_size, detections=detections)


def main():
    """All cases in one file."""
    model = build(Path(sys.argv[1]))
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    cases = [answer(model, Path(sys.argv[2]), case) for case in CASES]
    (HERE / "detectron2_scales.json").write_text(json.dumps({"tensors": shapes, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
