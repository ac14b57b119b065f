"""COCO, read back by pycocotools and by faster-coco-eval."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO as FasterCoco
from faster_coco_eval import COCOeval_faster
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from deployments.prediction import Detections, Masks, Prediction
from serve_app.formats import FORMATS, Answer
from serve_app.formats.coco_masks import compressed_counts, full_size_mask
from tests.serve_app.formats.sample_answers import (
    BOXES,
    SIZE_PX,
    answer,
    classes,
    corners,
    detections,
    keypoints,
    masks,
    nothing,
    samples,
)

# pycocotools 2.0.11 itself, where it decodes with numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def dataset(answers: list[Answer]) -> dict[str, Any]:
    return dict(json.loads(FORMATS["coco-dataset"].write(answers)))


def results(answers: list[Answer]) -> list[dict[str, Any]]:
    return list(json.loads(FORMATS["coco"].write(answers)))


def read(folder: Path, answers: list[Answer]) -> tuple[COCO, COCO]:
    """By pycocotools: the dataset, and the results that belong to it."""
    for name in ("coco-dataset", "coco"):
        (folder / f"{name}.json").write_bytes(FORMATS[name].write(answers))
    truth = COCO(str(folder / "coco-dataset.json"))
    return truth, truth.loadRes(str(folder / "coco.json"))


def test_a_dataset_has_all_images_and_sorted_categories() -> None:
    written = dataset(samples())
    assert written["images"] == [
        {"id": number, "file_name": f"frame-{number}.png", "width": 200, "height": 120} for number in (1, 2, 3)
    ]
    assert written["categories"] == [
        {"id": 3, "name": "Crab", "supercategory": ""},
        {"id": 1, "name": 'Fish, "small" <juvenile> & co', "supercategory": ""},
        {"id": 5, "name": "Sea star", "supercategory": ""},
    ]
    first = written["annotations"][0]
    assert first == {
        "id": 1,
        "image_id": 1,
        "category_id": 5,
        "bbox": [10.4, 20.6, 49.8, 60.3],
        "area": 3002.94,
        "iscrowd": 0,
        "segmentation": [],
        "score": 0.91,
    }
    assert [one["image_id"] for one in written["annotations"]] == [1, 1, 1, 3, 3, 3]


def test_a_category_has_one_number_whatever_was_found() -> None:
    alone = detections().picked(np.array([2]))
    assert [one["category_id"] for one in results([answer(alone)])] == [3]
    assert [one["category_id"] for one in results([answer(detections())])] == [5, 1, 3]


def test_two_models_in_one_answer_do_not_share_a_number() -> None:
    one = detections().picked(np.array([0]))
    other = Detections(one.boxes, one.scores, one.class_ids, ("Squid",))
    found = results([answer(one), answer(other, model="candidate")])
    assert [(row["category_name"], row["category_id"]) for row in found] == [("Sea star", 5), ("Squid", 6)]


def test_results_are_read_by_pycocotools(tmp_path: Path) -> None:
    truth, found = read(tmp_path, samples())
    assert sorted(truth.getImgIds()) == [1, 2, 3]
    rows = found.loadAnns(found.getAnnIds(imgIds=[3]))
    assert [one["score"] for one in rows] == [0.91, 0.5, 0.25]
    assert rows[1]["bbox"] == [100, 5, 100, 115]


def test_answers_agree_with_themselves_in_an_evaluation(tmp_path: Path) -> None:
    written = dataset(samples())
    (tmp_path / "truth.json").write_text(json.dumps(written))
    truth = FasterCoco(str(tmp_path / "truth.json"))
    evaluation = COCOeval_faster(truth, truth.loadRes(results(samples())), "bbox")
    evaluation.run()
    assert evaluation.stats_as_dict["AP_50"] == pytest.approx(1.0)


def test_masks_are_run_lengths_of_the_image(tmp_path: Path) -> None:
    truth, found = read(tmp_path, [answer(detections(masks=masks()))])
    for index, one in enumerate(truth.loadAnns(truth.getAnnIds())):
        expected = np.kron(masks().dense(index), np.ones((2, 2), np.bool_))
        assert np.array_equal(truth.annToMask(one), expected)
        assert one["area"] == expected.sum()
        assert np.array_equal(found.annToMask(found.loadAnns([one["id"]])[0]), expected)


def test_a_rotated_box_is_a_polygon(tmp_path: Path) -> None:
    truth, _ = read(tmp_path, [answer(detections(corners=corners()))])
    first = truth.loadAnns(truth.getAnnIds())[0]
    assert first["segmentation"] == [[35.3, 20.6, 60.2, 50.75, 35.3, 80.9, 10.4, 50.75]]
    assert truth.annToMask(first).sum() == pytest.approx(49.8 * 60.3 / 2, rel=0.03)


def test_keypoints_are_three_numbers_each(tmp_path: Path) -> None:
    truth, found = read(tmp_path, [answer(detections(keypoints=keypoints()))])
    first = truth.loadAnns(truth.getAnnIds())[0]
    assert (first["keypoints"], first["num_keypoints"]) == ([10.4, 20.6, 2, 15.4, 25.6, 1], 2)
    assert found.loadAnns([1])[0]["keypoints"] == [10.4, 20.6, 0.9, 15.4, 25.6, 0.1]
    assert truth.loadCats([5])[0]["keypoints"] == ["1", "2"]


def test_an_image_without_animals_is_an_empty_list() -> None:
    assert results([answer(nothing())]) == []
    assert dataset([answer(nothing())])["categories"] == []


def test_boxes_are_inside_the_image() -> None:
    for found in results([answer(detections())]):
        x, y, width, height = found["bbox"]
        assert 0 <= x < x + width <= 200
        assert 0 <= y < y + height <= 120
    assert len(BOXES) == 3


@pytest.mark.parametrize("grid_px", [(1, 1), (7, 5), (60, 100), (120, 200), (240, 300), (119, 333)])
def test_a_mask_is_enlarged_as_its_pixels_would_be(grid_px: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).random((4, *grid_px)) < np.array([0.0, 0.1, 0.8, 1.0])[:, None, None]
    made = Masks.of(4, lambda index: noise[index], grid_px)
    rows = np.arange(SIZE_PX[0]) * grid_px[0] // SIZE_PX[0]
    columns = np.arange(SIZE_PX[1]) * grid_px[1] // SIZE_PX[1]
    for index in range(4):
        written, area = full_size_mask(made, index, SIZE_PX)
        expected = noise[index][rows][:, columns]
        assert np.array_equal(coco_mask.decode(written), expected)
        assert area == expected.sum() == coco_mask.area(written)
        assert written["size"] == [120, 200]


def test_the_text_of_run_lengths_is_that_of_pycocotools() -> None:
    noise = np.asfortranarray(np.random.default_rng(4).random((30, 40)) < 0.3)
    made = Masks.of(1, lambda _: noise, (30, 40))
    assert compressed_counts(made.run_lengths) == coco_mask.encode(noise.astype(np.uint8))["counts"].decode()


def test_a_mask_of_a_large_image_is_never_pixels() -> None:
    one = detections(masks=masks()).picked(np.array([0]))
    large = Answer("a.png", Prediction(one, (60_000, 1_000), "m", "1"), None)
    assert len(FORMATS["coco"].write([large])) < 20_000


def test_a_classifier_has_no_boxes() -> None:
    with pytest.raises(Exception, match="class scores: use json, dwc, megadetector"):
        results([answer(classes())])
