"""YOLOv5 checkpoints of other tags than the fixtures', made by the original code (`golden/make_yolov5_layouts.py`).

v3.0: BottleneckCSP, Focus, SPP, Hardswish.  v5.0: C3, Focus, `Model`, names as a list.  v7.0: P6 with four levels,
`DetectionModel`, names as a dict, un-stripped: the weights that count are under `ema`, an optimizer lies beside. Also
of v7.0: Ghost, a transformer, yolov3-tiny, and others: C3x, C3SPP, Mish.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from deployments.checkpoints import ModuleStub, open_checkpoint
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.yolo.yolov5 import YOLOv5
from tests.deployments.checkpoints.checkpoint_writer import mapping, write
from tests.deployments.families.yolo.tiny_yolov5 import TinyNetwork, family_of, refused
from tests.deployments.families.yolo.yolov5_rows import raw_rows

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINTS = sorted(GOLDEN.glob("yolov5-*.pt"))
EVERY = 17
ANCHORS = 3
STRIDES_PX = {"yolov5-v7-p6-unstripped": (8, 16, 32, 64), "yolov5-v7-v3-tiny": (16, 32)}


def reference_order(strides_px: tuple[int, ...]) -> np.ndarray:
    """Where the reference's rows (anchors outermost) are among ours (cells outermost)."""
    order, start = [], 0
    for stride_px in strides_px:
        height, width = 128 // stride_px, 192 // stride_px
        rows = np.arange(height * width * ANCHORS).reshape(height, width, ANCHORS) + start
        order.append(rows.transpose(2, 0, 1).ravel())
        start += rows.size
    return np.concatenate(order)


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_raw_rows_agree_with_the_original_code(path: Path) -> None:
    golden = json.loads(path.with_suffix(".json").read_text())
    image = np.random.default_rng(7).integers(0, 256, (128, 192, 3), np.uint8)
    rows = raw_rows(family_of(path), path, image)
    assert len(rows) == golden["rows"]
    ordered = rows[reference_order(STRIDES_PX.get(path.stem, (8, 16, 32)))]
    np.testing.assert_allclose(ordered[::EVERY], golden[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)
    assert rows.sum() == pytest.approx(golden["sum"], rel=1e-5)


def test_all_layouts_are_there() -> None:
    v7 = [f"yolov5-v7-{name}" for name in ("ghost", "others", "p6-unstripped", "transformer", "v3-tiny")]
    assert [path.stem for path in CHECKPOINTS] == ["yolov5-v3-csp", "yolov5-v5-focus", *v7]


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_names_are_read_from_lists_and_dicts(path: Path) -> None:
    assert family_of(path).labels == ("coral", "crinoid", "sponge", "fish")


def test_a_p6_canvas_is_a_multiple_of_64() -> None:
    path = str(GOLDEN / "yolov5-v7-p6-unstripped.pt")
    with pytest.raises(ModelUnavailable, match="multiples of 64"):
        YOLOv5(ModelDefinition(family="yolov5", weights=path, canvas_px=(96, 192)))


def test_the_tiny_network_is_sound_before_it_is_spoiled(tmp_path: Path) -> None:
    assert family_of(TinyNetwork().write(tmp_path / "tiny.pt")).labels == ("fish",)


def test_an_unknown_layer_is_named(tmp_path: Path) -> None:
    network = TinyNetwork()
    network.layer = network.stage("models.common.MixConv2d", 0, -1)
    refused(network, tmp_path, r"tiny\.pt: unknown layer models\.common\.MixConv2d; known: .*C3")


def test_another_head_is_named(tmp_path: Path) -> None:
    network = TinyNetwork()
    network.head_kind = "models.yolo.IDetect"
    refused(network, tmp_path, r"the head is a models\.yolo\.IDetect, but family 'yolov5' expects")


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ([7], r"stage 2 reads from stages \(7,\), expected earlier ones"),
        ([-9], r"stage 2 reads from stages \(-7,\), expected earlier ones"),
        ("all", "stage 2 does not say which stages"),
        ([0, 1], "the head reads 2 levels but has the strides"),
    ],
)
def test_stages_that_read_from_nowhere_are_refused(tmp_path: Path, sources: object, reason: str) -> None:
    network = TinyNetwork()
    network.sources = sources
    refused(network, tmp_path, reason)


@pytest.mark.parametrize("stride", [np.nan, np.inf, 0.0, 8.5, -8.0])
def test_an_impossible_stride_is_refused(tmp_path: Path, stride: float) -> None:
    network = TinyNetwork()
    network.stride = network.weights.tensor(np.array([stride], np.float32))
    refused(network, tmp_path, "the head reads 1 levels but has the strides")


