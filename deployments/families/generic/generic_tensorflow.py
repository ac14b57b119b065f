"""A function of TensorFlow that somebody else made, as a program of the TensorFlow runtime."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_input import InputPlan
from deployments.families.generic.generic_outputs import check_shapes, check_values
from deployments.families.generic.generic_signature import GenericParameters, pick_outputs

Function = Callable[[Any], Mapping[str, Any]]
"""The network: its input, a tensor with a batch axis, to its outputs by name."""


class TensorFlowProgram:
    """uint8 RGB (n, height, width, 3) to the declared outputs as float32, in the order in which they are decoded."""

    def __init__(
        self, function: Function, plan: InputPlan, parameters: GenericParameters, owner: object = None
    ) -> None:
        """owner: what must live as long as the function, which may hold its variables weakly."""
        self._function = function
        self._plan = plan
        self._parameters = parameters
        self._owner = owner

    def __call__(self, batch: Any, training: bool = False) -> tuple[Any, ...]:
        """A network of a fixed batch size is called as often as needed, the last time with empty images. Raises
        ValueError for such a network and a batch of unknown size."""
        del training
        images = self._to_input(batch)
        own, count = self._plan.batch, batch.shape[0]
        if own is None or own == count:
            return self._outputs(images)
        if count is None:
            raise ValueError(f"the network takes {own} images at a time")
        images = tf.pad(images, [[0, -count % own], [0, 0], [0, 0], [0, 0]])
        parts = [self._outputs(images[start : start + own]) for start in range(0, count, own)]
        return tuple(tf.concat(pieces, axis=0)[:count] for pieces in zip(*parts, strict=True))

    def check(self, file_name: str, class_count: int) -> None:
        """Run one empty image and compare the outputs with the declaration. Raises ModelUnavailable."""
        try:
            outputs = self(tf.zeros((1, *self._plan.canvas_px, 3), tf.uint8))
            check_shapes(tuple(tuple(output.shape) for output in outputs), self._parameters, class_count)
            check_values(tuple(output.numpy()[0] for output in outputs), self._parameters, self._plan.canvas_px)
        except ModelUnavailable as error:
            raise ModelUnavailable(f"{file_name}: {error.message}") from error
        except Exception as error:
            # Whatever the program raises on an image of the size that it asks for, the file is at fault.
            raise ModelUnavailable(f"{file_name}: cannot run one image: {str(error)[:300]}") from error

    def _outputs(self, images: Any) -> tuple[Any, ...]:
        named = self._function(images)
        return tuple(tf.cast(output, tf.float32) for output in pick_outputs(named, self._parameters))

    def _to_input(self, batch: Any) -> Any:
        plan = self._plan
        values = batch[..., ::-1] if plan.reverses_channels else batch
        if not plan.is_plain:
            values = tf.cast(values, tf.float32) * plan.gain + plan.offset
        values = tf.cast(values, plan.facts.dtype)
        return tf.transpose(values, [0, 3, 1, 2]) if plan.layout == "nchw" else values
