"""`MSDeformAttn` of ultralytics 8.4 `nn/modules/transformer.py`: its layers, from the stub of a checkpoint."""

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.deformable_attention import DeformableAttention
from deployments.families.yolo.layers.torch_layers import LayerBuilder

_MOST_POINTS = 64


def make_deformable_attention(builder: LayerBuilder, stub: ModuleStub) -> DeformableAttention:
    """One attention. Raises ModelUnavailable for numbers that don't fit."""
    heads, levels, points = (stub.integer(name) for name in ("n_heads", "n_levels", "n_points"))
    channels = stub.integer("d_model")
    if min(heads, levels, points) < 1 or levels * points > _MOST_POINTS or channels % heads or channels < heads:
        raise ModelUnavailable(f"{stub.kind} has {heads} heads of {channels} channels, {levels} x {points} points")
    return DeformableAttention(
        heads=heads,
        points=points,
        offsets=builder.child(stub, "sampling_offsets"),
        weights=builder.child(stub, "attention_weights"),
        values=builder.child(stub, "value_proj"),
        output=builder.child(stub, "output_proj"),
    )
