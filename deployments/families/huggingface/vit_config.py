"""What `config.json` says of a vision transformer: ViT, DINOv2 with and without registers, DINOv3.

Sources: `models/vit`, `models/dinov2`, `models/dinov2_with_registers` and `models/dinov3_vit` of `transformers`, in
`configuration_*.py` and `modeling_*.py`. A size that a file leaves out has the default that it has there; what no
tensor could contradict (heads, activation, epsilon) must be in the file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from deployments.errors import ModelUnavailable
from deployments.families.huggingface.hub_folder import CONFIG, HubFile, read_object, validated
from deployments.families.shared.transformer import ACTIVATIONS

Count = Annotated[int, Field(ge=1, le=65_536)]
Side = Count | Annotated[list[Count], Field(min_length=2, max_length=2)]

ProblemType = Literal["single_label_classification", "multi_label_classification"]


class VitConfig(HubFile):
    """ViT, and what the others share with it."""

    tensor_prefix: ClassVar[str] = "vit."
    """In front of the names of the backbone's tensors where there is a classifier as well."""

    image_processor: ClassVar[str] = "ViTImageProcessor"
    """What `transformers` takes where the image processor's file does not name its kind, as early ones do not."""

    has_table: ClassVar[bool] = True
    """Whether positions are a table of weights."""

    has_registers: ClassVar[bool] = False
    """Whether there is a tensor of registers, perhaps of none."""

    fits_any_canvas: ClassVar[bool] = False
    """Whether the reference itself resizes the table to the size of an image."""

    is_table_antialiased: ClassVar[bool] = False
    """Whether the reference resizes it with antialiasing."""

    head_reads_mean: ClassVar[bool] = False
    """Whether the classifier reads the mean of all patches beside the CLS token."""

    hidden_size: Count = 768
    num_hidden_layers: Annotated[int, Field(ge=1, le=256)] = 12
    num_attention_heads: Annotated[int, Field(ge=1, le=256)]
    hidden_act: str
    layer_norm_eps: Annotated[float, Field(ge=0, le=0.1)]
    image_size: Side = 224
    patch_size: Side = 16
    num_channels: Literal[3] = 3
    qkv_bias: bool = True
    intermediate_size: Count = 3072
    problem_type: ProblemType | None = None
    id2label: dict[str, str] | None = None

    @field_validator("hidden_act")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ACTIVATIONS:
            raise ValueError(f"the activation {name[:40]!r} is not known here; known: {', '.join(ACTIVATIONS)}")
        return name

    @property
    def patch_px(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return _pair(self.patch_size)

    @property
    def image_px(self) -> tuple[int, int]:
        """Height and width of the images of its training."""
        return _pair(self.image_size)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of its table of positions."""
        height, width = self.image_px
        return height // self.patch_px[0], width // self.patch_px[1]

    @property
    def registers(self) -> int:
        """Tokens beside the CLS token that stand for no patch."""
        return 0

    @property
    def mlp_size(self) -> int:
        """Channels between the two layers of an MLP."""
        return self.intermediate_size

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names in `id2label`, in the order of the classes; None where there are none. Raises ModelUnavailable
        unless they are numbered from 0 on."""
        if self.id2label is None:
            return None
        numbers = [str(number) for number in range(len(self.id2label))]
        if set(numbers) != set(self.id2label):
            raise ModelUnavailable(f"{CONFIG}: id2label does not number its {len(numbers)} classes from 0 on")
        return tuple(self.id2label[number] for number in numbers)


class Dinov2Config(VitConfig):
    """DINOv2."""

    tensor_prefix: ClassVar[str] = "dinov2."
    image_processor: ClassVar[str] = "BitImageProcessor"
    fits_any_canvas: ClassVar[bool] = True
    head_reads_mean: ClassVar[bool] = True

    patch_size: Side = 14
    mlp_ratio: Annotated[float, Field(gt=0, le=64)] = 4
    use_swiglu_ffn: bool = False

    @property
    def mlp_size(self) -> int:
        """A SwiGLU has two thirds of the channels, rounded up to a multiple of 8."""
        size = int(self.hidden_size * self.mlp_ratio)
        return (int(size * 2 / 3) + 7) // 8 * 8 if self.use_swiglu_ffn else size


class Dinov2WithRegistersConfig(Dinov2Config):
    """DINOv2 with registers."""

    tensor_prefix: ClassVar[str] = "dinov2_with_registers."
    has_registers: ClassVar[bool] = True
    is_table_antialiased: ClassVar[bool] = True

    num_register_tokens: Annotated[int, Field(ge=0, le=256)] = 4

    @property
    def registers(self) -> int:
        """Tokens beside the CLS token that stand for no patch."""
        return self.num_register_tokens


class Dinov3Config(VitConfig):
    """DINOv3, whose queries and keys are turned by their positions (RoPE)."""

    tensor_prefix: ClassVar[str] = ""
    image_processor: ClassVar[str] = "DINOv3ViTImageProcessor"
    has_table: ClassVar[bool] = False
    has_registers: ClassVar[bool] = True
    fits_any_canvas: ClassVar[bool] = True

    hidden_size: Count = 384
    intermediate_size: Count = 1536
    num_register_tokens: Annotated[int, Field(ge=0, le=256)] = 0
    rope_theta: Annotated[float, Field(gt=1, le=1e9)] = 100.0
    query_bias: bool = True
    key_bias: bool = False
    value_bias: bool = True
    proj_bias: bool = True
    mlp_bias: bool = True
    use_gated_mlp: bool = False

    @property
    def registers(self) -> int:
        """Tokens beside the CLS token that stand for no patch."""
        return self.num_register_tokens


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a name in `architectures` stands for."""

    config: type[VitConfig]
    is_classifier: bool


ARCHITECTURES: dict[str, Architecture] = {
    "ViTForImageClassification": Architecture(VitConfig, True),
    "ViTModel": Architecture(VitConfig, False),
    "Dinov2ForImageClassification": Architecture(Dinov2Config, True),
    "Dinov2Model": Architecture(Dinov2Config, False),
    "Dinov2WithRegistersForImageClassification": Architecture(Dinov2WithRegistersConfig, True),
    "Dinov2WithRegistersModel": Architecture(Dinov2WithRegistersConfig, False),
    "DINOv3ViTModel": Architecture(Dinov3Config, False),
}


@dataclass(frozen=True, slots=True)
class VitDescription:
    """A network as its folder describes it."""

    config: VitConfig
    is_classifier: bool


def read_vit(folder: Path) -> VitDescription:
    """The network in `folder`. Raises ModelUnavailable, with what was found and what is known."""
    content = read_object(folder, CONFIG)
    _refuse_code(content)
    names = content.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise ModelUnavailable(f"{CONFIG}: architectures must name one of {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES.get(names[0])
    if architecture is None:
        raise ModelUnavailable(
            f"{CONFIG}: the architecture {names[0][:80]!r} is not served; known: {', '.join(ARCHITECTURES)}. Another "
            "network can be exported to ONNX, for the family `onnx`"
        )
    config = validated(architecture.config, content, CONFIG)
    if config.hidden_size % config.num_attention_heads:
        raise ModelUnavailable(
            f"{CONFIG}: hidden_size {config.hidden_size} is no multiple of {config.num_attention_heads} heads"
        )
    if isinstance(config, Dinov3Config) and config.hidden_size // config.num_attention_heads % 4:
        raise ModelUnavailable(
            f"{CONFIG}: a head of DINOv3 must have a multiple of 4 channels, to be turned in pairs"
        )
    return VitDescription(config, architecture.is_classifier)


def _refuse_code(content: dict[str, Any]) -> None:
    if content.get("auto_map"):
        raise ModelUnavailable(
            f"{CONFIG}: auto_map asks for Python code beside the weights, which is never run; if the network is one "
            "that transformers has, save it again with that class, else export it to ONNX, for the family `onnx`"
        )
    if content.get("quantization_config"):
        raise ModelUnavailable(f"{CONFIG}: quantised weights are not read; save them in float32, float16 or bfloat16")
    if content.get("pruned_heads"):
        raise ModelUnavailable(f"{CONFIG}: pruned_heads: networks with heads cut out are not served")


def _pair(side: int | list[int]) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else (side[0], side[1])
