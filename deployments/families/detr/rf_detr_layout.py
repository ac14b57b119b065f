"""The sizes and counts of an RF-DETR, checked before anything is built: from its tensors, and from its settings only
where no tensor tells.
"""

from dataclasses import dataclass

from deployments.checkpoints import Checkpoint, ModuleStub
from deployments.checkpoints.file_kinds import family_of_network, family_of_tensors
from deployments.classes.labels import MAX_LABELS
from deployments.errors import ModelUnavailable
from deployments.families.detr import rf_detr_sizes as sizes
from deployments.families.detr.rf_detr_settings import Size, TrainedSettings
from deployments.families.detr.rf_detr_sizes import BACKBONE, DECODER, CrossAttention, TensorShapes

_DEFAULT_SELECTED = 300
_MOST_SELECTED = 3000
_MOST_SCORES = 2**24
"""Of all queries and classes of one image."""

_OTHER_HEADS = {
    "keypoint_embed.": "an RF-DETR for keypoints, which is not served",
    "backbone.0.cross_attn_projector.": "an RF-DETR with two projectors, as those for keypoints have, not served",
    f"{DECODER}.bbox_embed.": "an RF-DETR that refines boxes in each layer (lite_refpoint_refine is off)",
    "backbone.0.encoder.base_model.": "an RF-DETR with adapters (backbone_lora); merge them into its weights first",
}


@dataclass(frozen=True, slots=True)
class RfDetrLayout:
    """A checked network."""

    patch_px: int

    windows: int
    """Along each side: attention of most blocks is within one of windows x windows."""

    width: int
    """Channels of the backbone."""

    features: tuple[int, ...]
    """How many blocks come before each feature map; the blocks with these numbers see the whole image."""

    hidden_width: int
    """Channels inside the MLP of a block."""

    registers: int
    """Tokens that each window has besides its patches and the class token."""

    positions: Size
    """Rows and columns of the table of positions."""

    levels: tuple[str, ...]
    """P3, P4 or P5 for each map of the decoder."""

    channels: int
    """Of the decoder."""

    decoder_layers: int
    self_heads: int
    cross: CrossAttention
    feedforward: int

    queries: int
    groups: int
    """Copies of the queries, of which only the first is used after the training."""

    selected: int
    """How many pairs of query and class are answered at most."""

    class_rows: int
    """Outputs of the classification layer."""

    mask_blocks: int
    """Of the segmentation head; 0 of a network for boxes."""

    mask_ratio: int
    """Pixels of the canvas along a side of a mask's."""

    trained_px: Size | None
    """Height and width that it was trained at; None where the file does not say."""

    def mask_size(self, size_px: Size) -> Size:
        """Rows and columns of the mask logits for a canvas of this size."""
        return size_px[0] // self.mask_ratio, size_px[1] // self.mask_ratio

    @property
    def divisor_px(self) -> int:
        """What the sides of a canvas are multiples of."""
        return self.patch_px * self.windows


def read_layout(checkpoint: Checkpoint, settings: TrainedSettings, canvas_px: Size | None) -> RfDetrLayout:
    """The layout of an open file. canvas_px: that of the definition, if any.

    Raises ModelUnavailable, with the file's name, when it is no detector of this kind. No tensor's values are read.
    """
    _check_kind(checkpoint)
    shapes = {name: tensor.shape for name, tensor in checkpoint.state_dict("model").items()}
    if not any(name.startswith(f"{DECODER}.") for name in shapes):
        raise checkpoint.other_family(
            f"expected named tensors of an RF-DETR, found others{family_of_tensors(shapes)}"
        )
    for prefix, what in _OTHER_HEADS.items():
        if any(name.startswith(prefix) for name in shapes):
            raise checkpoint.refusal(f"holds {what}")
    try:
        return _read(TensorShapes(shapes), settings, canvas_px)
    except ModelUnavailable as error:
        raise checkpoint.refusal(error.message) from error


def _check_kind(checkpoint: Checkpoint) -> None:
    root = checkpoint.root if isinstance(checkpoint.root, dict) else {"model": checkpoint.root}
    network = root.get("ema") or root.get("model")
    if isinstance(network, ModuleStub):
        raise checkpoint.other_family(
            f"holds a {network.kind}, but family 'rf-detr' expects named tensors{family_of_network(network.kind)}"
        )
    if "model" not in root and "state_dict" in root:
        raise checkpoint.refusal(
            "a checkpoint of Lightning, written while training; the trainer leaves the finished weights in "
            "checkpoint_best_total.pth"
        )


def _read(shapes: TensorShapes, settings: TrainedSettings, canvas_px: Size | None) -> RfDetrLayout:
    for switch in ("bbox_reparam", "two_stage"):
        if settings.is_off(switch):
            raise ModelUnavailable(f"its setting {switch} is off, which no published RF-DETR has")
    patch_px, width = sizes.patch(shapes)
    blocks = shapes.number(f"{BACKBONE}.encoder.layer.*.norm1.weight")
    levels = sizes.levels(shapes)
    class_rows, channels = sizes.head(shapes, MAX_LABELS + 1)
    queries, groups = sizes.queries(shapes)
    if queries * class_rows > _MOST_SCORES:
        raise ModelUnavailable(f"{queries} queries of {class_rows} classes, the limit is {_MOST_SCORES} of both")
    decoder_layers = shapes.number(f"{DECODER}.layers.*.norm1.weight")
    mask_blocks, mask_ratio = sizes.masks(shapes, settings, decoder_layers)
    return RfDetrLayout(
        patch_px=patch_px,
        windows=sizes.windows(settings, patch_px),
        width=width,
        features=sizes.features(shapes, settings, patch_px, blocks),
        hidden_width=shapes.size(f"{BACKBONE}.encoder.layer.0.mlp.fc1.weight", 0),
        registers=sizes.registers(shapes),
        positions=sizes.positions(shapes, settings, patch_px, canvas_px),
        levels=levels,
        channels=channels,
        decoder_layers=decoder_layers,
        self_heads=sizes.self_heads(settings, channels),
        cross=sizes.cross_attention(shapes, settings, channels, len(levels)),
        feedforward=shapes.size(f"{DECODER}.layers.0.linear1.weight", 0),
        queries=queries,
        groups=groups,
        selected=min(settings.integer("num_select") or _DEFAULT_SELECTED, _MOST_SELECTED),
        class_rows=class_rows,
        mask_blocks=mask_blocks,
        mask_ratio=mask_ratio,
        trained_px=settings.size("resolution"),
    )
