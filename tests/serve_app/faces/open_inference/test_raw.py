"""A detector as its network alone, for clients that decode rows: `NAME-raw`."""

import ast
from dataclasses import replace

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.prediction import Detections
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.asking import MODEL, RAW_PATH, error_in, files, infer, outputs_in, pixels
from tests.serve_app.faces.v1.predicting import prediction, two_animals

LABELS = ("Sea star", "Fish", "Urchin", "Crab")


@pytest.fixture(autouse=True)
def labelled(system: FakeSystem) -> None:
    system.records_now[0] = record(MODEL, labels=LABELS)
    system.fails_with = prediction(two_animals())


def planes(count: int = 1, value: float = 0.0, height: int = 32, width: int = 64) -> NDArray[np.float32]:
    return np.full((count, 3, height, width), value, np.float32)


async def test_rows_hold_centres_and_a_score_in_the_column_of_the_class(client: httpx.AsyncClient) -> None:
    outputs = outputs_in(await infer(client, pixels(planes(2), "images"), path=RAW_PATH))
    assert list(outputs) == ["output0"]
    rows = outputs["output0"]
    assert rows.shape == (2, 4 + len(LABELS), 8)
    assert rows[1, :, 0].tolist() == [40, 20, 40, 20, 0, 0, 0, 0.75]
    assert rows[1, :, 1].tolist() == [4, 2, 8, 4, 0, 0.5, 0, 0]
    assert not rows[:, :, 2:].any()


async def test_the_model_gets_rounded_pixels_and_a_low_threshold(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    samples = np.arange(32 * 64 * 3, dtype=np.uint8).reshape(32, 64, 3)
    sent = np.ascontiguousarray(samples.transpose(2, 0, 1)[None], np.float32) / 255
    await infer(client, pixels(sent, "images"), path=RAW_PATH)
    await infer(client, pixels(sent, "images"), path=RAW_PATH, parameters={"score_threshold": 0.5})
    [(name, first), (_, second)] = system.asked
    assert name == MODEL
    assert first.image.pixels is not None
    assert np.array_equal(first.image.pixels, samples)
    options = first.options
    assert (options.score_threshold, options.max_detections, options.tiling) == (0.001, 1000, "off")
    assert (second.options.score_threshold, second.options.max_detections) == (0.5, 1000)


@pytest.mark.parametrize(("count", "columns"), [(0, 8), (6, 8), (8, 8), (9, 16)])
async def test_there_are_never_six_columns_which_ultralytics_would_take_for_another_network(
    client: httpx.AsyncClient, system: FakeSystem, count: int, columns: int
) -> None:
    found = two_animals().picked(np.zeros(count, np.intp))
    system.fails_with = prediction(replace(found, masks=None))
    outputs = outputs_in(await infer(client, pixels(planes(), "images"), path=RAW_PATH))
    assert outputs["output0"].shape == (1, 8, columns)
    assert np.count_nonzero(outputs["output0"][0, 4:]) == count


async def test_its_configuration_is_the_literal_that_ultralytics_reads(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    config = (await client.get(f"/v2/models/{MODEL}-raw/config")).json()
    assert config["input"] == [
        {"name": "images", "data_type": "TYPE_FP32", "dims": [-1, 3, -1, -1], "optional": False}
    ]
    assert config["output"] == [{"name": "output0", "data_type": "TYPE_FP32", "dims": [-1, 8, -1]}]
    literal = ast.literal_eval(config["parameters"]["metadata"]["string_value"])
    assert (literal["task"], literal["names"]) == ("detect", dict(enumerate(LABELS)))
    assert (literal["imgsz"], literal["args"]) == ([640, 640], {"dynamic": True})
    system.records_now[0] = record(MODEL, labels=LABELS, canvas_px=(384, 1280))
    config = (await client.get(f"/v2/models/{MODEL}-raw/config")).json()
    literal = ast.literal_eval(config["parameters"]["metadata"]["string_value"])
    assert (literal["imgsz"], literal["args"]) == ([384, 1280], {"dynamic": False})


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (pixels(planes(value=255), "images"), "must hold 0 to 1; image 0 holds 255 to 255"),
        (pixels(planes(value=float("nan")), "images"), "must hold 0 to 1; image 0 holds nan to nan"),
        (pixels(planes(value=float("inf")), "images"), "must hold 0 to 1"),
        (pixels(planes(33, height=1, width=1), "images"), "must hold 1 to 32 images, got 33"),
        (pixels(planes()[0], "images"), "must have the shape [n, 3, height, width], got [3, 32, 64]"),
        (pixels(np.zeros((1, 3, 8, 8), np.uint8), "images"), "must be of FP32, got UINT8"),
        (pixels(planes(), "image"), "there is no input 'image'; did you mean images?"),
        (files(), "there is no input 'image'"),
    ],
)
async def test_what_is_no_input_of_a_network_is_refused(client: httpx.AsyncClient, sent: tuple, says: str) -> None:
    assert says in error_in(await infer(client, sent, path=RAW_PATH), 422)


async def test_only_a_detector_with_known_classes_has_rows(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("sorter", family="ultralytics-classify", labels=("a", "b")))
    says = error_in(await client.get("/v2/models/sorter-raw/config"), 404)
    assert says == "there is no sorter-raw: sorter answers class scores and no boxes"
    assert "write them as labels" in error_in(await client.get("/v2/models/other-raw"), 404)
    names = [one["name"] for one in (await client.post("/v2/repository/index")).json()]
    assert names == [MODEL, f"{MODEL}-raw", "other", "sorter"]


@pytest.mark.parametrize(("class_id", "label"), [(7, "Crab"), (2, "Crab"), (4, "Squid")])
async def test_a_class_that_the_client_does_not_know_is_no_row(
    client: httpx.AsyncClient, system: FakeSystem, class_id: int, label: str
) -> None:
    box, score = np.array([[0, 0, 8, 4]], np.float32), np.array([0.5], np.float32)
    strange = Detections(box, score, np.array([class_id], np.int32), (label,))
    system.fails_with = prediction(strange)
    assert f"class {class_id} is {label!r}" in error_in(
        await infer(client, pixels(planes(), "images"), path=RAW_PATH), 503
    )
