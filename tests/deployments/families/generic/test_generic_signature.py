"""What is declared of a network is compared with its file when it is loaded, and says what was found."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from tests.deployments.families.served import Served
from tests.deployments.families.small_generic_models import (
    CLASSIFIERS,
    DETECTORS,
    write_onnx_classifier,
)


@pytest.fixture(scope="module")
def args_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """The arguments of a model of the tables of writers, whose file is written once."""
    folder = tmp_path_factory.mktemp("models")
    written: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in written:
            written[name] = (DETECTORS | CLASSIFIERS)[name](folder / name)
        return {**written[name], "parameters": dict(written[name]["parameters"])}

    return of


def refusal(args: dict[str, Any]) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        Served(args, largest_batch=2)
    return caught.value.message


@pytest.mark.parametrize("name", ["detector.keras", "detector.onnx", *CLASSIFIERS])
def test_labels_that_are_too_many_are_refused_with_both_numbers(
    args_of: Callable[[str], dict[str, Any]], name: str
) -> None:
    labels = tuple(f"label {number}" for number in range(7))
    message = refusal(args_of(name) | {"labels": labels})
    assert name in message
    assert "for one image the network gives" in message
    assert "with 7 labels is" in message


def test_labels_are_needed_where_the_file_has_none(args_of: Callable[[str], dict[str, Any]]) -> None:
    message = refusal(args_of("classifier.keras") | {"labels": None})
    assert message == "classifier.keras names no classes, so the definition needs `labels`"


def test_an_output_that_is_not_there_is_told_with_those_that_are(args_of: Callable[[str], dict[str, Any]]) -> None:
    args = args_of("detector-saved-model")
    args["parameters"]["boxes"] = "bboxes"
    message = refusal(args)
    assert "detector-saved-model: the network has no output 'bboxes'; it has: " in message
    assert "detection_boxes" in message


def test_one_of_several_outputs_must_be_named(args_of: Callable[[str], dict[str, Any]]) -> None:
    args = args_of("detector.keras")
    args["parameters"] = {"task": "detector", "outputs": "raw-head"}
    assert "the network has 2 outputs (boxes, scores), so parameters.detections must name one" in refusal(args)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [("end-to-end", "(1, k, 6)"), ("raw-head-objectness", "(1, k, 7)")],
)
def test_another_kind_of_outputs_is_told_with_its_shape(
    args_of: Callable[[str], dict[str, Any]], outputs: str, expected: str
) -> None:
    args = args_of("detector.onnx")
    args["parameters"]["outputs"] = outputs
    message = refusal(args)
    assert "gives the only output: (1, 6, 64)" in message
    assert f"outputs {outputs} with 2 labels is the only output: {expected}" in message


def test_a_signature_that_is_not_there_is_told_with_those_that_are(args_of: Callable[[str], dict[str, Any]]) -> None:
    args = args_of("classifier-saved-model")
    args["parameters"]["signature"] = "predict"
    assert "has no signature 'predict'; it has: serve, serving_default" in refusal(args)


def test_the_canvas_is_the_files_own_where_it_has_one(args_of: Callable[[str], dict[str, Any]]) -> None:
    message = refusal(args_of("detector.keras") | {"canvas_px": (64, 128)})
    assert "canvas_px is (64, 128), but input" in message
    assert "is (?, 64, 64, 3)" in message


def test_a_file_for_any_size_needs_a_canvas(args_of: Callable[[str], dict[str, Any]]) -> None:
    message = refusal(args_of("detector-saved-model") | {"canvas_px": None})
    assert "is (1, ?, ?, 3), any size, so the definition needs `canvas_px`" in message


def test_uint8_pixels_cannot_be_scaled(args_of: Callable[[str], dict[str, Any]]) -> None:
    args = args_of("detector-saved-model")
    args["parameters"]["pixel_range"] = "0..1"
    assert "takes uint8, so pixel_range, mean and std cannot apply" in refusal(args)


def test_a_canvas_that_the_network_cannot_take_is_refused_when_it_is_tried(
    tmp_path: Path, args_of: Callable[[str], dict[str, Any]]
) -> None:
    """The file declares any size, its inside does not."""
    import onnx

    args = args_of("detector.onnx")
    model = onnx.load(args["weights"])
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "any"
    onnx.save(model, tmp_path / "free.onnx")
    message = refusal(args | {"weights": str(tmp_path / "free.onnx"), "canvas_px": (96, 96)})
    assert "free.onnx: ONNX Runtime cannot run it: " in message


PARAMETERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "parameters.task of family 'onnx': Field required"),
    "unknown": ({"task": "classifier", "boxen": 1}, "parameters.boxen of family 'onnx': Extra inputs"),
    "wrong value": ({"task": "segmenter"}, "parameters.task of family 'onnx': Input should be 'detector' or 'clas"),
    "boxes of a classifier": ({"task": "classifier", "boxes": "b"}, "boxes: only detectors have that"),
    "crop of a detector": (
        {"task": "detector", "outputs": "raw-head", "resize": "centre-crop"},
        "would hide what lies in the margins",
    ),
    "no names": ({"task": "detector"}, "boxes and scores: the names of these outputs are needed"),
    "names for one tensor": (
        {"task": "detector", "outputs": "raw-head", "scores": "s"},
        "all in one tensor with outputs: raw-head",
    ),
    "one tensor of several": (
        {"task": "detector", "boxes": "b", "scores": "s", "detections": "d"},
        "detections: names the tensor of the other kinds",
    ),
    "softmax of the best": (
        {"task": "detector", "boxes": "b", "scores": "s", "classes": "c", "activation": "softmax"},
        "softmax needs the scores of all classes",
    ),
    "two numbers": ({"task": "classifier", "mean": "1, 2"}, "parameters.mean"),
    "no numbers": ({"task": "classifier", "mean": "a, b, c"}, "parameters.mean.0"),
    "no spread": ({"task": "classifier", "std": 0}, "must be above 0"),
    "crop that is none": (
        {"task": "classifier", "resize": "stretch", "crop_ratio": 0.5},
        "crop_ratio: goes with resize: centre-crop only",
    ),
    "letterbox": (
        {"task": "classifier", "resize": "letterbox", "interpolation": "bicubic"},
        "interpolation: bicubic goes with stretch and centre-crop only",
    ),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_that_do_not_fit_are_told_by_name(case: str) -> None:
    parameters, reason = PARAMETERS[case]
    with pytest.raises(ModelUnavailable) as caught:
        load_family(ModelDefinition(family="onnx", weights="absent.onnx", labels=("a",), parameters=parameters))
    assert reason in caught.value.message
    assert "known: task, resize" in caught.value.message


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_its_package_an_onnx_model_names_the_extra(tmp_path: Path, package: str) -> None:
    args = write_onnx_classifier(tmp_path / "small.onnx")
    program = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"  # what Python itself does for a package that cannot be imported
        "from tests.deployments.families.served import Served\n"
        f"Served({args!r})\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    last = found.stderr.strip().splitlines()[-1]
    assert f"ModelUnavailable: ONNX models need the package {package}, which is not installed" in last
    assert "[onnx]" in last
