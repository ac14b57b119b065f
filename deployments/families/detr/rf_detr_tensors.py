"""The tensors of an RF-DETR: the shape that each must have, and their values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints import Checkpoint, Tensor
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_sizes import BACKBONE, DECODER, MASKS, PATCHES, POSITIONS, PROJECTOR, REGISTERS

Shape = tuple[int, ...]

C2F_BOTTLENECKS = 3

# What only the training needs: the token of hidden patches, further groups of queries, and blocks whose output
# nobody reads.
_NOT_NEEDED = re.compile(
    r"backbone\.0\.encoder\.encoder\.(embeddings\.mask_token|encoder\.layer\.\d+\..*)"
    r"|transformer\.enc_(output|output_norm|out_class_embed|out_bbox_embed)\.\d+\..*|_kp_active_mask"
)


@dataclass(frozen=True, slots=True)
class NamedTensors:
    """The values of an open file's tensors. Raises ModelUnavailable for numbers that are none."""

    checkpoint: Checkpoint
    tensors: Mapping[str, Tensor]

    def __call__(self, name: str) -> NDArray[Any]:
        """One tensor, in the type of the file."""
        values = self.tensors[name].numpy()
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise self.checkpoint.refusal(f"{name} holds values that are not finite numbers")
        return values


def checked_tensors(checkpoint: Checkpoint, layout: RfDetrLayout) -> NamedTensors:
    """The tensors of an open file, none of which is read yet.

    Raises ModelUnavailable for the first that is missing, has another shape, or belongs to no part of the network: a
    part that is not known could change every answer.
    """
    tensors = checkpoint.state_dict("model")
    expected = dict(expected_shapes(layout))
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None:
            raise checkpoint.refusal(f"no tensor {name!r}, expected one of shape {shape}")
        if found.shape != shape:
            raise checkpoint.refusal(f"{name} has shape {found.shape}, expected {shape}")
    for name in sorted(tensors.keys() - expected.keys()):
        if not _NOT_NEEDED.fullmatch(name):
            raise checkpoint.refusal(f"{name[:80]!r} belongs to no part of an RF-DETR that is known here")
    return NamedTensors(checkpoint, tensors)


def expected_shapes(layout: RfDetrLayout) -> Iterator[tuple[str, Shape]]:
    """Name and shape of each tensor that the network needs."""
    yield from _backbone(layout)
    for index, level in enumerate(layout.levels):
        yield from _projector_stage(layout, index, level)
    yield from _first_stage(layout)
    for index in range(layout.decoder_layers):
        yield from _decoder_layer(layout, f"{DECODER}.layers.{index}")
    channels = layout.channels
    yield from _norm(f"{DECODER}.norm", channels)
    yield from _linear(f"{DECODER}.ref_point_head.layers.0", 2 * channels, channels)
    yield from _linear(f"{DECODER}.ref_point_head.layers.1", channels, channels)
    yield from _linear("class_embed", channels, layout.class_rows)
    yield from _box_mlp("bbox_embed", channels)
    yield from _segmentation_head(layout)
    rows = layout.queries * layout.groups
    yield "refpoint_embed.weight", (rows, 4)
    yield "query_feat.weight", (rows, channels)


def _segmentation_head(layout: RfDetrLayout) -> Iterator[tuple[str, Shape]]:
    if not layout.mask_blocks:
        return
    channels = layout.channels
    for index in range(layout.mask_blocks):
        block = f"{MASKS}.blocks.{index}"
        yield f"{block}.dwconv.weight", (channels, 1, 3, 3)
        yield f"{block}.dwconv.bias", (channels,)
        yield from _norm(f"{block}.norm", channels)
        yield from _linear(f"{block}.pwconv1", channels, channels)
    yield f"{MASKS}.spatial_features_proj.weight", (channels, channels, 1, 1)
    yield f"{MASKS}.spatial_features_proj.bias", (channels,)
    yield from _norm(f"{MASKS}.query_features_block.norm_in", channels)
    yield from _linear(f"{MASKS}.query_features_block.layers.0", channels, 4 * channels)
    yield from _linear(f"{MASKS}.query_features_block.layers.2", 4 * channels, channels)
    yield from _linear(f"{MASKS}.query_features_proj", channels, channels)
    yield f"{MASKS}.bias", (1,)


