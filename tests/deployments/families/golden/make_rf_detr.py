"""Makes the RF-DETR checkpoints and outputs in this folder with the ORIGINAL code of PyPI's rfdetr.

    pip install rfdetr==1.11.2
    python make_rf_detr.py [LAYOUT ...]

Needs an environment of its own with PyTorch; nothing of this project is imported. Networks are small, weights random
but seeded. For each layout: the checkpoint in one of the containers that the trainer has written, the raw boxes and
logits of some queries for some canvases, and what `predict()` answers for a picture.

The reference takes a square table of positions only. The fork that VIAME trains with also takes a rectangular one
(https://github.com/VIAME/rf-detr, `interpolate_pos_encoding`); `rectangular` does to the reference what it does.
"""

import argparse
import base64
import importlib.metadata
import json
import sys
import types
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rfdetr
import torch
from PIL import Image
from rf_detr_layouts import LAYOUTS
from rfdetr._namespace import _namespace_from_configs
from rfdetr.config import TrainConfig
from rfdetr.models.backbone import dinov2
from torchvision.transforms import functional

HERE = Path(__file__).resolve().parent
PICTURE = HERE / "03_00_51_14.jpg"
CLASSES = ["coral", "crinoid", "fish"]
EVERY, MASK_EVERY, QUERIES, FEEDFORWARD = 5, 7, 20, 96
RELEASE = importlib.metadata.version("rfdetr")
COMMON = {"pretrain_weights": None, "device": "cpu", "num_queries": QUERIES, "num_select": 40, "group_detr": 2}

RECTANGLE = (6, 10)


def network(layout: str) -> rfdetr.detr.RFDETR:
    """The release's own network, made small."""
    variant, backbone, settings, *_ = LAYOUTS[layout]
    size, original = ("base" if layout == "rf-detr-old-large" else "small"), dinov2.get_config

    def small(name: str, use_registers: bool) -> dict:
        return original(name, use_registers) | backbone

    dinov2.get_config = small
    dinov2.size_to_width[size] = backbone["hidden_size"]
    settings = COMMON | {"num_classes": len(CLASSES)} | settings
    settings |= {
        "rf-detr-rectangular": {"resolution": 160, "positional_encoding_size": 10},
        "rf-detr-old-large": {"positional_encoding_size": 5},
        "rf-detr-seg": {"resolution": 96, "positional_encoding_size": 8},
    }.get(layout, {})
    torch.manual_seed(0)
    model = variant(**settings)
    dinov2.get_config = original
    for layer in model.model.model.transformer.decoder.layers:
        # No setting says how wide these are, and with the usual 2048 the file would be large.
        layer.linear1 = torch.nn.Linear(settings["hidden_dim"], FEEDFORWARD)
        layer.linear2 = torch.nn.Linear(FEEDFORWARD, settings["hidden_dim"])
    model.model.class_names = list(CLASSES)
    return model


def rectangular(model: torch.nn.Module) -> None:
    """Gives a network a table of positions of `RECTANGLE`, and uses it as VIAME's fork does."""
    embeddings = model.backbone[0].encoder.encoder.embeddings
    rows, columns = RECTANGLE
    width = embeddings.position_embeddings.shape[-1]
    embeddings.position_embeddings = torch.nn.Parameter(torch.zeros(1, rows * columns + 1, width))

    def interpolate(self, tokens: torch.Tensor, height: int, width_px: int) -> torch.Tensor:
        size = height // self.config.patch_size, width_px // self.config.patch_size
        table = self.position_embeddings[:, 1:].reshape(1, rows, columns, -1).permute(0, 3, 1, 2)
        if size != RECTANGLE:
            table = torch.nn.functional.interpolate(
                table.float(), size=size, mode="bicubic", align_corners=False, antialias=True
            )
        table = table.permute(0, 2, 3, 1).reshape(1, size[0] * size[1], -1)
        return torch.cat((self.position_embeddings[:, :1], table), dim=1)

    embeddings.interpolate_pos_encoding = types.MethodType(interpolate, embeddings)


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights of a network in working order: no output is constant, and none saturates."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        values = parameter.data
        if "position_embeddings" in name or "_token" in name:
            values.normal_(0, 0.2, generator=generator)
        elif "lambda1" in name:
            values.uniform_(0.3, 1.0, generator=generator)
        elif "sampling_offsets" in name:
            values += torch.empty_like(values).normal_(0, 0.1, generator=generator)
        elif name == "refpoint_embed.weight":
            values.normal_(0, 0.3, generator=generator)
        elif name == "query_feat.weight":
            values.normal_(0, 1.0, generator=generator)
        elif values.ndim == 1 and name.endswith("weight"):
            values.uniform_(0.7, 1.3, generator=generator)
        elif values.ndim == 1:
            values.normal_(0, 0.1, generator=generator)
        else:
            fan_in = values[0].numel()
            is_box = "bbox_embed" in name and name.endswith("layers.2.weight")
            gain = 0.5 if is_box else 2.5 if "class_embed" in name else 1.0
            values.normal_(0, gain / fan_in**0.5, generator=generator)
    model.class_embed.bias.data -= 1.0


def image(size: tuple[int, int]) -> np.ndarray:
    """A seeded picture of large blots, uint8 RGB, (height, width, 3)."""
    small = np.random.default_rng(7).integers(0, 256, (9, 13, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))


