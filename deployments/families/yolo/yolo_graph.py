"""The body of a YOLO network as one callable, from the image to the feature maps that its head reads.

The blocks come from `yolo_blocks`, the heads from the families.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Program
from deployments.families.yolo.yolo_layout import Stage, YoloLayout
from deployments.text.error_text import first_line

Head = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Feature maps, one for each level, to the outputs of the graph."""

ToInput = Callable[[Any], Any]
"""Pixels of 0 to 1 (n, height, width, 3) to the network's input."""


def as_they_are(pixels: Any) -> Any:
    """Pixels of 0 to 1, which most networks take."""
    return pixels


def first_channel(pixels: Any) -> Any:
    """The first channel, (n, height, width, 1), of a grey image whose channels are alike."""
    return pixels[..., :1]


@dataclass(frozen=True)
class YoloGraph:
    """A network with its weights; call it inside a compiled function.

    Takes uint8 RGB (n, height, width, 3), sides a multiple of the largest stride; gives what the head gives.
    """

    body: tuple[tuple[Stage, Program], ...]
    sources: tuple[int, ...]
    head: Head
    dtype: str
    to_input: ToInput = as_they_are

    def __call__(self, images: Any, training: bool = False) -> tuple[Any, ...]:
        """Run all stages. Raises ModelUnavailable, when traced, for layers that do not fit together."""
        del training
        return self.head(self.features(images))

    def features(self, images: Any) -> list[Any]:
        """The feature maps that the head reads."""
        kept: dict[int, Any] = {-1: self.to_input(ops.cast(images, self.dtype) / 255.0)}
        for index, (stage, program) in enumerate(self.body):
            inputs = [kept[source] for source in stage.sources]
            try:
                kept[index] = program(inputs if stage.is_list else inputs[0])
            except (ModelUnavailable, ValueError, TypeError, AttributeError) as error:
                reason = first_line(error)
                raise ModelUnavailable(f"stage {index} ({stage.stub.kind}) does not fit: {reason}") from error
        return [kept[source] for source in self.sources]


def build_body(layout: YoloLayout, builder: LayerBuilder, head: Head, to_input: ToInput = as_they_are) -> YoloGraph:
    """The graph of a checked layout. Raises ModelUnavailable for weights that disagree with their layer."""
    body = []
    for index, stage in enumerate(layout.body):
        try:
            body.append((stage, builder.build(stage.stub)))
        except ModelUnavailable as error:
            raise ModelUnavailable(f"stage {index}: {error.message}") from error
    return YoloGraph(tuple(body), layout.head.sources, head, builder.dtype, to_input)
