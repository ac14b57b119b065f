"""Vision transformers of `transformers` against the original code, which made the folders.

`golden/make_huggingface.py` says how: ViT, DINOv2 with and without registers, and DINOv3, one of them in shards, one
in bfloat16; of pictures, with the image processor, and of noise on canvases of several sizes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import InternalError
from deployments.families import answers_of
from deployments.families.contract import Thresholds
from deployments.prediction import ClassScores, Embedding
from tests.deployments.families.huggingface.hub_folders import (
    EVERY,
    FOLDERS,
    change,
    copy_of,
    family_of,
    golden_of,
    noise,
    pictures,
)
from tests.deployments.families.served import Served

CLASSIFIERS = ("vit", "dinov2", "dinov2-registers")
BACKBONES = ("vit-sharded", "dinov3", "dinov3-bf16")
CLASSES = ("coral", "crinoid", "sponge", "fish", "squid")
THRESHOLDS = Thresholds(score_threshold=0.5, iou_threshold=0.5, max_detections=1)

EMBEDDED = {"rtol": 1e-3, "atol": 1e-3}
OF_A_PICTURE = {"rtol": 0.02, "atol": 0.02}
"""Of DINOv3 alone, whose pixels are whole numbers here."""


def embedding(pooling: str = "cls", **more: Any) -> dict[str, Any]:
    return {"answer": "embedding", "pooling": pooling, **more}


def answer(family: Any, canvas: Any) -> Any:
    import tensorflow as tf

    (values,) = family.build_graph()(tf.constant(canvas[None]))
    return family.postprocess((np.asarray(values[0]),), None, THRESHOLDS)


@pytest.mark.parametrize("layout", CLASSIFIERS)
def test_scores_agree_with_the_original_code_on_canvases_of_any_size(layout: str) -> None:
    for golden in golden_of(layout)["canvases"]:
        size = golden["canvas_px"]
        if layout != "vit" and size[0] != size[1]:
            continue  # Their processor cuts squares out.
        found = answer(family_of(layout, canvas_px=size), noise(size))
        assert isinstance(found, ClassScores)
        assert found.labels == CLASSES
        np.testing.assert_allclose(found.scores, golden["scores"], atol=1e-4)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("layout", CLASSIFIERS + BACKBONES)
def test_embeddings_agree_with_the_original_code_on_canvases_of_any_size(layout: str, pooling: str) -> None:
    for golden in golden_of(layout)["canvases"]:
        size = golden["canvas_px"]
        if layout.startswith("dinov2") and size[0] != size[1]:
            continue
        found = answer(family_of(layout, canvas_px=size, parameters=embedding(pooling)), noise(size))
        assert isinstance(found, Embedding)
        assert found.values.dtype == np.float32
        np.testing.assert_allclose(found.values, golden[pooling], **EMBEDDED)


@pytest.mark.parametrize("layout", CLASSIFIERS + BACKBONES)
def test_images_are_prepared_as_the_original_code_does(layout: str) -> None:
    """Within one step of 255, by which implementations of one filter differ."""
    processor = family_of(layout)._folder.processor
    for name, picture in pictures().items():
        golden = golden_of(layout)["pictures"][name]
        canvas = processor.apply(picture)
        assert list(canvas.shape[:2]) == golden["shape"]
        values = canvas * np.array(processor.gain) + np.array(processor.offset)
        found = values.transpose(2, 0, 1).ravel()[::EVERY]
        difference = np.abs(found - golden[f"every_{EVERY}th"])
        step = max(processor.gain)
        assert difference.max() <= 1.01 * step
        assert difference.mean() <= (0.35 if layout.startswith("dinov3") else 0.05) * step


@pytest.mark.parametrize("layout", CLASSIFIERS)
def test_scores_of_pictures_agree_from_the_image_to_the_answer(layout: str) -> None:
    served = Served({"family": "huggingface", "weights": str(FOLDERS / layout)})
    found = served.answer(list(pictures().values()))
    for ours, golden in zip(found, golden_of(layout)["pictures"].values(), strict=True):
        np.testing.assert_allclose(ours.scores, golden["scores"], atol=2e-3)


@pytest.mark.parametrize("layout", BACKBONES)
def test_embeddings_of_pictures_agree_from_the_image_to_the_answer(layout: str) -> None:
    served = Served({"family": "huggingface", "weights": str(FOLDERS / layout)})
    found = served.answer(list(pictures().values()))
    for ours, golden in zip(found, golden_of(layout)["pictures"].values(), strict=True):
        np.testing.assert_allclose(ours.values, golden["cls"], **OF_A_PICTURE)


@pytest.mark.parametrize("layout", ["vit", "dinov3"])
def test_a_batch_answers_as_its_images_do_alone(layout: str) -> None:
    served = Served({"family": "huggingface", "weights": str(FOLDERS / layout), "parameters": embedding()})
    some = list(pictures().values())
    alone = [served.answer([one])[0].values for one in some]
    together = [one.values for one in served.answer(some)]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_an_embedding_of_length_one_points_where_the_plain_one_does() -> None:
    plain = answer(family_of("dinov3"), noise((64, 96))).values
    unit = answer(family_of("dinov3", parameters={"normalise": True}), noise((64, 96))).values
    np.testing.assert_allclose(np.linalg.norm(unit), 1, rtol=1e-5)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_answers_nearly_the_same(precision: str) -> None:
    exact = answer(family_of("dinov3"), noise((64, 96))).values
    half = answer(family_of("dinov3", parameters={"precision": precision}), noise((64, 96))).values
    cosine = exact @ half / np.linalg.norm(exact) / np.linalg.norm(half)
    assert cosine > 0.995


def test_declared_labels_win() -> None:
    names = ("a", "b", "c", "d", "e")
    assert family_of("vit", labels=names).labels == names
    assert family_of("vit").labels == CLASSES


def test_a_model_of_one_class_or_of_several_at_once_answers_chances_of_each(tmp_path: Path) -> None:
    folder = copy_of("vit", tmp_path / "multi")
    change(folder, problem_type="multi_label_classification")
    several = answer(family_of(folder), noise((48, 48))).scores
    one_of_them = answer(family_of("vit"), noise((48, 48))).scores
    odds = several / (1 - several)
    np.testing.assert_allclose(odds / odds.sum(), one_of_them, atol=1e-4)


def test_the_kind_of_answer_is_known_without_the_folder_where_it_is_declared() -> None:
    from deployments.definition import ModelDefinition

    for parameters, kind in (
        ({}, "class scores or an embedding"),
        ({"answer": "class-scores"}, ClassScores.what),
        (embedding(), Embedding.what),
    ):
        assert answers_of(ModelDefinition(family="huggingface", parameters=parameters)) == kind


def test_a_network_that_gives_no_numbers_answers_an_error() -> None:
    with pytest.raises(InternalError, match="not finite in float32"):
        family_of("dinov3").postprocess((np.array([1, np.nan], np.float32),), None, THRESHOLDS)
