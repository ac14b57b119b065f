"""Models that `transformers` saves as a folder: classifiers and backbones, ViT, DINOv2 and DINOv3.

`weights` is the folder, with config.json, preprocessor_config.json and model.safetensors (or its shards). A
classifier answers a score for each class, or an embedding if it is told to; a backbone without a classifier answers
an embedding.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.safetensors_folder import open_folder
from deployments.definition import ModelDefinition, Settings
from deployments.errors import InternalError, ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.huggingface.hub_folder import CONFIG, PROCESSOR
from deployments.families.huggingface.image_processor import ImageProcessor, read_processor
from deployments.families.huggingface.vit_config import VitConfig, VitDescription, read_vit
from deployments.families.huggingface.vit_graph import VitAnswer, VitGraph
from deployments.families.huggingface.vit_tensors import VitTensors
from deployments.families.shared.definition_checks import checked_labels, needed_weights, read_parameters
from deployments.prediction import ClassScores, Embedding

MAX_PATCHES = 16_384
"""Of a canvas: attention has as many numbers as their square. 2048 x 2048 pixels in patches of 16."""


class HuggingFaceParameters(Settings):
    """The `parameters` of such a model in YAML."""

    answer: Literal["class-scores", "embedding"] | None = None
    """None for class scores where there is a classifier, and an embedding where there is none."""

    pooling: Literal["cls", "mean"] = "cls"
    """What an embedding is: the CLS token behind the last norm, or the mean of all patches there."""

    normalise: bool = False
    """Whether an embedding gets the length 1, so that the product of two is their cosine similarity."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; answers are always finished in float32."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """What was read when the family was made."""

    description: VitDescription
    processor: ImageProcessor


class HuggingFace:
    """The family of folders of Hugging Face.

    Raises ModelUnavailable when the files, the labels, the canvas or the parameters disagree.
    """

    def __init__(self, definition: ModelDefinition) -> None:
        self._path = needed_weights(definition, "a folder")
        self.parameters = read_parameters(definition, HuggingFaceParameters)
        description = read_vit(self._path)
        tensors = VitTensors(description, open_folder(self._path))
        self._answers_scores = _answers_scores(definition, self.parameters, description)
        processor = read_processor(self._path, description.config.image_processor)
        self.canvas_px: tuple[int, int] = _canvas(definition, description.config, processor)
        self.input_px = self.canvas_px
        self._folder = _Folder(description, processor.for_canvas(self.canvas_px))
        self.labels: tuple[str, ...] = ()
        if self._answers_scores:
            self.labels = self._checked_labels(definition, tensors.class_count)

    def build_graph(self) -> VitGraph:
        """The network with its weights: uint8 RGB (n, height, width, 3) to scores or embeddings, float32 (n, d)."""
        # Opened again: until now only headers were read, and the files may have changed since.
        tensors = VitTensors(self._folder.description, open_folder(self._path))
        return VitGraph(tensors, self._folder.processor, self._answer(), self.parameters.precision)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[None]:
        """uint8 RGB (height, width, 3) resized, and cropped where the folder says so, to the canvas."""
        return Prepared(self._folder.processor.apply(pixels), None)

    def postprocess(self, outputs: Outputs, geometry: None, thresholds: Thresholds) -> ClassScores | Embedding:
        """All scores, whatever the thresholds, in the order of the labels; or the embedding.

        Raises InternalError for a network that gives no numbers, as one may in float16.
        """
        values = np.asarray(outputs[0], np.float32)
        if not np.isfinite(values).all():
            raise InternalError(f"the network gives values that are not finite in {self.parameters.precision}")
        return ClassScores(values, self.labels) if self._answers_scores else Embedding(values)

    def _checked_labels(self, definition: ModelDefinition, class_count: int) -> tuple[str, ...]:
        found = self._folder.description.config.labels
        if definition.labels is None and found is not None and len(found) != class_count:
            raise ModelUnavailable(
                f"{CONFIG}: id2label names {len(found)} classes, but the classifier has {class_count}; "
                "declare `labels`"
            )
        return checked_labels(self._path.name, definition.labels, found, class_count)

    def _answer(self) -> VitAnswer:
        if not self._answers_scores:
            return VitAnswer("embedding", self.parameters.pooling, self.parameters.normalise)
        # As the pipeline `image-classification` of transformers does.
        is_single = len(self.labels) == 1
        is_multi = self._folder.description.config.problem_type == "multi_label_classification"
        return VitAnswer("sigmoid" if is_single or is_multi else "softmax")


def _answers_scores(
    definition: ModelDefinition, parameters: HuggingFaceParameters, description: VitDescription
) -> bool:
    """Whether the model answers class scores. Raises ModelUnavailable for settings that would do nothing."""
    answer = parameters.answer or ("class-scores" if description.is_classifier else "embedding")
    if answer == "embedding":
        if definition.labels is not None:
            raise ModelUnavailable("labels: an embedding has no classes; leave them out, or answer class-scores")
        return False
    if not description.is_classifier:
        raise ModelUnavailable("parameters.answer: the folder has no classifier, so it can only answer an embedding")
    useless = sorted({"pooling", "normalise"} & parameters.model_fields_set)
    if useless:
        raise ModelUnavailable(
            f"parameters.{useless[0]} is for an embedding, and this model answers class-scores; add "
            "`answer: embedding`, or leave it out"
        )
    return True


def _canvas(definition: ModelDefinition, config: VitConfig, processor: ImageProcessor) -> tuple[int, int]:
    """The declared canvas, or that of the image processor. Raises ModelUnavailable for one that does not fit."""
    canvas, patch = definition.canvas_px or processor.canvas_px, config.patch_px
    if any(side <= 0 or side % step for side, step in zip(canvas, patch, strict=True)):
        whose = "canvas_px" if definition.canvas_px else f"{PROCESSOR} gives a canvas that"
        raise ModelUnavailable(f"{whose} must be a multiple of the patches of {patch} pixels, got {canvas}")
    if canvas[0] // patch[0] * (canvas[1] // patch[1]) > MAX_PATCHES:
        raise ModelUnavailable(f"a canvas of {canvas} has more than {MAX_PATCHES} patches of {patch} pixels")
    if definition.canvas_px is None and not config.fits_any_canvas and canvas != config.image_px:
        raise ModelUnavailable(
            f"{PROCESSOR} gives a canvas of {canvas}, but by config.json the network takes {config.image_px}; "
            "declare the one that it is to have as canvas_px, to which its positions are then fitted"
        )
    return canvas
