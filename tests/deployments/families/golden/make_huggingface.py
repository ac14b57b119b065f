"""Makes the folders and outputs in `huggingface/` with the ORIGINAL code of `transformers`.

    python make_huggingface.py [LAYOUT ...]

Needs an environment of its own with PyTorch, torchvision and transformers (2.13, 0.28 and 5.24.0 were used), NumPy
and Pillow; nothing of this project is imported. Networks are tiny, weights random but seeded. For each layout: the
folder as `save_pretrained` leaves it; of some pictures, some of the numbers that the image processor makes and what
the network answers; and what it answers for noise of several sizes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hub
from PIL import Image

HERE = Path(__file__).parent
FOLDERS = HERE / "huggingface"
SAMPLES = HERE.parents[3] / "deployments" / "families" / "demo" / "samples"
CLASSES = ["coral", "crinoid", "sponge", "fish", "squid"]
EVERY = 23

COMMON = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
LABELS = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: index for index, name in enumerate(CLASSES)}}
CROP = {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def layouts() -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    """Network, image processor and how it is saved, by name."""
    vit = hub.ViTConfig(**COMMON, **LABELS, intermediate_size=48, image_size=48, patch_size=8)
    bare = hub.ViTConfig(
        **COMMON, intermediate_size=40, image_size=32, patch_size=8, hidden_act="gelu_new", qkv_bias=False
    )
    # Its table is for images of another size than its processor makes, as DINOv2's are.
    dinov2 = hub.Dinov2Config(**COMMON, **LABELS, mlp_ratio=2, image_size=70, patch_size=14)
    registers = hub.Dinov2WithRegistersConfig(
        **COMMON, **LABELS, mlp_ratio=3, image_size=84, patch_size=14, use_swiglu_ffn=True, num_register_tokens=3,
        problem_type="multi_label_classification",
    )  # fmt: skip
    dinov3 = hub.DINOv3ViTConfig(**COMMON, intermediate_size=48, patch_size=16, num_register_tokens=4)
    gated = hub.DINOv3ViTConfig(
        **COMMON, intermediate_size=32, patch_size=8, use_gated_mlp=True, hidden_act="silu", rope_theta=50.0
    )
    crop = hub.BitImageProcessor(**CROP, **IMAGENET, resample=3)
    square = hub.ViTImageProcessor(size={"height": 48, "width": 48})
    return {
        "vit": (hub.ViTForImageClassification(vit), square, {}),
        "vit-sharded": (hub.ViTModel(bare), hub.ViTImageProcessor(size={"height": 32, "width": 32}, resample=3,
                                                                  do_normalize=False), {"max_shard_size": "30KB"}),
        "dinov2": (hub.Dinov2ForImageClassification(dinov2), crop, {}),
        "dinov2-registers": (hub.Dinov2WithRegistersForImageClassification(registers), crop, {}),
        "dinov3": (hub.DINOv3ViTModel(dinov3), dinov3_processor({"height": 64, "width": 96}), {}),
        "dinov3-bf16": (hub.DINOv3ViTModel(gated).bfloat16(), dinov3_processor({"height": 40, "width": 40}), {}),
    }  # fmt: skip


def dinov3_processor(size: dict[str, int]) -> Any:
    """The image processor of DINOv3, under the name that this release has for it."""
    kind = getattr(hub, "DINOv3ViTImageProcessor", None) or hub.DINOv3ViTImageProcessorFast
    return kind(size=size)


def randomize(model: torch.nn.Module) -> None:
    """Seeded weights that matter, in place of the first ones of a training."""
    generator = torch.Generator().manual_seed(11)
    for name, parameter in model.named_parameters():
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.5 if name.endswith("lambda1") else 0.0
        drawn = centre + 0.2 * torch.randn(parameter.shape, generator=generator)
        parameter.data.copy_(drawn.to(parameter.dtype))


def pictures() -> dict[str, Image.Image]:
    """A wide one, an upright one, and one that is smaller than any canvas."""
    wide = Image.open(SAMPLES / "seafloor-1.png").convert("RGB")
    upright = wide.transpose(Image.Transpose.TRANSPOSE).crop((0, 100, 540, 777))
    return {"wide": wide, "upright": upright, "small": wide.crop((100, 300, 131, 323))}


def answer(model: Any, pixels: torch.Tensor) -> dict[str, list[float]]:
    """Of one image: scores where the network classifies, and both embeddings."""
    config = model.config
    is_vit = isinstance(config, hub.ViTConfig)
    more = {"interpolate_pos_encoding": True} if is_vit else {}
    backbone = getattr(model, model.base_model_prefix) if hasattr(model, "classifier") else model
    with torch.no_grad():
        states = backbone(pixel_values=pixels, **more).last_hidden_state[0]
        first = 1 + getattr(config, "num_register_tokens", 0)
        found = {"cls": rounded(states[0]), "mean": rounded(states[first:].mean(0))}
        if hasattr(model, "classifier"):
            logits = model(pixel_values=pixels, **more).logits[0]
            is_multi = config.problem_type == "multi_label_classification"
            found["scores"] = rounded(logits.sigmoid() if is_multi else logits.softmax(0))
    return found


def rounded(values: torch.Tensor) -> list[float]:
    """Numbers that JSON holds in few characters."""
    return [round(float(value), 6) for value in values.float().flatten()]


def noise(processor: Any, size: tuple[int, int]) -> torch.Tensor:
    """The pixels of a seeded canvas (height, width), as the processor gives them without resizing."""
    canvas = np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
    values = torch.from_numpy(canvas.transpose(2, 0, 1)[None].copy()).double() * processor.rescale_factor
    if processor.do_normalize:
        mean, std = (torch.tensor(one).double()[:, None, None] for one in (processor.image_mean, processor.image_std))
        values = (values - mean) / std
    return values.float()


def make(name: str, model: Any, processor: Any, saving: dict[str, Any]) -> None:
    """One folder, and beside it what it answers."""
    randomize(model)
    folder = FOLDERS / name
    model.eval().save_pretrained(folder, **saving)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    # In float32, whatever the file is in: so is ours.
    model = model.float()
    patch = model.config.patch_size
    golden: dict[str, Any] = {"release": hub.__version__, "pictures": {}, "canvases": []}
    for picture, image in pictures().items():
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        golden["pictures"][picture] = {
            "shape": list(pixels.shape[2:]),
            f"every_{EVERY}th": rounded(pixels.flatten()[::EVERY]),
            **answer(model, pixels),
        }
    for rows, columns in ((4, 4), (5, 5), (7, 3), (3, 8), (9, 9)):
        size = rows * patch, columns * patch
        golden["canvases"].append({"canvas_px": size, **answer(model, noise(processor, size))})
    (FOLDERS / f"{name}.json").write_text(json.dumps(golden) + "\n")


def main() -> None:
    """All layouts, or those that are named."""
    torch.set_num_threads(1)
    for name, (model, processor, saving) in layouts().items():
        if name in (sys.argv[1:] or layouts()):
            make(name, model, processor, saving)


if __name__ == "__main__":
    main()
