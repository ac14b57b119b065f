"""What a YOLO checkpoint holds, checked before anything is built: its stages, its head, its class names.

YOLOv5 and ultralytics keep their networks alike: `model` is a Sequential whose members carry `f`, the indices
of the stages that they read from (-1 is the one before); the last member is the head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deployments.checkpoints import Checkpoint, ModuleStub
from deployments.checkpoints.file_kinds import family_of_network
from deployments.errors import ModelUnavailable
from deployments.families.shared.definition_checks import checked_labels

MAX_STAGES = 1000
MAX_CLASSES = 100_000
COLOURS, GREY = 3, 1
"""Channels of an image."""


@dataclass(frozen=True, slots=True)
class YoloKind:
    """What tells one generation of checkpoints from another."""

    family: str
    """The family's name, for messages."""

    networks: frozenset[str]
    """Full class names of the networks that the family takes."""

    heads: frozenset[str]
    """Full class names of the heads that it takes."""

    count_classes: Callable[[ModuleStub], int] = lambda head: head.integer("nc")
    """How many classes a head has. May raise ModelUnavailable."""

    channels: frozenset[int] = frozenset({COLOURS})
    """How many channels the images of its networks may have: 3 for colours, 1 for grey."""

    has_levels: bool = True
    """Whether the head reads levels, of which each has a stride."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One member of the network."""

    stub: ModuleStub

    sources: tuple[int, ...]
    """Indices of the earlier stages that it reads from; -1 is the image."""

    is_list: bool
    """Whether it takes a list of tensors instead of one."""


@dataclass(frozen=True, slots=True)
class YoloLayout:
    """A checked network."""

    body: tuple[Stage, ...]
    """All stages but the head."""

    head: Stage

    strides_px: tuple[int, ...]
    """Canvas pixels per cell, for each level that the head reads; empty of a head that reads none."""

    class_count: int

    names: tuple[str, ...] | None
    """Class names in index order; None where the checkpoint has none, or none that can be used."""

    train_size_px: int | None
    """Side of the square that it was trained at; None where the checkpoint does not say."""

    channels: int = COLOURS
    """Of the images that go in."""

    names_problem: str = ""
    """Why the names in the checkpoint cannot be used; '' where they can, or where there are none."""


def read_layout(checkpoint: Checkpoint, kind: YoloKind) -> YoloLayout:
    """The layout of a checkpoint. Raises ModelUnavailable when it is of another family, or not sound."""
    network = checkpoint.network()
    if network.kind not in kind.networks:
        raise checkpoint.other_family(
            f"holds a {network.kind}, but family {kind.family!r} expects one of {', '.join(sorted(kind.networks))}"
            f"{family_of_network(network.kind)}"
        )
    try:
        return _read(network, kind, checkpoint.root)
    except ModelUnavailable as error:
        raise checkpoint.refusal(error.message) from error


def _read(network: ModuleStub, kind: YoloKind, root: object) -> YoloLayout:
    members = list(network.child("model").children.values())
    if not 2 <= len(members) <= MAX_STAGES:
        raise ModelUnavailable(f"the network has {len(members)} stages, expected 2 to {MAX_STAGES}")
    stages = [_stage(stub, index) for index, stub in enumerate(members)]
    head = stages[-1]
    if head.stub.kind not in kind.heads:
        raise ModelUnavailable(
            f"the head is a {head.stub.kind}, but family {kind.family!r} expects one of "
            f"{', '.join(sorted(kind.heads))}"
        )
    classes = kind.count_classes(head.stub)
    if not 1 <= classes <= MAX_CLASSES:
        raise ModelUnavailable(f"the head has {classes} classes, expected 1 to {MAX_CLASSES}")
    channels = _channels(stages[0].stub)
    if channels not in kind.channels:
        raise ModelUnavailable(
            f"the network takes images of {channels} channels, but family {kind.family!r} has those of "
            f"{' or '.join(map(str, sorted(kind.channels)))}"
        )
    names, names_problem = _names(network.state.get("names"), classes)
    return YoloLayout(
        body=tuple(stages[:-1]),
        head=head,
        strides_px=_strides(network, head.stub, len(head.sources)) if kind.has_levels else (),
        class_count=classes,
        channels=channels,
        names=names,
        names_problem=names_problem,
        train_size_px=_train_size(network, root),
    )


