"""Which rows of a head have which names: heads with and without a last row, too large ones, and COCO's gaps."""

from typing import Any

import pytest

from deployments.errors import ModelUnavailable
from deployments.families.detr.rf_detr_classes import COCO_NAMES, head_classes
from deployments.families.detr.rf_detr_settings import TrainedSettings

NAMES = ["crab", "fish"]


def labels_by_row(values: dict[str, Any], rows: int, declared: Any = None, first: int = 0) -> dict[int, str]:
    found = head_classes(TrainedSettings(values), rows, declared, first)
    return {row: found.labels[index] for row, index in enumerate(found.label_of_row) if index >= 0}


@pytest.mark.parametrize("rows", [2, 3, 91])
def test_rows_beyond_the_names_have_no_label(rows: int) -> None:
    assert labels_by_row({"class_names": NAMES}, rows) == {0: "crab", 1: "fish"}


def test_names_may_start_with_the_second_row() -> None:
    assert labels_by_row({"class_names": NAMES}, 3, first=1) == {1: "crab", 2: "fish"}
    with pytest.raises(ModelUnavailable, match="the head has 1 classes, but the file names 2 of them"):
        labels_by_row({"class_names": NAMES}, 2, first=1)


@pytest.mark.parametrize("values", [{}, {"num_classes": 90}, {"class_names": list(COCO_NAMES)}, {"class_names": []}])
def test_the_classes_of_coco_have_its_numbers(values: dict[str, Any]) -> None:
    found = labels_by_row(values, 91)
    assert len(found) == 80
    assert [found[row] for row in (1, 13, 18, 44, 67, 90)] == [
        "person", "stop sign", "dog", "bottle", "dining table", "toothbrush"
    ]  # fmt: skip
    assert not {0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83} & set(found)
    with pytest.raises(ModelUnavailable, match="first_class_id has no effect"):
        labels_by_row(values, 91, first=1)


def test_coco_in_a_head_of_its_own_size_is_as_any_other_names() -> None:
    assert labels_by_row({"class_names": list(COCO_NAMES)}, 81)[0] == "person"


@pytest.mark.parametrize(("values", "rows"), [({}, 3), ({"num_classes": 2}, 91), ({"class_names": []}, 3)])
def test_without_names_labels_must_be_declared(values: dict[str, Any], rows: int) -> None:
    with pytest.raises(ModelUnavailable, match=f"needs `labels`; the head has {rows - 1} classes"):
        labels_by_row(values, rows)
    assert labels_by_row(values, rows, declared=("crab", "fish")) == {0: "crab", 1: "fish"}


def test_declared_labels_win_and_must_fit() -> None:
    assert labels_by_row({"class_names": NAMES}, 3, declared=("Krabbe", "Fisch")) == {0: "Krabbe", 1: "Fisch"}
    assert len(labels_by_row({"class_names": NAMES}, 3, declared=("a", "b", "c"))) == 3
    for wrong in (("one",), ("a", "b", "c", "d")):
        with pytest.raises(ModelUnavailable, match=f"has 2 classes, but the definition names {len(wrong)}"):
            labels_by_row({"class_names": NAMES}, 3, declared=wrong)


@pytest.mark.parametrize("names", [[1, 2], ["crab", None], {"0": "crab"}, 7])
def test_names_that_are_not_text_are_refused(names: Any) -> None:
    with pytest.raises(ModelUnavailable, match="class names are not a list of text; declare `labels`"):
        labels_by_row({"class_names": names}, 3)
    assert len(labels_by_row({"class_names": names}, 3, declared=("crab", "fish"))) == 2


def test_one_name_may_stand_alone() -> None:
    assert labels_by_row({"class_names": "fish"}, 2) == {0: "fish"}
