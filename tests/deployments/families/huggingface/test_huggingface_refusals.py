"""Folders that are hostile, wrong, or of another kind, and settings that do not fit: each refused in words."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from tests.deployments.families.huggingface.hub_folders import (
    FOLDERS,
    Tensors,
    change,
    change_tensors,
    copy_of,
    family_of,
)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "asks for Python code beside the weights, which is never run"),
        ({"quantization_config": {"bits": 4}}, "quantised weights are not read"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"architectures": ["SegformerForSemanticSegmentation"]}, "is not served; known: ViTForImage.*to ONNX"),
        ({"architectures": None}, "architectures must name one of ViTForImageClassification"),
        ({"architectures": "ViTModel"}, "architectures must name one of"),
        ({"architectures": [["ViTModel"]]}, "architectures must name one of"),
        ({"hidden_act": "mish"}, "hidden_act: the activation 'mish' is not known here; known: gelu"),
        ({"hidden_act": None}, r"config\.json: hidden_act: Field required"),
        ({"num_attention_heads": None}, "num_attention_heads: Field required"),
        ({"num_attention_heads": 5}, "hidden_size 24 is no multiple of 5 heads"),
        ({"num_attention_heads": "3"}, "num_attention_heads: .*got 3"),
        ({"hidden_size": 2**40}, "hidden_size: Input should be less than or equal to 65536"),
        ({"hidden_size": 48}, r"cls_token has the shape \(1, 1, 24\), but by its config\.json \(1, 1, 48\)"),
        ({"num_hidden_layers": 3}, r"16 tensors are missing.*encoder\.layer\.2"),
        ({"num_hidden_layers": 1}, r"16 tensors are not of this architecture"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: Input should be less than or equal to 256"),
        ({"intermediate_size": 40}, r"intermediate\.dense\.weight has the shape \(48, 24\)"),
        (
            {"image_size": 56},
            r"position_embeddings has the shape \(1, 37, 24\), but by its config\.json \(1, 50, 24\)",
        ),
        ({"patch_size": 16, "image_size": 96}, r"projection\.weight has the shape \(24, 3, 8, 8\)"),
        ({"patch_size": 0}, "patch_size"),
        ({"patch_size": [8, 8, 8]}, "patch_size"),
        ({"num_channels": 1}, "num_channels: Input should be 3, got 1"),
        ({"qkv_bias": False}, "6 tensors are not of this architecture"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps"),
        ({"problem_type": "regression"}, "problem_type"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label does not number its 2 classes from 0 on"),
        ({"id2label": {"0": "a", "1": "b"}}, "id2label names 2 classes, but the classifier has 5; declare `labels`"),
        ({"id2label": {"0": 3}}, "id2label"),
        ({"id2label": None}, "names no classes, so the definition needs `labels`; it has 5 classes"),
        ({"architectures": ["ViTModel"]}, "tensors are missing that its config.json speaks of"),
        ({"architectures": ["Dinov2ForImageClassification"]}, "tensors are missing"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    folder = copy_of("vit", tmp_path / "model")
    change(folder, **fields)
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        family_of(folder)
    assert len(caught.value.message) < 700


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image_processor_type": "CLIPImageProcessor"}, "'CLIPImageProcessor' is not served; known: ViTImageProc"),
        ({"image_processor_type": ["ViTImageProcessor"]}, "is not served; known: ViTImageProc"),
        ({"do_resize": False}, "do_resize is false, but images come in all sizes"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order is a step that is not served"),
        ({"do_center_crop": True}, "do_center_crop after a resize to height and width is not served"),
        ({"size": {"shortest_edge": 48}}, "gives each image a canvas of its own"),
        ({"size": {"longest_edge": 48}}, "size must be height and width"),
        ({"size": {"height": 48, "width": 0}}, "size must be height and width"),
        ({"size": {"height": 48, "width": 10**9}}, "size must be height and width, 1 to 8192 pixels"),
        ({"size": "large"}, "size must be height and width"),
        ({"size": {"height": 64, "width": 64}}, r"by config\.json the network takes \(48, 48\); declare"),
        ({"size": {"height": 50, "width": 48}}, r"must be a multiple of the patches of \(8, 8\) pixels"),
        ({"resample": 1}, "resample 1 is not served; 0"),
        ({"resample": "bilinear"}, "resample"),
        ({"image_mean": [0.5, 0.5]}, "image_mean"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std: must be above 0"),
        ({"rescale_factor": 0}, "rescale_factor"),
        ({"do_normalize": "yes"}, "do_normalize"),
    ],
)
def test_an_image_processor_that_does_not_fit_is_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    folder = copy_of("vit", tmp_path / "model")
    change(folder, "preprocessor_config.json", **fields)
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(folder)


def with_adapter(tensors: Tensors) -> Tensors:
    return tensors | {"vit.encoder.layer.0.attention.attention.query.lora_A": np.zeros((2, 24), np.float32)}


def without_head(tensors: Tensors) -> Tensors:
    return {name: values for name, values in tensors.items() if not name.startswith("classifier")}


def with_flat_head(tensors: Tensors) -> Tensors:
    return tensors | {"classifier.weight": np.zeros(5, np.float32)}


def with_whole_numbers(tensors: Tensors) -> Tensors:
    return tensors | {"classifier.weight": np.zeros((5, 24), np.int64)}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (with_adapter, r"1 tensors are not of this architecture, and would be left out: .*lora_A; merge adapters"),
        (without_head, r"there is no tensor classifier\.weight; if it was saved without its head"),
        (with_flat_head, r"classifier\.weight has the shape \(5,\), but by its config\.json \(5, 24\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, edit: Any, reason: str) -> None:
    folder = copy_of("vit", tmp_path / "model")
    change_tensors(folder, edit)
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(folder)


def test_weights_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    folder = copy_of("vit", tmp_path / "model")
    change_tensors(folder, with_whole_numbers)
    with pytest.raises(ModelUnavailable, match=r"'classifier\.weight' has the type I64"):
        family_of(folder).build_graph()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_in_which_a_file_is_missing_says_which(tmp_path: Path, name: str) -> None:
    folder = copy_of("vit", tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelUnavailable, match=f"holds (no|neither) {name}"):
        family_of(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_pipe_or_a_folder_in_place_of_a_file_holds_nobody_up(tmp_path: Path, name: str) -> None:
    folder = copy_of("vit", tmp_path / "model")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelUnavailable, match=f"{name}: not a plain file"):
        family_of(folder)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b'{"architectures": ["ViTModel"], "architectures": []}', b"\xff\xfe", b" " * (5 * 2**20)],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    folder = copy_of("vit", tmp_path / "model")
    (folder / "config.json").write_bytes(text)
    with pytest.raises(ModelUnavailable, match=r"^config\.json"):
        family_of(folder)


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="a file; weights must name the folder in which it lies"):
        family_of(FOLDERS / "vit" / "model.safetensors")
    with pytest.raises(ModelUnavailable, match=r"holds no config\.json"):
        family_of(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("layout", "fields", "reason"),
    [
        (
            "dinov3",
            {"parameters": {"answer": "class-scores"}},
            "has no classifier, so it can only answer an embedding",
        ),
        ("dinov3", {"labels": ("a", "b")}, "labels: an embedding has no classes"),
        ("vit", {"parameters": {"pooling": "mean"}}, r"parameters\.pooling is for an embedding"),
        ("vit", {"parameters": {"normalise": False}}, r"parameters\.normalise is for an embedding"),
        ("vit", {"parameters": {"answer": "boxes"}}, r"parameters\.answer"),
        ("vit", {"parameters": {"pool": "cls"}}, r"parameters\.pool"),
        ("vit", {"labels": ("a", "b")}, "has 5 classes, but the definition names 2 labels"),
        ("vit", {"canvas_px": (50, 48)}, r"canvas_px must be a multiple of the patches of \(8, 8\) pixels, got"),
        ("vit", {"canvas_px": (-8, 48)}, "canvas_px must be a multiple"),
        ("dinov2", {"canvas_px": (56, 112)}, r"canvas_px \(56, 112\) must be square"),
        ("dinov3", {"canvas_px": (4096, 8192)}, "has more than 16384 patches"),
        ("vit", {"weights": None}, "needs `weights`"),
    ],
)
def test_settings_that_do_not_fit_are_refused(layout: str, fields: dict[str, Any], reason: str) -> None:
    if "weights" in fields:
        from deployments.definition import ModelDefinition
        from deployments.families import load_family

        with pytest.raises(ModelUnavailable, match=reason):
            load_family(ModelDefinition(family="huggingface"))
        return
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(layout, **fields)
