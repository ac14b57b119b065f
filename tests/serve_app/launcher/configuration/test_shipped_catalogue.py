"""The FathomNet zoo as shipped: every block is valid, can be built, and is listed cold; `add` takes its names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.app import build
from deployments.client.serve_report import Surroundings, records_from
from deployments.definition import MODEL_IMPORT_PATH, ModelDefinition
from deployments.families import FAMILIES
from deployments.weights.catalogue import CATALOGUE_FILE, read_catalogue
from deployments.weights.settings import WeightsSettings
from serve_app.faces.system.model_listing import describe
from serve_app.launcher import commands
from serve_app.launcher.configuration.model_rules import IMAGES_POLICY, model_problems
from serve_app.launcher.configuration.validation import block_problems, load_system, models_of
from serve_app.launcher.console import LaunchError
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving

ROOT = Path(__file__).parents[4]
ZOO = {block["name"]: block for block in models_of(load_system(CATALOGUE_FILE))}
SHIPPED = {block["name"]: block for block in models_of(load_system(ROOT / "configs" / "app.yaml"))}
DEMO = "benthic-demo"


def cold(block: dict[str, Any]) -> dict[str, Any]:
    """What the controller reports of a model that has never been awake."""
    deployment = {"target_num_replicas": 0, "message": "", "replicas": []}
    return {"status": "RUNNING", "deployed_app_config": block, "deployments": {"Model": deployment}}


@pytest.mark.parametrize("name", ZOO)
def test_every_model_validates_builds_and_is_listed_without_weights_gpu_or_network(name: str, tmp_path: Path) -> None:
    block = ZOO[name]
    assert block_problems(block) == []
    definition = ModelDefinition.model_validate(block["args"])
    assert build(definition) is not None
    around = Surroundings(WeightsSettings(dir=tmp_path, offline=True), gpus=0)
    [record] = records_from({name: cold(block)}, around)
    listed = describe(record)
    assert (listed["name"], listed["state"], listed["replicas"]) == (name, "asleep", 0)
    assert listed["reason"].startswith("needs 0.25 GPU")
    assert listed["weights"] == {"sha256": None, "size_bytes": None, "revision": None, **block["args"]["weights"]}
    assert listed["licence"]
    assert listed["description"]
    [record] = records_from({name: cold(block)}, Surroundings(WeightsSettings(dir=tmp_path, offline=True), gpus=1))
    assert "are not there, and FATHOM_WEIGHTS_OFFLINE is set" in describe(record)["reason"]
    assert records_from({name: cold(block)}, Surroundings(WeightsSettings(dir=tmp_path), gpus=1))[0].can_answer


def test_labels_are_declared_where_their_order_is_known_and_nowhere_else() -> None:
    declared = {}
    for name, block in ZOO.items():
        labels = ModelDefinition.model_validate(block["args"]).labels
        if labels:
            declared[name] = len(labels)
    assert declared["mbari-mb-benthic-33k"] == 691
    assert declared["mbari-benthic-supercategory"] == 20
    assert declared["mbari-midwater"] == 17
    assert declared["megalodon-2024"] == 1
    # Without declared labels something is missing, and the catalogue must say so.
    incomplete = yaml.safe_load(CATALOGUE_FILE.read_text(encoding="utf-8"))["x-incomplete"]
    assert set(ZOO) - set(declared) <= {name for name, missing in incomplete.items() if "class name" in str(missing)}


def test_the_models_that_cannot_be_hosted_are_listed_with_what_is_missing() -> None:
    absent = {model.name: model.missing for model in read_catalogue([CATALOGUE_FILE]) if model.definition is None}
    assert sorted(absent) == ["fathomnet-2025-5th-place", "ocean-fish-and-squid", "viame-fish-seg"]
    assert all(missing[0].startswith("not hosted: ") for missing in absent.values())


def test_every_family_of_checkpoints_is_in_the_zoo() -> None:
    assert {block["args"]["family"] for block in ZOO.values()} >= {
        "yolov5",
        "ultralytics",
        "detectron2-retinanet",
        "keras-retinanet",
        "huggingface",
        "rf-detr",
    }


def test_the_queue_of_the_legacy_yolov5_worker_is_taken_over_in_the_zoo() -> None:
    assert "image_queue_yolov5" in ZOO["mbari-mb-benthic-33k"]["args"]["queues"]
    assert "image_queue_yolov5" in SHIPPED[DEMO]["args"]["queues"]


def test_the_models_of_the_shipped_system_are_those_of_the_zoo_and_sleep_without_a_gpu() -> None:
    shared = {name: block for name, block in SHIPPED.items() if name != DEMO}
    assert len({block["args"]["family"] for block in shared.values()}) == len(shared)
    for name, block in shared.items():
        [mine], [theirs] = block["deployments"], ZOO[name]["deployments"]
        assert block["args"] | {"queues": None} == ZOO[name]["args"] | {"queues": None}
        assert mine["user_config"] == theirs["user_config"]
        assert mine["autoscaling_config"]["min_replicas"] == 0
        assert mine["ray_actor_options"]["num_gpus"] == 0


@pytest.mark.parametrize("name", [*ZOO, *(name for name in SHIPPED if name != DEMO)])
def test_a_model_that_fails_to_wake_can_sleep_again(name: str) -> None:
    # Serve's own policy keeps the target of a deployment without replicas for ever.
    for blocks in (ZOO, SHIPPED):
        if name in blocks:
            [deployment] = blocks[name]["deployments"]
            assert deployment["autoscaling_config"]["policy"] == {"policy_function": IMAGES_POLICY}


def test_every_model_has_a_legacy_queue_name_of_its_own() -> None:
    queues = [queue for block in ZOO.values() for queue in block["args"]["queues"]]
    assert len(set(queues)) == len(queues) == len(ZOO)


def test_the_notice_names_every_licence_of_the_zoo() -> None:
    notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())
    for name, block in ZOO.items():
        assert name in notice
        assert block["args"]["licence"].split(" ")[0] in notice


def problems_with(**args: Any) -> list[str]:
    block = {**ZOO["megalodon-2024"], "args": {"family": "ultralytics", **args}}
    return list(model_problems({"applications": [block]}, lambda path: pytest.fail(f"{path} is not needed")))


def test_a_family_that_is_not_known_is_named_with_the_nearest() -> None:
    assert problems_with(family="ultralitics") == [
        "applications[0].args.family: unknown family 'ultralitics'; did you mean ultralytics?"
    ]


def test_weights_from_a_place_that_is_not_allowed_are_named_with_their_path() -> None:
    [problem] = problems_with(weights="http://example.org/best.pt")
    assert problem.startswith("applications[0].args.weights: uri must begin with one of hf:, doi:, https:, file:")


def test_a_repository_is_no_file_and_a_file_no_repository() -> None:
    told = "applications[0].args.weights: names"
    assert problems_with(family="ultralytics", weights="hf://a/b") == [
        f"{told} a whole repository, but family ultralytics takes the URI of one file"
    ]
    assert problems_with(family="huggingface", weights="hf://a/b/model.safetensors") == [
        f"{told} one file, but family huggingface takes hf://OWNER/REPO"
    ]
    assert problems_with(family="huggingface", weights="hf://a/b") == []


def test_a_slip_of_the_pen_within_the_weights_is_named() -> None:
    block = {
        **ZOO["megalodon-2024"],
        "args": {"family": "ultralytics", "weights": {"uri": "hf://a/b/c.pt", "sha": ""}},
    }
    [problem] = block_problems(block)
    assert problem.startswith("args.weights.sha: unknown key")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"labels_file": "configs/labels/nothing.names"}, "cannot be read"),
        ({"labels_file": "configs/labels/mbari-mb-benthic-33k.names", "labels": ["Crab"]}, "different classes"),
        ({"weights": {"uri": "hf://a/b/c.pt", "sha256": "abc"}}, "should match pattern"),
        ({"weights": {"uri": "hf://a/b/c.pt", "size_bytes": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_starts(args: dict[str, Any], reason: str) -> None:
    block = {**ZOO["megalodon-2024"], "args": {"family": "ultralytics", **args}}
    assert reason in "\n".join(block_problems(block))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"FATHOM_DATA_DIR": str(tmp_path), "RAY_AUTH_MODE": "disabled", "FATHOM_START_PATIENCE_S": "5"}


def test_add_takes_a_name_of_the_zoo(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with serving(FakeDashboard()) as dashboard:
        dashboard.run(ZOO["megalodon-2023"])
        dashboard.open_door()
        port = dashboard.url.rpartition(":")[2]
        assert commands.add(Path("trash-detector"), environ | {"FATHOM_DASHBOARD_PORT": port}) == 0
        [submitted] = dashboard.submitted
        assert submitted["applications"][-1] == ZOO["trash-detector"]


def test_add_leaves_a_queue_of_the_zoo_with_its_owner(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with serving(FakeDashboard()) as dashboard:
        dashboard.run(SHIPPED[DEMO])
        dashboard.open_door()
        port = dashboard.url.rpartition(":")[2]
        assert commands.add(Path("mbari-mb-benthic-33k"), environ | {"FATHOM_DASHBOARD_PORT": port}) == 0
        assert dashboard.submitted[0]["applications"][-1]["args"]["queues"] == []
    assert "image_queue_yolov5 stays with benthic-demo" in capsys.readouterr().out


def test_a_name_that_is_neither_a_file_nor_in_the_zoo_is_refused_with_the_nearest(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(LaunchError, match=re.escape("trash-detektor is neither a file nor in configs/")):
        commands.add(Path("trash-detektor"), environ)
    with pytest.raises(LaunchError, match="cannot be read"):
        commands.add(Path("nothing.yaml"), environ)


def test_only_models_of_this_kind_are_in_the_zoo() -> None:
    assert {block["import_path"] for block in ZOO.values()} == {MODEL_IMPORT_PATH}
    assert {block["args"]["family"] for block in ZOO.values()} <= set(FAMILIES)
