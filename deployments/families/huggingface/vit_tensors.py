"""Which tensors a vision transformer of `transformers` has, by name and shape, and how they are read.

The names are those of the modules in `models/*/modeling_*.py`. A folder must hold exactly these: a tensor beyond
them, such as that of an adapter, would change what the network answers, and so it is refused.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.safetensors_folder import FolderTensors
from deployments.errors import ModelUnavailable
from deployments.families.huggingface.vit_config import Dinov2Config, Dinov3Config, VitConfig, VitDescription
from deployments.families.shared.transformer import Attention, Dense, EncoderBlock, Mlp, Norm

Shape = tuple[int, ...]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class BlockNames:
    """Names of the parts of one block, behind its own name."""

    norms: tuple[str, str]
    inputs: tuple[str, str, str]
    """Queries, keys and values."""

    output: str
    first: tuple[str, ...]
    """The first layer of the MLP; of a gated one in two layers, what is activated first."""

    second: str
    scales: tuple[str, str] | None = ("layer_scale1.lambda1", "layer_scale2.lambda1")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a network's parts, behind the prefix of the backbone."""

    patch: str
    block: str
    norm: str
    parts: BlockNames


_SEPARATE = ("attention.attention.query", "attention.attention.key", "attention.attention.value")
_PROJECTIONS = ("attention.q_proj", "attention.k_proj", "attention.v_proj")
_CLASSIFIER = "classifier"

_UNUSED = ("embeddings.mask_token", "pooler.dense.weight", "pooler.dense.bias")
"""Parts of a backbone that neither class scores nor embeddings pass through."""


def names_of(config: VitConfig) -> Names:
    """How the tensors of this architecture are called."""
    if isinstance(config, Dinov3Config):
        first = ("mlp.gate_proj", "mlp.up_proj") if config.use_gated_mlp else ("mlp.up_proj",)
        parts = BlockNames(("norm1", "norm2"), _PROJECTIONS, "attention.o_proj", first, "mlp.down_proj")
        return Names("embeddings.patch_embeddings", "layer", "norm", parts)
    patch = "embeddings.patch_embeddings.projection"
    if isinstance(config, Dinov2Config):
        layers = ("mlp.weights_in", "mlp.weights_out") if config.use_swiglu_ffn else ("mlp.fc1", "mlp.fc2")
        parts = BlockNames(("norm1", "norm2"), _SEPARATE, "attention.output.dense", layers[:1], layers[1])
    else:
        norms = ("layernorm_before", "layernorm_after")
        parts = BlockNames(
            norms, _SEPARATE, "attention.output.dense", ("intermediate.dense",), "output.dense", scales=None
        )
    return Names(patch, "encoder.layer", "layernorm", parts)


