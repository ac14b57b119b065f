"""A checkpoint of YOLOv5 or ultralytics, from the file to a graph with its weights: without images and without boxes.

A family of any input and any head takes it: what is its own, the kind of file, the blocks and the head, it passes in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.checkpoints import Checkpoint, open_checkpoint
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, check_layers
from deployments.families.yolo.yolo_graph import Head, ToInput, YoloGraph, as_they_are, build_body
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout, read_layout

MakeHead = Callable[[YoloLayout, LayerBuilder], Head]
"""Makes the head's program from the checked layout."""


@dataclass(frozen=True, slots=True)
class YoloCheckpoint:
    """One file. Its methods raise ModelUnavailable, with the file's name and what was found in it."""

    path: Path

    kind: YoloKind
    """Which networks and heads the family takes."""

    blocks: Mapping[str, Maker]
    """Makers of everything that the network may hold, by class name."""

    check_head: Callable[[YoloLayout], None]
    """Raises ModelUnavailable when the head holds what the family does not support."""

    def layout(self) -> YoloLayout:
        """The checked layout. The file is closed again, so that its tensors cannot be read."""
        with open_checkpoint(self.path) as checkpoint:
            return self._checked(checkpoint)

    def build(self, precision: str, make_head: MakeHead, to_input: ToInput = as_they_are) -> YoloGraph:
        """The graph with its weights. precision: the dtype of weights and arithmetic."""
        with open_checkpoint(self.path) as checkpoint:
            layout = self._checked(checkpoint)
            builder = LayerBuilder(self.blocks, precision)
            try:
                return build_body(layout, builder, make_head(layout, builder), to_input)
            except ModelUnavailable as error:
                raise checkpoint.refusal(error.message) from error

    def _checked(self, checkpoint: Checkpoint) -> YoloLayout:
        layout = read_layout(checkpoint, self.kind)
        try:
            for stage in layout.body:
                check_layers(stage.stub, self.blocks)
            self.check_head(layout)
        except ModelUnavailable as error:
            raise checkpoint.refusal(error.message) from error
        return layout