def _stage(stub: ModuleStub, index: int) -> Stage:
    source = stub.state.get("f", -1)
    sources = source if isinstance(source, list | tuple) else [source]
    if not 1 <= len(sources) <= MAX_STAGES or not all(type(item) is int for item in sources):
        raise ModelUnavailable(f"stage {index} does not say which stages it reads from")
    absolute = tuple(index + item if item < 0 else item for item in sources)
    if not all(-1 <= item < index for item in absolute) or (-1 in absolute and index > 0):
        raise ModelUnavailable(f"stage {index} reads from stages {absolute}, expected earlier ones")
    return Stage(stub, absolute, isinstance(source, list | tuple))


def _channels(first: ModuleStub) -> int:
    """Of the images that a stage takes, as its first convolution says. Focus joins four pixels beforehand."""
    found, pixels = first, 4 if first.class_name == "Focus" else 1
    for _ in range(MAX_STAGES):
        if found.class_name == "Conv2d":
            return found.integer("in_channels") // pixels
        if not found.children:
            break
        found = next(iter(found.children.values()))
    return COLOURS


def _strides(network: ModuleStub, head: ModuleStub, levels: int) -> tuple[int, ...]:
    tensor = head.find_tensor("stride") or network.tensor("stride")
    values = [float(value) for value in tensor.numpy().ravel()] if tensor.numel == levels else []
    if not values or not all(1 <= value <= 1024 and value == int(value) for value in values):
        raise ModelUnavailable(f"the head reads {levels} levels but has the strides {values or tensor.shape}")
    return tuple(int(value) for value in values)


def labels_of(layout: YoloLayout, declared: tuple[str, ...] | None, owner: str) -> tuple[str, ...]:
    """The class names that count: the declared ones, or else those of the checkpoint.

    owner: the file, for messages. Raises ModelUnavailable where there are none, or as many as the head has not.
    """
    if declared is None and layout.names_problem:
        raise ModelUnavailable(f"{owner}: {layout.names_problem}; `labels` in the definition would count instead")
    return checked_labels(owner, declared, layout.names, layout.class_count)


def _names(names: object, classes: int) -> tuple[tuple[str, ...] | None, str]:
    """The class names, or why they cannot be used. They are a list in old checkpoints, a dict by index in new ones.

    As in the reference (ultralytics `nn/autobackend.py` `check_class_names`) numbers and booleans, which YAML makes
    of names such as 7 and no, are names too, and an index may be text.
    """
    if names is None:
        return None, ""
    if not isinstance(names, list | tuple | Mapping) or len(names) != classes:
        return None, f"the head has {classes} classes, but the checkpoint names {_count(names)} of them"
    entries = names if isinstance(names, Mapping) else dict(enumerate(names))
    by_index = {str(index): name for index, name in entries.items()}
    found = [by_index.get(str(index)) for index in range(classes)]
    odd = next((index for index, name in enumerate(found) if not isinstance(name, str | int | float)), None)
    if odd is not None:
        return None, f"class {odd} of the checkpoint has no name"
    return tuple(map(str, found)), ""


def _count(names: object) -> str:
    return str(len(names)) if isinstance(names, list | tuple | Mapping) else "none"


def _train_size(network: ModuleStub, root: object) -> int | None:
    # A trainer that is still at work keeps its settings as a namespace; stripped, they are a dict. A classifier has
    # none, and then those of the training count.
    for settings in (network.state.get("args"), root.get("train_args") if isinstance(root, Mapping) else None):
        found = settings.state if isinstance(settings, ModuleStub) else settings
        size = found.get("imgsz") if isinstance(found, Mapping) else None
        if type(size) is int and 32 <= size <= 8192:
            return size
    return None
