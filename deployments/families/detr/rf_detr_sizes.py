"""One by one, the sizes and counts of an RF-DETR.

What the published variants share stands in for settings that are missing or do not fit the tensors: heads of 64, 32
and 16 channels, four feature maps, and windows that depend on the size of a patch (rfdetr 1.11 `config.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.errors import ModelUnavailable
from deployments.families.detr.rf_detr_settings import Size, TrainedSettings

BACKBONE = "backbone.0.encoder.encoder"
PROJECTOR = "backbone.0.projector"
DECODER = "transformer.decoder"
MASKS = "segmentation_head"

PATCHES = f"{BACKBONE}.embeddings.patch_embeddings.projection"
POSITIONS = f"{BACKBONE}.embeddings.position_embeddings"
REGISTERS = f"{BACKBONE}.embeddings.register_tokens"

BACKBONE_HEAD = 64
"""Channels of a head of DINOv2, whatever its size."""

_SELF_HEAD, _CROSS_HEAD = 32, 16
_MASK_RATIO = 4
_MOST_OF_A_KIND = 64
_MOST_CHANNELS = 16_384
_MOST_QUERIES = 3000
_MOST_PLACES = 1024
_MOST_POSITIONS = 2**16
_MOST_PATCH_PX = 64

# Of the variants, by the size of a patch: windows along a side, and the blocks whose input is read.
_WINDOWS = {14: 4, 16: 2}
_FEATURES = {14: (2, 5, 8, 11), 16: (3, 6, 9, 12)}


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """The deformable attention of each decoder layer."""

    heads: int

    points: int
    """Places that each head looks at in each level."""


@dataclass(frozen=True, slots=True)
class TensorShapes:
    """The shapes of all tensors. Methods raise ModelUnavailable for what is missing or absurd."""

    by_name: Mapping[str, tuple[int, ...]]

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there."""
        found = self.by_name.get(name)
        if found is None:
            raise ModelUnavailable(f"no tensor {name!r}, expected those of an RF-DETR")
        if len(found) != dimensions or not 1 <= min(found) <= max(found) <= 2**20:
            raise ModelUnavailable(f"{name} has shape {found}, expected {dimensions} axes")
        return found

    def size(self, name: str, axis: int, most: int = _MOST_CHANNELS) -> int:
        """The size of one axis of a matrix."""
        found = self.shape(name, 2)[axis]
        if found > most:
            raise ModelUnavailable(f"{name} has shape {self.by_name[name]}, the limit is {most}")
        return found

    def number(self, pattern: str) -> int:
        """How many tensors differ only in a number, from 0 on, where the pattern has a star."""
        count = 0
        while pattern.replace("*", str(count)) in self.by_name:
            count += 1
        if not 1 <= count <= _MOST_OF_A_KIND:
            raise ModelUnavailable(f"{count} tensors {pattern!r}, expected 1 to {_MOST_OF_A_KIND} as an RF-DETR has")
        return count


def patch(shapes: TensorShapes) -> tuple[int, int]:
    """The side of a patch in pixels, and the channels of the backbone."""
    width, colours, height, across = found = shapes.shape(f"{PATCHES}.weight", 4)
    if colours != 3:
        raise ModelUnavailable(f"its images have {colours} channels, expected 3 (RGB)")
    if height != across or height > _MOST_PATCH_PX or width > _MOST_CHANNELS or width % BACKBONE_HEAD:
        raise ModelUnavailable(
            f"{PATCHES}.weight has shape {found}, expected square patches of at most {_MOST_PATCH_PX} pixels and a "
            f"multiple of {BACKBONE_HEAD} channels"
        )
    return height, width


def windows(settings: TrainedSettings, patch_px: int) -> int:
    """Windows along each side. No tensor tells."""
    found = settings.integer("num_windows") or _WINDOWS.get(patch_px)
    if found is None or found > _MOST_OF_A_KIND:
        raise ModelUnavailable(
            f"its settings give {found} windows for patches of {patch_px} pixels; is num_windows lost?"
        )
    return found


def levels(shapes: TensorShapes) -> tuple[str, ...]:
    """The level of each map of the decoder, from how the backbone's maps are resized for it."""
    found = []
    for stage in range(shapes.number(f"{PROJECTOR}.stages.*.0.cv1.conv.weight")):
        if f"{PROJECTOR}.stages.{stage}.0.cv1.bn.running_mean" in shapes.by_name:
            raise ModelUnavailable(
                "its projector has batch norms (layer_norm is off), which no published RF-DETR has"
            )
        resizing = f"{PROJECTOR}.stages_sampling.{stage}.0"
        if f"{resizing}.1.weight" in shapes.by_name:
            raise ModelUnavailable("its projector enlarges by 4, expected levels P3, P4 and P5")
        kinds = {f"{resizing}.0.conv.weight": "P5", f"{resizing}.0.weight": "P3"}
        found.append(next((level for name, level in kinds.items() if name in shapes.by_name), "P4"))
    return tuple(found)