@pytest.mark.parametrize("factor", [np.nan, np.inf, 1.5, 100.0])
def test_an_upsampling_that_is_not_known_is_refused(tmp_path: Path, factor: float) -> None:
    network = TinyNetwork()
    network.factor = factor
    with pytest.raises(ModelUnavailable, match=r"stage 1: upsampling \('nearest'\) by .* is not supported"):
        family_of(network.write(tmp_path / "tiny.pt")).build_graph()


@pytest.mark.parametrize("classes", [0, 10**9, "many"])
def test_an_impossible_number_of_classes_is_refused(tmp_path: Path, classes: object) -> None:
    network = TinyNetwork()
    network.classes = classes
    refused(network, tmp_path, "classes, expected 1 to|attribute 'nc' .* expected an integer")


def test_a_network_that_contains_itself_is_refused(tmp_path: Path) -> None:
    """A cycle: the first stage's child is that stage. Walking it must end."""
    network = TinyNetwork()
    inner = network.stage("torch.nn.modules.container.Sequential", 0, -1)
    path = tmp_path / "cyclic.pt"
    network.layer = inner
    with open_checkpoint(network.write(path)) as checkpoint:
        layer = checkpoint.network().child("model").child("0")
    layer.state["_modules"]["again"] = layer
    from deployments.families.yolo.layers.torch_layers import check_layers
    from deployments.families.yolo.layers.yolo_blocks import BLOCKS

    assert isinstance(layer, ModuleStub)
    with pytest.raises(ModelUnavailable, match="nested more than 50 deep"):
        check_layers(layer, BLOCKS)


def test_weights_of_another_shape_are_refused_when_the_graph_is_built(tmp_path: Path) -> None:
    network = TinyNetwork()
    network.layer = network.convolution(8, 3, 3, held=4)
    family = family_of(network.write(tmp_path / "tiny.pt"))
    with pytest.raises(
        ModelUnavailable, match=r"stage 0: .* weights of shape \(8, 4, 3, 3\), expected \(8, 3, 3, 3\)"
    ):
        family.build_graph()


@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_a_kernel_that_never_moves_is_refused(tmp_path: Path, name: str) -> None:
    network = TinyNetwork()
    fields = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)} | {name: (0, 0)}
    kernel = {"weight": np.ones((3, 3, 1, 1), np.float32)}
    channels = {"out_channels": 3, "in_channels": 3, "kernel_size": (1, 1)}
    network.layer = network.weights.module("torch.nn.modules.conv.Conv2d", {}, kernel, f=-1, **channels, **fields)
    family = family_of(network.write(tmp_path / "tiny.pt"))
    with pytest.raises(ModelUnavailable, match=rf"'{name}' of .*Conv2d is not a pair of integers from 1 to 1024"):
        family.build_graph()


def test_stages_that_do_not_fit_are_refused_when_the_graph_is_traced(tmp_path: Path) -> None:
    import tensorflow as tf

    network = TinyNetwork()
    kernel = {"weight": np.ones((3, 3, 140, 1), np.float32)}
    fields = {"out_channels": 3, "in_channels": 3, "kernel_size": (140, 1), "stride": (1, 1), "padding": (0, 0)}
    network.layer = network.weights.module("torch.nn.modules.conv.Conv2d", {}, kernel, f=-1, **fields)
    graph = family_of(network.write(tmp_path / "tiny.pt")).build_graph()
    with pytest.raises(ModelUnavailable, match=r"stage 0 \(torch\.nn\.modules\.conv\.Conv2d\) does not fit: "):
        tf.function(graph, autograph=False)(tf.zeros((1, 128, 192, 3), tf.uint8))


def test_a_checkpoint_without_names_needs_labels(tmp_path: Path) -> None:
    network = TinyNetwork()
    network.names = None
    path = network.write(tmp_path / "tiny.pt")
    with pytest.raises(ModelUnavailable, match=r"tiny\.pt names no classes, so the definition needs `labels`"):
        family_of(path)
    named = YOLOv5(ModelDefinition(family="yolov5", weights=str(path), labels=("fish",), canvas_px=(128, 192)))
    assert named.labels == ("fish",)


def test_a_network_of_nothing_but_a_head_is_refused(tmp_path: Path) -> None:
    network = TinyNetwork()
    stages = network.weights.sequence("Sequential", [network.head()])
    model = network.weights.module("models.yolo.Model", {"model": stages})
    with pytest.raises(ModelUnavailable, match="the network has 1 stages, expected 2 to 1000"):
        family_of(write(tmp_path / "tiny.pt", mapping({"model": model}), network.weights.storages))