class VitTensors:
    """The weights of one network. Raises ModelUnavailable unless the folder holds exactly what is needed."""

    def __init__(self, description: VitDescription, tensors: FolderTensors) -> None:
        self.config = description.config
        self._names = names_of(self.config)
        self._tensors = tensors
        self._prefix = self.config.tensor_prefix if description.is_classifier else ""
        self.class_count = self._class_count() if description.is_classifier else 0
        self._check()

    def table(self) -> NDArray[Any]:
        """Positions (1 + rows * columns, channels), that of the CLS token first."""
        return np.asarray(self._backbone("embeddings.position_embeddings")[0])

    def prefix_tokens(self) -> NDArray[Any]:
        """The CLS token and the registers, (1 + registers, channels)."""
        tokens = [self._backbone("embeddings.cls_token")[0]]
        if self.config.has_registers:
            tokens.append(self._backbone("embeddings.register_tokens")[0])
        return np.concatenate(tokens)

    def patch(self) -> Dense:
        """From the pixels of a patch, (rows, columns, RGB) in turn, to channels."""
        weight = self._backbone(f"{self._names.patch}.weight").transpose(0, 2, 3, 1)
        return Dense(weight.reshape(len(weight), -1), self._backbone(f"{self._names.patch}.bias"))

    def final_norm(self) -> Norm:
        """Behind the last block."""
        return self._norm(self._names.norm)

    def block(self, index: int) -> EncoderBlock:
        """One block of the encoder."""
        config, parts = self.config, self._names.parts
        path = f"{self._names.block}.{index}"
        inputs = Dense.stacked([self._dense(f"{path}.{name}") for name in parts.inputs])
        first = Dense.stacked([self._dense(f"{path}.{name}") for name in parts.first])
        is_gated = getattr(config, "use_gated_mlp", False)
        is_swiglu = getattr(config, "use_swiglu_ffn", False)
        activation = "silu" if is_swiglu else config.hidden_act
        scales = [None, None] if parts.scales is None else [self._backbone(f"{path}.{one}") for one in parts.scales]
        return EncoderBlock(
            attention_norm=self._norm(f"{path}.{parts.norms[0]}"),
            attention=Attention(config.num_attention_heads, inputs, self._dense(f"{path}.{parts.output}")),
            mlp_norm=self._norm(f"{path}.{parts.norms[1]}"),
            mlp=Mlp(first, self._dense(f"{path}.{parts.second}"), activation, is_gated or is_swiglu),
            attention_scale=scales[0],
            mlp_scale=scales[1],
        )

    def classifier(self) -> Dense:
        """The last layer."""
        return Dense(self._tensors.numpy(f"{_CLASSIFIER}.weight"), self._tensors.numpy(f"{_CLASSIFIER}.bias"))

    def _backbone(self, name: str) -> NDArray[Any]:
        return self._tensors.numpy(self._prefix + name)

    def _norm(self, name: str) -> Norm:
        return Norm(
            self._backbone(f"{name}.weight"), self._backbone(f"{name}.bias"), float(self.config.layer_norm_eps)
        )

    def _dense(self, name: str) -> Dense:
        bias = f"{name}.bias"
        has_bias = self._prefix + bias in self._tensors.files
        return Dense(self._backbone(f"{name}.weight"), self._backbone(bias) if has_bias else None)

    def _class_count(self) -> int:
        name = f"{_CLASSIFIER}.weight"
        if name not in self._tensors.files:
            raise ModelUnavailable(
                f"{self._tensors.folder.name}: its config.json says that it classifies, but there is no tensor "
                f"{name}; if it was saved without its head, architectures must say so (ViTModel, Dinov2Model, ...)"
            )
        shape = self._tensors.shape(name)
        return shape[0] if shape else 0

    def _check(self) -> None:
        owner = self._tensors.folder.name
        expected = self._expected()
        missing = sorted(expected.keys() - self._tensors.files.keys())
        if missing:
            raise ModelUnavailable(
                f"{owner}: {len(missing)} tensors are missing that its config.json speaks of: {_some(missing)}"
            )
        for name, shape in expected.items():
            if self._tensors.shape(name) != shape:
                raise ModelUnavailable(
                    f"{owner}: tensor {name} has the shape {self._tensors.shape(name)}, "
                    f"but by its config.json {shape}"
                )
        unused = {self._prefix + name for name in _UNUSED}
        strange = sorted(self._tensors.files.keys() - expected.keys() - unused)
        if strange:
            raise ModelUnavailable(
                f"{owner}: {len(strange)} tensors are not of this architecture, and would be left out: "
                f"{_some(strange)}; merge adapters into the weights, and save it again"
            )

    def _expected(self) -> dict[str, Shape]:
        """Every tensor that is read, by its whole name."""
        config, channels = self.config, self.config.hidden_size
        shapes: dict[str, Shape] = {"embeddings.cls_token": (1, 1, channels)}
        if config.has_table:
            rows, columns = config.grid
            shapes["embeddings.position_embeddings"] = (1, 1 + rows * columns, channels)
        if config.has_registers:
            shapes["embeddings.register_tokens"] = (1, config.registers, channels)
        shapes |= _with_bias(self._names.patch, (channels, 3, *config.patch_px))
        for index in range(config.num_hidden_layers):
            shapes |= {f"{self._names.block}.{index}.{name}": shape for name, shape in self._of_block().items()}
        shapes |= _with_bias(self._names.norm, (channels,))
        whole = {self._prefix + name: shape for name, shape in shapes.items()}
        if self.class_count:
            read = 2 * channels if config.head_reads_mean else channels
            whole |= _with_bias(_CLASSIFIER, (self.class_count, read))
        return whole

    def _of_block(self) -> dict[str, Shape]:
        config, parts, channels = self.config, self._names.parts, self.config.hidden_size
        shapes: dict[str, Shape] = {}
        for name in parts.norms:
            shapes |= _with_bias(name, (channels,))
        biases = _biases(config)
        for name, has_bias in zip((*parts.inputs, parts.output), biases, strict=False):
            shapes |= _with_bias(name, (channels, channels), has_bias)
        # SwiGLU of DINOv2 has both halves in one layer.
        rows = config.mlp_size * (2 if getattr(config, "use_swiglu_ffn", False) else 1)
        for name in parts.first:
            shapes |= _with_bias(name, (rows, channels), biases[-1])
        shapes |= _with_bias(parts.second, (channels, config.mlp_size), biases[-1])
        return shapes | dict.fromkeys(parts.scales or (), (channels,))


def _biases(config: VitConfig) -> tuple[bool, bool, bool, bool, bool]:
    """Whether queries, keys, values, the layer behind them and the MLP have a bias."""
    if isinstance(config, Dinov3Config):
        return config.query_bias, config.key_bias, config.value_bias, config.proj_bias, config.mlp_bias
    return config.qkv_bias, config.qkv_bias, config.qkv_bias, True, True


def _with_bias(name: str, shape: Shape, has_bias: bool = True) -> dict[str, Shape]:
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if has_bias else {})


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ..."
