"""The PyTorch side: `python torch_worker.py NETWORK WEIGHTS THREADS`, in an environment of its own.

The original network of the checkpoint, YOLOs fused, in inference mode, in both layouts that PyTorch has for images,
from uint8 tensors to what its head gives; without NMS and without the top-k that ours includes. With `make` in place
of THREADS it writes the seeded checkpoint of a network. The environment: `requirements.txt`.
"""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found]  # only in the environment of this script

sys.path.insert(0, str(Path(__file__).parent))
from networks import NETWORKS  # type: ignore[import-not-found]  # beside this script, which is run as a file
from worker import Run, claimed_output, obey  # type: ignore[import-not-found]  # as above

LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def make_ultralytics(network: str, weights: str) -> None:
    """A checkpoint of ultralytics, as its trainer leaves one when stripped."""
    from ultralytics import YOLO  # type: ignore[import-not-found]  # as above

    model = YOLO(f"{network}.yaml").model
    model.args = {"imgsz": NETWORKS[network].input_px}
    torch.save({"epoch": -1, "model": model.half().eval(), "ema": None, "optimizer": None}, weights)


def make_rf_detr(_: str, weights: str) -> None:
    """A checkpoint as rfdetr's trainer leaves one."""
    import rfdetr  # type: ignore[import-not-found]  # as above
    from rfdetr.config import TrainConfig  # type: ignore[import-not-found]  # as above

    names = [f"class {number}" for number in range(90)]
    model = rfdetr.RFDETRNano(pretrain_weights=None, device="cpu", num_classes=len(names))
    content = {
        "model": model.model.model.state_dict(),
        "args": TrainConfig(dataset_dir="data", output_dir="output", class_names=names).model_dump(),
        "model_config": model.model_config.model_dump() | {"model_name": "RFDETRNano"},
        "model_name": "RFDETRNano",
        "epoch": 1,
    }
    torch.save(content, weights)


def make_vit(_: str, weights: str) -> None:
    """A folder as transformers saves one."""
    from transformers import (  # type: ignore[import-not-found]  # as above
        ViTConfig,
        ViTForImageClassification,
        ViTImageProcessor,
    )

    ViTForImageClassification(ViTConfig(num_labels=1000)).save_pretrained(weights)
    ViTImageProcessor().save_pretrained(weights)


def load_yolo(network: str, weights: str) -> Any:
    """Runs what is in the file: only for files of one's own."""
    if network.startswith("yolov5"):
        package = find_spec("yolov5")
        assert package is not None
        assert package.submodule_search_locations
        sys.path.insert(0, package.submodule_search_locations[0])
    content = torch.load(weights, map_location="cpu", weights_only=False)
    return content["model"].float().eval().fuse()


def load_rf_detr(_: str, weights: str) -> Any:
    """The network without what `predict` does around it."""
    import rfdetr

    content = torch.load(weights, map_location="cpu", weights_only=False)
    model = rfdetr.RFDETRNano(pretrain_weights=None, device="cpu", num_classes=90).model.model.eval()
    model.load_state_dict(content["model"])
    return model


def load_vit(_: str, weights: str) -> Any:
    """With PyTorch's own scaled dot product, which is the fastest way of attention there."""
    from transformers import ViTForImageClassification

    return ViTForImageClassification.from_pretrained(weights, attn_implementation="sdpa").eval()


Make = Callable[[str, str], None]
Load = Callable[[str, str], Any]

KINDS: dict[str, tuple[Make | None, Load]] = {
    "yolov5": (None, load_yolo),
    "ultralytics": (make_ultralytics, load_yolo),
    "rf-detr": (make_rf_detr, load_rf_detr),
    "huggingface": (make_vit, load_vit),
}
"""By our family: how a checkpoint is made, and how its network is built."""


def main(network: str, weights: str, threads: int) -> None:
    """Runs until its input ends."""
    answers = claimed_output()
    torch.set_num_threads(threads)
    px = NETWORKS[network].input_px
    model = KINDS[NETWORKS[network].family][1](network, weights)
    convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]

    def prepare(variant: str, batch: int) -> Run:
        layout = LAYOUTS[variant]
        for layer in convolutions:
            layer.to(memory_format=layout)
        images = torch.randint(0, 256, (batch, 3, px, px), dtype=torch.uint8).to(memory_format=layout)

        def run() -> object:
            with torch.inference_mode():
                return model(images.float() / 255)

        return run

    obey(answers, list(LAYOUTS), prepare)


if __name__ == "__main__":
    if sys.argv[3] == "make":
        make = KINDS[NETWORKS[sys.argv[1]].family][0]
        assert make is not None
        torch.manual_seed(0)
        make(sys.argv[1], sys.argv[2])
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
