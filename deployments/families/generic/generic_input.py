"""How a batch of canvases becomes the input that a network declares."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_signature import GenericParameters

_PIXEL_RANGES = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (2 / 255, -1.0)}
_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """An input as a file declares it."""

    name: str

    dtype: str
    """Numpy's name of the type."""

    shape: tuple[int | None, ...]
    """None for a side that is free."""


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How a batch of canvases becomes the network's input: value = pixel x gain + offset for each channel."""

    facts: TensorFacts
    layout: Literal["nhwc", "nchw"]

    canvas_px: tuple[int, int]
    """Height and width."""

    batch: int | None
    """The only batch size that the network takes; None for any."""

    reverses_channels: bool
    """Whether the network takes BGR."""

    gain: NDArray[np.float32]
    """(3,), in the network's order of channels."""

    offset: NDArray[np.float32]
    """(3,), in the network's order of channels."""

    @property
    def is_plain(self) -> bool:
        """Whether no arithmetic is needed."""
        return bool((self.gain == 1).all() and (self.offset == 0).all())


def plan_input(
    facts: TensorFacts,
    parameters: GenericParameters,
    canvas_px: tuple[int, int] | None,
    meant_px: tuple[int, int] | None = None,
) -> InputPlan:
    """How images go into the input that the file declares. canvas_px: the definition's.  meant_px: what counts
    where neither the input nor the definition tells. Raises ModelUnavailable with what was found and expected."""
    if len(facts.shape) != 4:
        raise ModelUnavailable(f"input {facts.name!r} is {describe(facts.shape)}, expected a batch of images: 4 axes")
    layout = parameters.layout or _seen_layout(facts)
    batch, *sides = facts.shape
    if layout == "nchw":
        channels, height, width = sides
    else:
        height, width, channels = sides
    if channels not in (3, None):
        raise ModelUnavailable(
            f"input {facts.name!r} is {describe(facts.shape)}: {channels} channels in layout {layout}, expected 3"
        )
    gain, offset = _affine(parameters)
    plan = InputPlan(
        facts,
        layout,
        _checked_canvas(facts, (height, width), canvas_px, meant_px),
        batch,
        parameters.channels == "bgr",
        gain,
        offset,
    )
    if facts.dtype not in (*_FLOATS, "uint8"):
        raise ModelUnavailable(
            f"input {facts.name!r} is of type {facts.dtype}, expected {', '.join(_FLOATS)} or uint8"
        )
    if facts.dtype == "uint8" and not plan.is_plain:
        raise ModelUnavailable(f"input {facts.name!r} takes uint8, so pixel_range, mean and std cannot apply")
    return plan


def describe(shape: tuple[int | None, ...]) -> str:
    """A shape for people: (?, 640, 640, 3)."""
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _seen_layout(facts: TensorFacts) -> Literal["nhwc", "nchw"]:
    first, last = facts.shape[1] == 3, facts.shape[3] == 3
    if first == last:
        raise ModelUnavailable(
            f"input {facts.name!r} is {describe(facts.shape)}, which does not tell where the 3 channels are: "
            "declare parameters.layout, nhwc or nchw"
        )
    return "nchw" if first else "nhwc"


def _checked_canvas(
    facts: TensorFacts,
    sides: tuple[int | None, int | None],
    declared: tuple[int, int] | None,
    meant: tuple[int, int] | None,
) -> tuple[int, int]:
    chosen = declared or meant or (0, 0)
    height, width = (own or side for own, side in zip(sides, chosen, strict=True))
    if height < 1 or width < 1:
        raise ModelUnavailable(
            f"input {facts.name!r} is {describe(facts.shape)}, any size, so the definition needs `canvas_px`"
        )
    if declared is not None and declared != (height, width):
        raise ModelUnavailable(f"canvas_px is {declared}, but input {facts.name!r} is {describe(facts.shape)}")
    return height, width


def _affine(parameters: GenericParameters) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    factor, shift = _PIXEL_RANGES[parameters.pixel_range]
    mean, std = np.array(parameters.mean), np.array(parameters.std)
    return (factor / std).astype(np.float32), ((shift - mean) / std).astype(np.float32)
