"""A model as YAML describes it.

`ModelDefinition` is the `args` of an application: identity, a change of which replaces replicas. Files are named in
it and not read, but for labels. `ModelKnobs` is its `user_config`: live knobs. The application's name is the model's.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from deployments.classes.labels import check_labels, read_labels
from deployments.classes.score_threshold import DEFAULT, ScoreThreshold
from deployments.classes.taxa import Taxon, check_taxa

MODEL_IMPORT_PATH = "deployments.app:build"
"""`import_path` of every model's application: how a model is told from a door."""

DEPLOYMENT_NAME = "Model"
"""The one deployment inside a model's application."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


def is_valid_name(name: str) -> bool:
    """Whether `name` may name a model or a queue: letters, digits, dot, underscore, hyphen; at most 128."""
    return re.match(NAME_PATTERN, name) is not None


URI_PATTERN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
"""What tells a source of weights from a path."""

STUCK_AFTER_S = 120.0
"""How long a batch, or a step of one image in a thread, may run. A batch of a slow model on a busy CPU takes 20 s."""

UNHEALTHY_AFTER_BATCHES = 5
"""When this many batches of different images fail in a row, the model is at fault and not the images."""

MIN_STAY_S = 15.0
"""How long a model that was woken stays, though another one waits for its place: about what a large one takes to
load, and well below the deadline of a request, 25 s."""


class Settings(BaseModel):
    """Base of everything that is read from YAML: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsSource(Settings):
    """Weights that are fetched into the cache, and how to tell that they are the right ones."""

    uri: str
    """hf://OWNER/REPO/FILE, or hf://OWNER/REPO for a folder; doi:10.5281/zenodo.RECORD/FILE; https://...; file:///...
    See docs/weights.md."""

    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the file, in hexadecimal; None where it is only recorded at the first fetch."""

    size_bytes: int | None = Field(default=None, ge=1)
    """Size of the file."""

    revision: str | None = None
    """Branch, tag or full commit of a repository; None for its main branch."""


def _kind_of_weights(value: Any) -> str:
    return "source" if isinstance(value, dict | WeightsSource) else "path"


Weights = Annotated[
    Annotated[str, Tag("path")] | Annotated[WeightsSource, Tag("source")], Discriminator(_kind_of_weights)
]
"""A path or URI, or a mapping: told apart first, so that an error speaks of the one that was meant."""


class ModelDefinition(Settings):
    """The identity of a model: what it is, where its weights are, what it answers for."""

    description: str = ""
    """One line for people who choose a model."""

    queues: tuple[Name, ...] = ()
    """Legacy queue names that this model answers for, over Redis and as `model_type` over HTTP."""

    family: str
    """Which family's preprocessing, graph and postprocessing: a name from `deployments.families.FAMILIES`."""

    weights: Weights | None = None
    """Path of the weights, or where they are fetched from; None for a family that ships its own."""

    revision: str = "1"
    """Version of the weights, returned with each prediction."""

    labels: tuple[str, ...] | None = None
    """Class names in index order; None where the weights themselves carry them."""

    taxa: dict[str, Taxon] = Field(default_factory=dict, exclude=True)
    """Labels -> what they are as taxa, for answers as Darwin Core. What clients are told of a model leaves it out."""

    labels_file: str | None = None
    """Text file with one class name a line, instead of `labels`; a relative path counts from the repository."""

    canvas_px: tuple[int, int] | None = None
    """Height and width of the fixed network input; None for the family's own."""

    largest_batch: int = Field(default=8, ge=1, le=256)
    """Largest batch that is compiled; powers of two below it are compiled too."""

    memory_limit_mib: int | None = Field(default=None, ge=64)
    """MiB that TensorFlow takes of each GPU of a replica, from the start, and never more; None for as needed."""

    required: bool = False
    """Whether the system counts as not ready while this model is not."""

    licence: str = ""
    """Licence of the weights."""

    parameters: dict[str, float | int | str | bool] = Field(default_factory=dict)
    """What only this family understands; the family refuses unknown keys."""

    @property
    def weights_source(self) -> WeightsSource | None:
        """Where the weights are fetched from; None where they are a path, or the family's own."""
        if isinstance(self.weights, str):
            return WeightsSource(uri=self.weights) if URI_PATTERN.match(self.weights) else None
        return self.weights

    @property
    def weights_path(self) -> Path | None:
        """Path of the weights on this machine, which is what a family is given; None for the family's own."""
        return Path(self.weights) if isinstance(self.weights, str) else None

    @model_validator(mode="before")
    @classmethod
    def _labels_from_file(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("labels_file"), str):
            return data
        found = read_labels(data["labels_file"])
        if data.get("labels") is not None and tuple(data["labels"]) != found:
            raise ValueError("labels and labels_file name different classes; give one of them")
        return {**data, "labels": found}

    @field_validator("labels")
    @classmethod
    def _not_too_many(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        check_labels(labels or ())
        return labels

    @model_validator(mode="after")
    def _taxa_are_of_labels(self) -> Self:
        check_taxa(self.taxa, self.labels)
        return self


class Tiling(Settings):
    """How large images are cut into overlapping pieces, so that animals of a few pixels are found."""

    tile_height_px: int | None = Field(default=None, ge=64, le=8192)
    """Height of a tile in pixels of the image; None for that of the network's input, so that nothing is shrunk."""

    tile_width_px: int | None = Field(default=None, ge=64, le=8192)
    """Width of a tile in pixels of the image; None for that of the network's input."""

    overlap: float = Field(default=0.2, ge=0, le=0.8)
    """Part of a tile that it shares with its neighbour; objects up to this size are never cut in both."""

    whole_frame: bool = True
    """Whether the whole frame is looked at too, where objects larger than a tile are found."""


class Candidate(Settings):
    """A model that may replace another one: it answers a share of its requests, or looks at copies of them."""

    of: Name
    """The model whose requests these are."""

    share: float | None = Field(default=None, ge=0, le=1)
    """Part of the requests that the candidate answers. Where it cannot, the other model does."""

    shadow: float | None = Field(default=None, ge=0, le=1)
    """Part of the requests of which the candidate gets a copy. Clients get the answer of the other model; where the
    boxes of the two differ is counted and logged."""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.share is None) == (self.shadow is None):
            raise ValueError("needs share or shadow, and only one of them")
        return self


