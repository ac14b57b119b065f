"""The part of a head with masks that is there once for each image: its prototypes."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder

MAX_PROTOTYPES = 128

WholeImage = Callable[[Sequence[Any]], tuple[Any, ...]]
"""Feature maps to what a head gives once for each image."""


def mask_count(head: ModuleStub) -> int:
    """How many prototypes a head has. Raises ModelUnavailable for too many."""
    count = head.integer("nm")
    if not 1 <= count <= MAX_PROTOTYPES:
        raise ModelUnavailable(f"the head has {count} prototypes of masks, expected 1 to {MAX_PROTOTYPES}")
    return count


def prototypes(head: ModuleStub, builder: LayerBuilder, stride_px: int) -> WholeImage:
    """The program of a head's `proto`: feature maps to prototypes float32 (n, height, width, masks).

    stride_px: canvas pixels per cell of the first map. The program raises ModelUnavailable, when traced, for
    prototypes of another number, or of a size that does not divide the canvas.
    """
    program, count = builder.child(head, "proto"), mask_count(head)
    takes_all = head.child("proto").class_name == "Proto26"

    def run(features: Sequence[Any]) -> tuple[Any, ...]:
        found = ops.cast(program(list(features) if takes_all else features[0]), "float32")
        height, width, given = (int(side) for side in found.shape[1:])
        canvas = [int(side) * stride_px for side in features[0].shape[1:3]]
        times = canvas[0] // height
        if given != count or canvas != [height * times, width * times]:
            raise ModelUnavailable(
                f"the head gives {given} prototypes of {height} x {width} for a canvas of {canvas[0]} x {canvas[1]}, "
                f"expected {count} of a whole part of it"
            )
        return (found,)

    return run
