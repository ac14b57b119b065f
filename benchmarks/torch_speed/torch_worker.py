"""The PyTorch side: `python torch_worker.py NETWORK WEIGHTS THREADS`, in its own environment (`requirements.txt`).

The original network of the checkpoint, fused, in inference mode, in both layouts that PyTorch has for images, from
uint8 tensors to the decoded head; without NMS and without the top-k that ours includes. With `make` instead of
THREADS it writes the seeded checkpoint of an ultralytics network (`yolov8n`) instead.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found]  # only in the environment of this script

sys.path.insert(0, str(Path(__file__).parent))
from worker import Run, claimed_output, obey  # type: ignore[import-not-found]  # beside this script, which is run as a file

LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def make(network: str, weights: str) -> None:
    """A checkpoint of random but repeatable weights, as ultralytics' trainer leaves one when stripped."""
    from ultralytics import YOLO  # type: ignore[import-not-found]  # as above

    torch.manual_seed(0)
    model = YOLO(f"{network}.yaml").model
    model.args = {"imgsz": 640}
    torch.save({"epoch": -1, "model": model.half().eval(), "ema": None, "optimizer": None}, weights)


def load(network: str, weights: str) -> Any:
    """The network of a checkpoint, ready to infer. Runs what is in the file: only for files of one's own."""
    if network.startswith("yolov5"):
        package = find_spec("yolov5")
        assert package is not None
        assert package.submodule_search_locations
        sys.path.insert(0, package.submodule_search_locations[0])
    content = torch.load(weights, map_location="cpu", weights_only=False)
    return content["model"].float().eval().fuse()


def main(network: str, weights: str, threads: int) -> None:
    """Runs until its input ends."""
    answers = claimed_output()
    torch.set_num_threads(threads)
    model = load(network, weights)
    convolutions = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)]

    def prepare(variant: str, batch: int) -> Run:
        layout = LAYOUTS[variant]
        for layer in convolutions:
            layer.to(memory_format=layout)
        images = torch.randint(0, 256, (batch, 3, 640, 640), dtype=torch.uint8).to(memory_format=layout)

        def run() -> object:
            with torch.inference_mode():
                return model(images.float() / 255)

        return run

    obey(answers, list(LAYOUTS), prepare)


if __name__ == "__main__":
    if sys.argv[3] == "make":
        make(sys.argv[1], sys.argv[2])
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
