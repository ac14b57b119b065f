"""The table of families: a name in YAML to the class that implements it and the runtime that runs its graph.

Classes are named and not imported, so that a door or a build task never loads TensorFlow. A new family is one
module and one line here.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Family


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """implementation: "module:Class".  runtime: a name from `deployments.runtimes.RUNTIMES`."""

    implementation: str
    runtime: str = "tensorflow"


FAMILIES: dict[str, FamilyEntry] = {
    "bench-detector": FamilyEntry("deployments.families.synthetic.bench_detector:BenchDetector"),
    "benthic-demo": FamilyEntry("deployments.families.demo.family:BenthicDemo"),
    "yolov5": FamilyEntry("deployments.families.yolo.yolov5:YOLOv5"),
    "ultralytics": FamilyEntry("deployments.families.yolo.ultralytics:Ultralytics"),
    "detectron2-retinanet": FamilyEntry("deployments.families.retinanet.detectron2_retinanet:Detectron2RetinaNet"),
    "keras-retinanet": FamilyEntry("deployments.families.retinanet.keras_retinanet:KerasRetinaNet"),
    "saved-model": FamilyEntry("deployments.families.generic.saved_model:SavedModel"),
    "keras": FamilyEntry("deployments.families.generic.keras_model:KerasModel"),
    "onnx": FamilyEntry("deployments.families.generic.onnx_model:OnnxModel", runtime="onnx"),
    "fixed-answer": FamilyEntry("deployments.families.synthetic.fixed_answer:FixedAnswer", runtime="callable"),
}


def load_family(definition: ModelDefinition) -> Family[Any]:
    """The family that `definition` names, constructed with it. Raises ModelUnavailable for an unknown name."""
    entry = FAMILIES.get(definition.family)
    if entry is None:
        raise ModelUnavailable(f"unknown family {definition.family!r}; known: {', '.join(sorted(FAMILIES))}")
    module, _, name = entry.implementation.partition(":")
    family: Family[Any] = getattr(import_module(module), name)(definition)
    return family