def normalised(pixels: np.ndarray) -> torch.Tensor:
    """The network's input for pixels that have its size."""
    return functional.normalize(functional.to_tensor(pixels)[None], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def watched(call: Callable[[], object]) -> tuple[object, float]:
    """What a call gives, and how far apart the proposals are at least whose order says which query is which: where
    they are nearly equal, the last bit of a number decides."""
    gaps = []
    original = torch.topk

    def topk(values: torch.Tensor, k: int, *others: object, **more: object) -> object:
        if values.dim() == 2 and values.shape[1] != QUERIES * (len(CLASSES) + 1):
            ordered = values.sort(dim=-1, descending=True).values[..., : k + 1]
            gaps.append(float((ordered[..., :-1] - ordered[..., 1:]).min()))
        return original(values, k, *others, **more)

    torch.topk = topk
    found = call()
    torch.topk = original
    return found, min(gaps)


def raw_outputs(model: torch.nn.Module, size: tuple[int, int]) -> dict:
    """Boxes and logits of some queries."""
    with torch.no_grad():
        outputs, gap = watched(lambda: model(normalised(image(size))))
    boxes, logits = outputs["pred_boxes"][0].numpy(), outputs["pred_logits"][0].numpy()
    rows = np.concatenate([boxes, logits], axis=1)
    raw = {"canvas_px": size, "gap": gap, "shape": list(rows.shape), f"every_{EVERY}th": rounded(rows[::EVERY])}
    if "pred_masks" in outputs:
        masks = outputs["pred_masks"][0].numpy()
        raw |= {"mask_shape": list(masks.shape), "masks": rounded(masks[::EVERY, ::MASK_EVERY, ::MASK_EVERY])}
    return raw


def masked(model: rfdetr.detr.RFDETR, size: tuple[int, int]) -> dict:
    """What `predict()` answers for a picture as large as the canvas, masks too."""
    picture = Image.fromarray(image(size))
    found, gap = watched(lambda: model.predict(picture, threshold=0.05, shape=size, include_source_image=False))
    return {
        "canvas_px": size,
        "gap": gap,
        "boxes": rounded(found.xyxy),
        "scores": rounded(found.confidence),
        "class_ids": found.class_id.tolist(),
        "masks": [base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode() for mask in found.mask],
    }


def predictions(model: rfdetr.detr.RFDETR, size: tuple[int, int], antialias: bool) -> dict:
    """What `predict()` answers for the picture."""
    resize = functional.resize
    if antialias:
        # As `predict()` did until July 2026.
        functional.resize = lambda tensor, target, **_: resize(tensor, target, antialias=True)
    picture = Image.open(PICTURE)
    found, gap = watched(lambda: model.predict(picture, threshold=0.05, shape=size, include_source_image=False))
    functional.resize = resize
    return {
        "canvas_px": size,
        "antialias": antialias,
        "gap": gap,
        "boxes": rounded(found.xyxy),
        "scores": rounded(found.confidence),
        "class_ids": found.class_id.tolist(),
    }


def rounded(values: np.ndarray) -> list:
    """Five decimals."""
    return np.round(np.asarray(values, np.float64), 5).tolist()


def content(layout: str, model: rfdetr.detr.RFDETR) -> dict:
    """What the trainer saves: with its command line, as until 1.4, or with both kinds of settings, as from 1.7 on."""
    weights = {name: values.half() for name, values in model.model.model.state_dict().items()}
    training = TrainConfig(dataset_dir="data", output_dir="output", class_names=list(CLASSES))
    folders = {"dataset_dir": "data", "output_dir": "output"}  # which it has made absolute
    if LAYOUTS[layout][-1] == "namespace":
        settings = vars(_namespace_from_configs(model.model_config, training)) | folders
        return {"model": weights, "args": argparse.Namespace(**settings, class_names=list(CLASSES)), "epoch": 3}
    settings = model.model_config.model_dump() | {"model_name": type(model).__name__}
    if layout == "rf-detr-rectangular":
        settings |= {"resolution": [96, 160], "positional_encoding_size": list(RECTANGLE)}
    return {
        "model": weights,
        "args": training.model_dump() | folders,
        "epoch": 3,
        "state_dict": {f"model.{name}": values for name, values in weights.items()},
        "global_step": 400,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "optimizer_states": [],
        "lr_schedulers": [],
        "model_name": type(model).__name__,
        "model_config": settings,
        "rfdetr_version": RELEASE,
    }


def make(layout: str) -> None:
    """One layout."""
    model = network(layout)
    inner = model.model.model
    if layout == "rf-detr-rectangular":
        rectangular(inner)
    for seed in range(100):
        randomize(inner, seed)
        inner.load_state_dict({name: values.half() for name, values in inner.state_dict().items()})
        inner.eval()
        outputs = [raw_outputs(inner, size) for size in LAYOUTS[layout][3]]
        found = [
            predictions(model, size, antialias) for size in LAYOUTS[layout][3][:2] for antialias in (False, True)
        ]
        with_masks = [masked(model, size) for size in LAYOUTS[layout][3]] if layout == "rf-detr-seg" else []
        if min(one["gap"] for one in outputs + found + with_masks) > 5e-4:
            break
    golden = {"release": RELEASE, "seed": seed, "outputs": outputs, "predictions": found}
    if with_masks:
        golden["masked"] = with_masks
    (HERE / f"{layout}.json").write_text(json.dumps(golden) + "\n")
    torch.save(content(layout, model), HERE / f"{layout}.pth")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or LAYOUTS:
        make(chosen)