def _linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (channels,)
    yield f"{name}.bias", (channels,)


def _box_mlp(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    yield from _linear(f"{name}.layers.0", channels, channels)
    yield from _linear(f"{name}.layers.1", channels, channels)
    yield from _linear(f"{name}.layers.2", channels, 4)


def _backbone(layout: RfDetrLayout) -> Iterator[tuple[str, Shape]]:
    width = layout.width
    yield f"{PATCHES}.weight", (width, 3, layout.patch_px, layout.patch_px)
    yield f"{PATCHES}.bias", (width,)
    yield f"{BACKBONE}.embeddings.cls_token", (1, 1, width)
    yield POSITIONS, (1, layout.positions[0] * layout.positions[1] + 1, width)
    if layout.registers:
        yield REGISTERS, (1, layout.registers, width)
    for index in range(layout.features[-1]):
        block = f"{BACKBONE}.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{block}.attention.attention.{part}", width, width)
        yield from _linear(f"{block}.attention.output.dense", width, width)
        yield from _linear(f"{block}.mlp.fc1", width, layout.hidden_width)
        yield from _linear(f"{block}.mlp.fc2", layout.hidden_width, width)
        for part in ("norm1", "norm2"):
            yield from _norm(f"{block}.{part}", width)
        for part in ("layer_scale1", "layer_scale2"):
            yield f"{block}.{part}.lambda1", (width,)
    yield from _norm(f"{BACKBONE}.layernorm", width)


def _convolution(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.conv.weight", shape
    yield from _norm(f"{name}.bn", shape[0])


def _projector_stage(layout: RfDetrLayout, index: int, level: str) -> Iterator[tuple[str, Shape]]:
    width, out = layout.width, layout.channels
    for feature in range(len(layout.features)):
        resizing = f"{PROJECTOR}.stages_sampling.{index}.{feature}.0"
        if level == "P3":
            yield f"{resizing}.weight", (width, width // 2, 2, 2)
            yield f"{resizing}.bias", (width // 2,)
        elif level == "P5":
            yield from _convolution(resizing, (width, width, 3, 3))
    joined = len(layout.features) * (width // 2 if level == "P3" else width)
    stage, half = f"{PROJECTOR}.stages.{index}", out // 2
    yield from _convolution(f"{stage}.0.cv1", (2 * half, joined, 1, 1))
    yield from _convolution(f"{stage}.0.cv2", (out, (2 + C2F_BOTTLENECKS) * half, 1, 1))
    for bottleneck in range(C2F_BOTTLENECKS):
        for part in ("cv1", "cv2"):
            yield from _convolution(f"{stage}.0.m.{bottleneck}.{part}", (half, half, 3, 3))
    yield from _norm(f"{stage}.1", out)


def _first_stage(layout: RfDetrLayout) -> Iterator[tuple[str, Shape]]:
    channels = layout.channels
    yield from _linear("transformer.enc_output.0", channels, channels)
    yield from _norm("transformer.enc_output_norm.0", channels)
    yield from _linear("transformer.enc_out_class_embed.0", channels, layout.class_rows)
    yield from _box_mlp("transformer.enc_out_bbox_embed.0", channels)


def _decoder_layer(layout: RfDetrLayout, name: str) -> Iterator[tuple[str, Shape]]:
    channels, cross = layout.channels, layout.cross
    places = cross.heads * cross.points * len(layout.levels)
    yield f"{name}.self_attn.in_proj_weight", (3 * channels, channels)
    yield f"{name}.self_attn.in_proj_bias", (3 * channels,)
    yield from _linear(f"{name}.self_attn.out_proj", channels, channels)
    yield from _linear(f"{name}.cross_attn.sampling_offsets", channels, 2 * places)
    yield from _linear(f"{name}.cross_attn.attention_weights", channels, places)
    yield from _linear(f"{name}.cross_attn.value_proj", channels, channels)
    yield from _linear(f"{name}.cross_attn.output_proj", channels, channels)
    yield from _linear(f"{name}.linear1", channels, layout.feedforward)
    yield from _linear(f"{name}.linear2", layout.feedforward, channels)
    for part in ("norm1", "norm2", "norm3"):
        yield from _norm(f"{name}.{part}", channels)
