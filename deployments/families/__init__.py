"""The table of families: a name in YAML to the class that implements it and the runtime that runs its graph.

    contract.py   what the serving core expects of a family, in one page
    shared/       steps that families of several rooms take
    yolo/         checkpoints of YOLOv5 and ultralytics
    retinanet/    checkpoints of detectron2 and keras-retinanet
    huggingface/  folders that transformers saves: ViT, DINOv2, DINOv3
    detr/         checkpoints of RF-DETR
    generic/      models that bring their own graph: SavedModel, Keras files, ONNX
    demo/         the demo model
    synthetic/    models without training, for tests and benchmarks

A new family is a class in the room of its checkpoints (or a room of its own), and one line in the table below; each
room's docstring names the other files that such a family touches. Rooms import `shared`, `contract` and
`deployments.checkpoints`, and never each other. Classes are named here and not imported, so that a door or a build
task never loads TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Family
from deployments.prediction import ClassScores, Detections, Embedding


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """One line of the table."""

    implementation: str
    """ "module:Class"."""

    runtime: str = "tensorflow"
    """A name from `deployments.runtimes.RUNTIMES`."""

    answers: Callable[[ModelDefinition], str] = lambda definition: Detections.what
    """What such a model answers, as `what` of its `Result` names it."""

    fetches_folder: bool = False
    """Whether its fetched weights are a repository as a folder, and not one file."""


def _of_task(definition: ModelDefinition) -> str:
    return ClassScores.what if definition.parameters.get("task") == "classifier" else Detections.what


FOLDER_SAYS = f"{ClassScores.what} or {Embedding.what}"
"""What a folder of Hugging Face answers that nothing was declared of: only a look into it tells."""


def _of_answer(definition: ModelDefinition) -> str:
    kinds = {"class-scores": ClassScores.what, "embedding": Embedding.what}
    return kinds.get(str(definition.parameters.get("answer")), FOLDER_SAYS)


def _class_scores(definition: ModelDefinition) -> str:
    return ClassScores.what


FAMILIES: dict[str, FamilyEntry] = {
    "bench-detector": FamilyEntry("deployments.families.synthetic.bench_detector:BenchDetector"),
    "benthic-demo": FamilyEntry("deployments.families.demo.family:BenthicDemo"),
    "yolov5": FamilyEntry("deployments.families.yolo.yolov5:YOLOv5"),
    "yolov5-classify": FamilyEntry("deployments.families.yolo.yolov5_classify:YOLOv5Classify", answers=_class_scores),
    "ultralytics": FamilyEntry("deployments.families.yolo.ultralytics:Ultralytics"),
    "ultralytics-classify": FamilyEntry(
        "deployments.families.yolo.ultralytics_classify:UltralyticsClassify", answers=_class_scores
    ),
    "ultralytics-rtdetr": FamilyEntry("deployments.families.yolo.ultralytics_rtdetr:UltralyticsRTDETR"),
    "detectron2-retinanet": FamilyEntry("deployments.families.retinanet.detectron2_retinanet:Detectron2RetinaNet"),
    "keras-retinanet": FamilyEntry("deployments.families.retinanet.keras_retinanet:KerasRetinaNet"),
    "huggingface": FamilyEntry(
        "deployments.families.huggingface.huggingface:HuggingFace", answers=_of_answer, fetches_folder=True
    ),
    "rf-detr": FamilyEntry("deployments.families.detr.rf_detr:RfDetr"),
    "saved-model": FamilyEntry("deployments.families.generic.saved_model:SavedModel", answers=_of_task),
    "keras": FamilyEntry("deployments.families.generic.keras_model:KerasModel", answers=_of_task),
    "onnx": FamilyEntry("deployments.families.generic.onnx_model:OnnxModel", "onnx", _of_task),
    "fixed-answer": FamilyEntry("deployments.families.synthetic.fixed_answer:FixedAnswer", runtime="callable"),
}


def answers_of(definition: ModelDefinition) -> str:
    """What a model of a known family answers, as `what` of its `Result` names it."""
    return FAMILIES[definition.family].answers(definition)


def can_limit_memory(family: str) -> bool:
    """Whether the runtime of this family keeps to `memory_limit_mib`."""
    return family in FAMILIES and FAMILIES[family].runtime == "tensorflow"


def load_family(definition: ModelDefinition) -> Family[Any]:
    """The family that `definition` names, constructed with it. Raises ModelUnavailable for an unknown name."""
    entry = FAMILIES.get(definition.family)
    if entry is None:
        raise ModelUnavailable(f"unknown family {definition.family!r}; known: {', '.join(sorted(FAMILIES))}")
    module, _, name = entry.implementation.partition(":")
    family: Family[Any] = getattr(import_module(module), name)(definition)
    return family
