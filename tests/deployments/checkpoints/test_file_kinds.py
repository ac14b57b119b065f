"""What is told to somebody whose file is honest and cannot be read: what it is, and the way out."""

from pathlib import Path

import numpy as np
import pytest

from deployments.checkpoints import open_checkpoint
from deployments.checkpoints.hdf5 import KerasFile
from deployments.errors import ModelUnavailable
from deployments.families.generic.keras_zip import read_config
from deployments.families.generic.onnx_file import read_onnx
from tests.deployments.checkpoints.checkpoint_writer import Weights, instance, mapping, write

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
HEADS = {
    "pointer": (POINTER, "Git LFS.*git lfs pull"),
    "page": (b"\n<!DOCTYPE html>\n<html lang='en'>", "a web page"),
    "old page": (b"<HTML><head>", "a web page"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(60), "gzip: unpack it"),
    "safetensors": ((80).to_bytes(8, "little") + b'{"__metadata__":{"format":"pt"}}', "a safetensors file"),
}
READERS = {"pt": open_checkpoint, "h5": KerasFile, "keras": read_config, "onnx": read_onnx}
NETWORK = "ultralytics.nn.tasks.DetectionModel"


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("kind", HEADS)
def test_a_file_that_is_something_else_is_told_with_the_way_out(tmp_path: Path, kind: str, suffix: str) -> None:
    content, told = HEADS[kind]
    path = tmp_path / f"best.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=rf"best\.{suffix}: not .*it is .*{told}"):
        READERS[suffix](path)


def test_a_keras_file_among_checkpoints_and_the_other_way_round(tmp_path: Path) -> None:
    hdf5 = tmp_path / "model.h5"
    hdf5.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(60))
    with pytest.raises(ModelUnavailable, match=r"model\.h5: not a PyTorch checkpoint: it is an HDF5 file"):
        open_checkpoint(hdf5)
    checkpoint = write(tmp_path / "best.pt", mapping({"model": Weights().module(NETWORK)}))
    with pytest.raises(ModelUnavailable, match=r"best\.pt: not an HDF5 file: it is a zip archive, as PyTorch"):
        KerasFile(checkpoint)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("__main__.Net", "holds __main__.Net, a class of somebody's own program"),
        ("torchvision.models.resnet.ResNet", "a class of torchvision, which is not read"),
        ("mmdet.models.RTMDet", "a class of mmdet, which is not read.*ONNX"),
    ],
)
def test_an_honest_network_of_another_program_does_not_sound_like_an_attack(
    tmp_path: Path, kind: str, told: str
) -> None:
    path = write(tmp_path / "a.pt", mapping({"model": instance(kind, mapping({}))}))
    with pytest.raises(ModelUnavailable, match=told) as refused:
        open_checkpoint(path)
    assert "nothing in the file was run" not in refused.value.message


@pytest.mark.parametrize("place", ["alone", "wrapped", "wrapped alone", "in its trainer"])
def test_a_network_is_found_where_torch_save_put_it(tmp_path: Path, place: str) -> None:
    weights = Weights()
    network = weights.module(NETWORK, which="this")
    wrapped = weights.module("torch.nn.parallel.distributed.DistributedDataParallel", {"module": network})
    bodies = {
        "alone": network,
        "wrapped": mapping({"model": wrapped}),
        "wrapped alone": wrapped,
        "in its trainer": weights.module("ultralytics.models.yolo.model.YOLO", {"model": network}),
    }
    with open_checkpoint(write(tmp_path / "a.pt", bodies[place], weights.storages)) as checkpoint:
        assert checkpoint.network().kind == NETWORK
        assert checkpoint.network().state["which"] == "this"


def test_a_wrapper_without_a_network_is_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    empty = Weights().module("torch.nn.parallel.data_parallel.DataParallel")
    with (
        open_checkpoint(write(tmp_path / "a.pt", mapping({"model": empty}))) as checkpoint,
        pytest.raises(ModelUnavailable, match=r"a\.pt: torch.nn.parallel.*has no child 'module'"),
    ):
        checkpoint.network()


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("model", "model.0.conv.weight", "weights without their network.*export it to ONNX"),
        ("state_dict", "net.weight", "weights without their network"),
        (None, "model.0.conv.weight", "weights without their network"),
        ("model", "backbone.bottom_up.stem.conv1.weight", "family detectron2-retinanet is for such files"),
    ],
)
def test_weights_without_a_network_say_what_is_missing(tmp_path: Path, key: str | None, name: str, told: str) -> None:
    weights = Weights()
    tensors = mapping({name: weights.tensor(np.zeros(3, np.float32))})
    body = tensors if key is None else mapping({key: tensors})
    with (
        open_checkpoint(write(tmp_path / "a.pt", body, weights.storages)) as checkpoint,
        pytest.raises(ModelUnavailable, match=told),
    ):
        checkpoint.network()