class ModelKnobs(Settings):
    """The live knobs of a model: a change restarts nothing."""

    score_threshold: ScoreThreshold = DEFAULT
    """Detections at or below this score are dropped. May be a mapping from labels to scores; `"*"` stands for the
    classes that it does not name, else 0.25."""

    iou_threshold: float = Field(default=0.45, ge=0, le=1)
    """Of two boxes of one class that overlap more than this, the better one is kept."""

    max_detections: int = Field(default=300, ge=1, le=1000)
    """At most this many detections an image."""

    batch_limit: int | None = Field(default=None, ge=1)
    """Largest batch formed now; at most `largest_batch`, which is the default."""

    latency_target_ms: float | None = Field(default=None, gt=0, le=60_000)
    """Milliseconds from ready for a batch to inferred that an image should stay below under load. The batcher finds
    from it how large a batch may be, and how long a busy model may wait to fill it. None: whatever waits is run as
    soon as the model is free."""

    max_waiting_images: int = Field(default=128, ge=1)
    """More images than this waiting in one replica: new ones are refused as overloaded. Each tile counts."""

    max_decoded_bytes: int = Field(default=10**9, ge=10**6)
    """Bytes of decoded images, three a pixel, that one replica holds at once; more wait their turn, and an image that
    would not fit alone is refused."""

    stuck_after_s: float = Field(default=STUCK_AFTER_S, ge=1, le=3600)
    """Seconds that a batch, or a step of one image in a thread, may run; the first batch of a shape and size five
    times as long. What has not ended then is stuck, and the replica is replaced."""

    unhealthy_after_batches: int = Field(default=UNHEALTHY_AFTER_BATCHES, ge=1, le=1000)
    """When every image of this many batches in a row failed, also alone, the replica is replaced. A batch does not
    count if all its images have failed before since one was last inferred."""

    pinned: bool = False
    """Whether a model that is awake keeps its place when another one waits for it. It still sleeps when nothing asks
    for it; `min_replicas: 1` keeps it awake."""

    min_stay_s: float = Field(default=MIN_STAY_S, ge=0, le=3600)
    """Seconds for which a model that was woken stays, though another one waits for its place."""

    tiling: Tiling | None = None
    """How images larger than a tile are cut where a request does not say; None: they are looked at as a whole."""

    candidate: Candidate | None = None
    """Which model this one may replace, and what it gets of that model's requests; None for a model of its own."""
