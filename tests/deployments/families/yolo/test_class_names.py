"""Which class names of a checkpoint count, and what is said of those that cannot."""

from pathlib import Path

import pytest

from tests.deployments.families.yolo.tiny_yolov5 import TinyNetwork, family_of, refused


@pytest.mark.parametrize(
    ("names", "count"), [(["fish", "crab"], "2"), ({0: "fish", 1: "crab"}, "2"), ("fish", "none")]
)
def test_names_that_disagree_with_the_head_are_counted(tmp_path: Path, names: object, count: str) -> None:
    network = TinyNetwork()
    network.names = names
    refused(network, tmp_path, f"the head has 1 classes, but the checkpoint names {count} of them")


@pytest.mark.parametrize(
    ("names", "label"),
    [
        ([7], "7"),
        ([False], "False"),
        ({0: 1.5}, "1.5"),
        ({"0": "fish"}, "fish"),
        ({0: "12"}, "12"),
        (["fish"], "fish"),
    ],
)
def test_names_are_whatever_the_reference_takes_for_names(tmp_path: Path, names: object, label: str) -> None:
    network = TinyNetwork()
    network.names = names
    assert family_of(network.write(tmp_path / "tiny.pt")).labels == (label,)


@pytest.mark.parametrize("names", [[None], [["fish"]], {1: "fish"}, {"a": "fish"}])
def test_what_is_no_name_is_refused(tmp_path: Path, names: object) -> None:
    network = TinyNetwork()
    network.names = names
    refused(network, tmp_path, r"tiny\.pt: class 0 of the checkpoint has no name; `labels` in the definition would")


@pytest.mark.parametrize("names", [[None], ["fish", "crab"], "fish", 7])
def test_declared_labels_count_before_names_that_cannot_be_used(tmp_path: Path, names: object) -> None:
    network = TinyNetwork()
    network.names = names
    assert family_of(network.write(tmp_path / "tiny.pt"), labels=("crab",)).labels == ("crab",)
