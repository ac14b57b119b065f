"""Files that are no RF-DETR for boxes, or a damaged or hostile one: refused in words, before anything is built.

Whatever is wrong with the archive or the pickle is the matter of `tests/deployments/checkpoints`.
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.detr.rf_detr import RfDetr
from tests.deployments.checkpoints.checkpoint_writer import call, instance, mapping, plain, storage, view, write
from tests.deployments.families.detr.rf_detr_files import (
    GOLDEN,
    Tensors,
    changed,
    definition,
    parts_of,
    write_rf_detr,
)
from tests.deployments.families.small_checkpoints import write_detectron2_retinanet

BACKBONE = "backbone.0.encoder.encoder"
POSITIONS = f"{BACKBONE}.embeddings.position_embeddings"
PATCHES = f"{BACKBONE}.embeddings.patch_embeddings.projection.weight"
PLACES = "transformer.decoder.layers.0.cross_attn.attention_weights.weight"

Change = Callable[[Tensors, dict[str, Any]], None]


def without(name: str) -> Change:
    return lambda tensors, settings: _forget(tensors, name)


def _forget(tensors: Tensors, name: str) -> None:
    del tensors[name]


def shaped(name: str, *shape: int) -> Change:
    return lambda tensors, settings: tensors.update({name: np.zeros(shape, np.float32)})


def setting(**values: object) -> Change:
    return lambda tensors, settings: settings.update(values)


CHANGES: dict[str, tuple[Change, str]] = {
    "no-patches": (without(PATCHES), "no tensor '.*projection.weight', expected those of an RF-DETR"),
    "no-head": (without("class_embed.weight"), "no tensor 'class_embed.weight'"),
    "no-bias": (without("class_embed.bias"), r"no tensor 'class_embed.bias', expected one of shape \(4,\)"),
    "no-decoder-norm": (without("transformer.decoder.norm.weight"), "no tensor 'transformer.decoder.norm.weight'"),
    "no-block": (without(f"{BACKBONE}.encoder.layer.0.norm1.weight"), "0 tensors '.*layer.*norm1.weight'"),
    "block-in-between": (without(f"{BACKBONE}.encoder.layer.1.norm1.weight"), "out_feature_indexes"),
    "a-part-too-many": (
        shaped("transformer.decoder.registers", 4, 32),
        "'transformer.decoder.registers' belongs to no",
    ),
    "table-without-shape": (shaped(POSITIONS, 1, 98, 128), "table of 97 positions is no square.*declare `canvas_px`"),
    "table-of-nothing": (shaped(POSITIONS, 1, 1, 128), "table has 0 positions"),
    "table-of-other-width": (
        shaped(POSITIONS, 1, 101, 64),
        r"position_embeddings has shape \(1, 101, 64\), expected",
    ),
    "table-flat": (shaped(POSITIONS, 101, 128), "position_embeddings has shape .*, expected 3 axes"),
    "table-huge": (shaped(POSITIONS, 1, 2**16 + 2, 1), "table has 65537 positions, expected 1 to 65536"),
    "grey-images": (shaped(PATCHES, 128, 1, 16, 16), r"its images have 1 channels, expected 3 \(RGB\)"),
    "patches-not-square": (shaped(PATCHES, 128, 3, 16, 8), "expected square patches"),
    "patches-of-nothing": (shaped(PATCHES, 0, 3, 16, 16), "projection.weight has shape .*, expected 4 axes"),
    "odd-width": (shaped(PATCHES, 100, 3, 16, 16), "a multiple of 64 channels"),
    "no-row": (shaped("class_embed.weight", 0, 32), "class_embed.weight has shape"),
    "too-many-rows": (shaped("class_embed.weight", 22_002, 32), "expected 1 to 22001 rows"),
    "odd-channels": (shaped("class_embed.weight", 4, 31), "class_embed.weight has shape"),
    "queries-not-whole": (shaped("refpoint_embed.weight", 41, 4), "41 queries in 2 groups"),
    "too-many-queries": (shaped("refpoint_embed.weight", 8000, 4), "8000 queries in 2 groups, expected up to 3000"),
    "queries-differ": (shaped("query_feat.weight", 39, 32), r"query_feat.weight has shape \(39, 32\), expected"),
    "other-box": (shaped("bbox_embed.layers.2.weight", 5, 32), "bbox_embed.layers.2.weight has shape"),
    "other-places": (shaped(PLACES, 7, 32), "7 places in 1 levels, which does not fit its settings ca_nheads"),
    "batch-norm": (shaped("backbone.0.projector.stages.0.0.cv1.bn.running_mean", 4), "has batch norms"),
    "masks-without-blocks": (shaped("segmentation_head.bias", 1), r"0 tensors 'segmentation_head.blocks.\*.norm"),
    "masks-of-other-layers": (
        shaped("segmentation_head.blocks.0.norm.weight", 32),
        "its segmentation head has 1 blocks for 2 layers of the decoder",
    ),
    "keypoints": (shaped("keypoint_embed.layers.0.weight", 8, 8), "an RF-DETR for keypoints"),
    "refining": (shaped("transformer.decoder.bbox_embed.layers.0.weight", 8, 8), "lite_refpoint_refine is off"),
    "adapters": (shaped("backbone.0.encoder.base_model.model.x", 8), "backbone_lora"),
    "no-reparametrisation": (setting(bbox_reparam=False), "bbox_reparam is off"),
    "one-stage": (setting(two_stage=False), "two_stage is off"),
    "windows-lost": (setting(num_windows=65), "its settings give 65 windows"),
    "heads": (setting(sa_nheads=5), r"32 channels cannot be divided among 5 heads"),
    "features-beyond": (setting(out_feature_indexes=[1, 4]), r"out_feature_indexes \(\(1, 4\)\)"),
    "features-backwards": (setting(out_feature_indexes=[3, 1]), "out_feature_indexes"),
    "too-many-places": (shaped(PLACES, 1025, 32), "the limit is 1024"),
    "odd-resolution": (setting(resolution=100), r"declare `canvas_px`: .* \(100, 100\) must be multiples of 32"),
    "no-names": (setting(class_names=None), "names no classes, so the definition needs `labels`; the head has 3"),
    "too-many-names": (setting(class_names=["a"] * 5), "has 3 classes, but the file names 5"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_none_is_refused_in_words(change: str, tmp_path: Path) -> None:
    alter, reason = CHANGES[change]
    path = changed(tmp_path / "changed.pth", alter)
    with pytest.raises(ModelUnavailable, match=f"changed.pth: .*{reason}"):
        RfDetr(definition(path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_when_the_network_is_built(value: float, tmp_path: Path) -> None:
    def spoil(tensors: Tensors, settings: dict[str, Any]) -> None:
        tensors["bbox_embed.layers.1.bias"] = np.full(32, value, np.float32)

    family = RfDetr(definition(changed(tmp_path / "spoilt.pth", spoil)))
    with pytest.raises(
        ModelUnavailable, match=r"spoilt.pth: bbox_embed.layers.1.bias holds values that are not finite"
    ):
        family.build_graph()


def test_weights_that_are_integers_are_refused(tmp_path: Path) -> None:
    def spoil(tensors: Tensors, settings: dict[str, Any]) -> None:
        tensors["class_embed.bias"] = np.zeros(4, np.int64)

    family = RfDetr(definition(changed(tmp_path / "spoilt.pth", spoil)))
    with pytest.raises(ModelUnavailable, match=r"class_embed.bias holds values that are not finite numbers"):
        family.build_graph()


@pytest.mark.parametrize(
    ("strides", "reason"), [((-32, 1), "negative offset, size or stride"), ((32, 2), "reaches element")]
)
def test_strides_that_leave_the_storage_are_refused(strides: tuple[int, int], reason: str, tmp_path: Path) -> None:
    tensor = view(storage("0", "FloatStorage", 128), 0, (4, 32), strides)
    path = write(
        tmp_path / "strides.pth", mapping({"model": mapping({"class_embed.weight": tensor})}), {"0": bytes(512)}
    )
    with pytest.raises(ModelUnavailable, match=reason):
        RfDetr(definition(path))


def test_a_weight_that_repeats_one_number_is_refused(tmp_path: Path) -> None:
    tensors, settings = parts_of("rf-detr-nano")
    repeated = "transformer.decoder.layers.0.linear1.weight"
    shape = tensors[repeated].shape
    path = write_rf_detr(tmp_path / "whole.pth", tensors, settings)
    from deployments.checkpoints import open_checkpoint

    with open_checkpoint(path) as checkpoint:
        assert checkpoint.state_dict("model")[repeated].shape == shape
    weights = {name: values for name, values in tensors.items() if name != repeated}
    from tests.deployments.checkpoints.checkpoint_writer import Weights

    writer = Weights()
    named = {name: writer.tensor(values) for name, values in weights.items()}
    one = writer.tensor(np.ones(1, np.float32))
    named[repeated] = view(storage(str(len(writer.storages) - 1), "FloatStorage", 1), 0, shape, (0, 0))
    del one
    content = {"model": mapping(named), "args": instance("argparse.Namespace", plain(settings))}
    family = RfDetr(definition(write(tmp_path / "repeated.pth", mapping(content), writer.storages)))
    with pytest.raises(ModelUnavailable, match="repeats the 1 elements of its storage"):
        family.build_graph()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"model": plain({})}, "expected named tensors of an RF-DETR, found others"),
        ({"model": plain([1, 2])}, "its 'model' is a list, expected named tensors"),
        ({"weights": plain({})}, "its 'model' is None"),
        ({"state_dict": plain({}), "hyper_parameters": plain({})}, "Lightning.*checkpoint_best_total.pth"),
        ({"model": instance("ultralytics.nn.tasks.DetectionModel", b"}")}, "; family ultralytics is for such files"),
        ({"model": plain(None), "ema": instance("models.yolo.Model", b"}")}, "; family yolov5 is for such files"),
        ({"model": call("os", "system", plain("true"))}, "names os.system, which is not part of a model"),
    ],
)
def test_files_of_other_kinds_are_told_apart(content: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        RfDetr(definition(write(tmp_path / "other.pth", mapping(content))))


def test_a_file_of_another_family_names_that_family(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"yolov8-first.pt: holds a ultralytics.*; family ultralytics is for such"
    ):
        load_family(definition(GOLDEN / "yolov8-first.pt"))
    with pytest.raises(ModelUnavailable, match=r"yolov5-v5-focus.pt: .*; family yolov5 is for such files"):
        load_family(definition(GOLDEN / "yolov5-v5-focus.pt"))
    with pytest.raises(ModelUnavailable, match=r"model_final.pth: .*; family detectron2-retinanet is for such files"):
        load_family(definition(write_detectron2_retinanet(tmp_path / "model_final.pth")))


@pytest.mark.parametrize("family", ["ultralytics", "yolov5"])
def test_other_families_name_this_one(family: str) -> None:
    path = str(GOLDEN / "rf-detr-rectangular.pth")
    with pytest.raises(ModelUnavailable, match=r"rf-detr-rectangular\.pth: .*; family rf-detr is for such files"):
        load_family(ModelDefinition(family=family, weights=path))


def test_settings_that_lie_about_what_tensors_tell_are_not_believed(tmp_path: Path) -> None:
    def lie(tensors: Tensors, settings: dict[str, Any]) -> None:
        settings.update(patch_size=14, hidden_dim=256, dec_layers=6, num_queries=300, num_classes=90, group_detr=13)
        settings.update(
            ca_nheads=16, dec_n_points=4, positional_encoding_size=37, num_select=[1], encoder="dinov2_base"
        )

    honest, lying = RfDetr(definition(GOLDEN / "rf-detr-nano.pth")), changed(tmp_path / "lying.pth", lie)
    # What no tensor tells falls back to what all published variants have: here two heads of 16 channels.
    assert RfDetr(definition(lying)).labels == honest.labels


def test_a_table_of_no_known_shape_is_read_as_the_canvas_of_the_definition(tmp_path: Path) -> None:
    def forget(tensors: Tensors, settings: dict[str, Any]) -> None:
        del settings["resolution"], settings["positional_encoding_size"]

    path = changed(tmp_path / "rectangle.pth", forget, "rf-detr-rectangular")
    with pytest.raises(ModelUnavailable, match=r"table of 60 positions is no square.*declare `canvas_px`"):
        RfDetr(definition(path))
    assert RfDetr(definition(path, canvas_px=(96, 160))).canvas_px == (192, 160)


def test_a_canvas_whose_maps_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    def widen(tensors: Tensors, settings: dict[str, Any]) -> None:
        settings.update(resolution=4096)
        tensors["class_embed.weight"] = np.zeros((2000, 32), np.float32)
        tensors["class_embed.bias"] = np.zeros(2000, np.float32)
        tensors["transformer.enc_out_class_embed.0.weight"] = np.zeros((2000, 32), np.float32)
        tensors["transformer.enc_out_class_embed.0.bias"] = np.zeros(2000, np.float32)

    path = changed(tmp_path / "wide.pth", widen)
    with pytest.raises(ModelUnavailable, match=r"a canvas of \(4096, 4096\) is too large for it; declare a smaller"):
        RfDetr(definition(path))
    assert RfDetr(definition(path, canvas_px=(640, 640))).canvas_px == (1280, 640)


def test_what_a_file_claims_takes_no_memory(tmp_path: Path) -> None:
    tensors, settings = parts_of("rf-detr-nano")
    settings.update(resolution=2**19, num_queries=10**9, num_select=10**9, class_names=["fish"] * 3)
    path = write_rf_detr(tmp_path / "claims.pth", tensors, settings)
    tracemalloc.start()
    with pytest.raises(ModelUnavailable, match="up to 4096"):
        RfDetr(definition(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