def features(shapes: TensorShapes, settings: TrainedSettings, patch_px: int, blocks: int) -> tuple[int, ...]:
    """Which blocks' inputs are read. Tensors tell how many, settings which."""
    joined = shapes.shape(f"{PROJECTOR}.stages.0.0.cv1.conv.weight", 4)[1]
    width = shapes.shape(f"{PATCHES}.weight", 4)[0]
    each = width // 2 if levels(shapes)[0] == "P3" else width
    for found in (settings.integers("out_feature_indexes"), _FEATURES.get(patch_px)):
        is_ordered = found is not None and list(found) == sorted(set(found))
        if found is not None and is_ordered and 1 <= found[0] <= found[-1] <= blocks and len(found) * each == joined:
            return found
    raise ModelUnavailable(
        f"the projector reads {joined} channels of {blocks} blocks of {width}, which its setting out_feature_indexes "
        f"({settings.integers('out_feature_indexes')}) does not explain"
    )


def registers(shapes: TensorShapes) -> int:
    """How many register tokens there are."""
    if REGISTERS not in shapes.by_name:
        return 0
    found = shapes.shape(REGISTERS, 3)[1]
    if found > _MOST_OF_A_KIND:
        raise ModelUnavailable(f"{found} register tokens, the limit is {_MOST_OF_A_KIND}")
    return found


def positions(shapes: TensorShapes, settings: TrainedSettings, patch_px: int, canvas_px: Size | None) -> Size:
    """Rows and columns of the table of positions: as the settings say where that fits, else a square, else as the
    canvas of the definition."""
    count = shapes.shape(POSITIONS, 3)[1] - 1
    if not 1 <= count <= _MOST_POSITIONS:
        raise ModelUnavailable(f"its table has {count} positions, expected 1 to {_MOST_POSITIONS}")
    side = math.isqrt(count)
    said = settings.size("positional_encoding_size"), _in_patches(settings.size("resolution"), patch_px)
    for size in (*said, (side, side), _in_patches(canvas_px, patch_px)):
        if size is not None and size[0] * size[1] == count:
            return size
    raise ModelUnavailable(
        f"its table of {count} positions is no square, and neither its settings nor canvas_px say of what shape; "
        f"declare `canvas_px` as it was trained, such as [960, 1728]"
    )


def _in_patches(size_px: Size | None, patch_px: int) -> Size | None:
    return (size_px[0] // patch_px, size_px[1] // patch_px) if size_px else None


def head(shapes: TensorShapes, most_rows: int) -> tuple[int, int]:
    """Rows of the classification layer, and channels of the decoder."""
    rows, channels = shapes.shape("class_embed.weight", 2)
    if not 1 <= rows <= most_rows or channels > _MOST_CHANNELS or channels % 4:
        raise ModelUnavailable(f"class_embed.weight has shape {rows, channels}, expected 1 to {most_rows} rows")
    return rows, channels


def queries(shapes: TensorShapes) -> tuple[int, int]:
    """Queries of each group, and groups."""
    groups = shapes.number("transformer.enc_output.*.weight")
    rows = shapes.shape("refpoint_embed.weight", 2)[0]
    if rows % groups or rows // groups > _MOST_QUERIES:
        raise ModelUnavailable(f"{rows} queries in {groups} groups, expected up to {_MOST_QUERIES} in each")
    return rows // groups, groups


def self_heads(settings: TrainedSettings, channels: int) -> int:
    """Heads of the attention among queries. No tensor tells."""
    found = settings.integer("sa_nheads") or channels // _SELF_HEAD
    if found < 1 or channels % found:
        raise ModelUnavailable(f"{channels} channels cannot be divided among {found} heads (sa_nheads)")
    return found


def cross_attention(
    shapes: TensorShapes, settings: TrainedSettings, channels: int, level_count: int
) -> CrossAttention:
    """Heads and points. Tensors tell their product, settings which they are."""
    places = shapes.size(f"{DECODER}.layers.0.cross_attn.attention_weights.weight", 0, _MOST_PLACES)
    said = settings.integer("ca_nheads"), settings.integer("dec_n_points")
    usual = max(1, channels // _CROSS_HEAD)
    for heads, points in (said, (usual, places // (usual * level_count))):
        if heads and points and heads * points * level_count == places and channels % heads == 0:
            return CrossAttention(heads, points)
    raise ModelUnavailable(
        f"each query looks at {places} places in {level_count} levels, which does not fit its settings ca_nheads "
        f"({said[0]}) and dec_n_points ({said[1]})"
    )


def masks(shapes: TensorShapes, settings: TrainedSettings, decoder_layers: int) -> tuple[int, int]:
    """Blocks of the segmentation head, 0 of a network for boxes, and pixels of the canvas along a side of one of its
    masks."""
    if not any(name.startswith(f"{MASKS}.") for name in shapes.by_name):
        return 0, 1
    blocks, ratio = shapes.number(f"{MASKS}.blocks.*.norm.weight"), settings.integer("mask_downsample_ratio")
    if blocks != decoder_layers:
        raise ModelUnavailable(
            f"its segmentation head has {blocks} blocks for {decoder_layers} layers of the decoder"
        )
    if ratio is not None and ratio > _MOST_OF_A_KIND:
        raise ModelUnavailable(f"its setting mask_downsample_ratio is {ratio}, the limit is {_MOST_OF_A_KIND}")
    return blocks, ratio or _MASK_RATIO
