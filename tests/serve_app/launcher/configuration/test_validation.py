"""A configuration is refused with the path of each mistake and the nearest right name, all mistakes at once."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.launcher.configuration.validation import (
    block_problems,
    check_file,
    load_system,
    models_of,
    system_problems,
)
from serve_app.launcher.console import LaunchError
from tests.serve_app.launcher.blocks import DEPLOYMENT, model_block, put, system

CONFIGS = Path(__file__).parents[4] / "configs"


def test_a_right_system_has_no_problems() -> None:
    assert system_problems(system()) == []


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("**/*.yaml")), ids=lambda path: path.name)
def test_every_shipped_file_is_valid(path: Path) -> None:
    check_file(path)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("aplications", "aplications: unknown key; did you mean applications?"),
        ("http_options.prot", "http_options.prot: unknown key; did you mean port?"),
        ("applications.0.route_prefx", "applications[0].route_prefx: unknown key; did you mean route_prefix?"),
        ("applications.0.args.familly", "applications[0].args.familly: unknown key; did you mean family?"),
        (
            f"{DEPLOYMENT}.max_ongoing_request",
            "applications[0].deployments[0].max_ongoing_request: unknown key; did you mean max_ongoing_requests?",
        ),
        (
            f"{DEPLOYMENT}.autoscaling_config.min_replica",
            "applications[0].deployments[0].autoscaling_config.min_replica: unknown key; did you mean min_replicas?",
        ),
        (
            f"{DEPLOYMENT}.ray_actor_options.num_gpu",
            "applications[0].deployments[0].ray_actor_options.num_gpu: unknown key; did you mean num_gpus?",
        ),
        (
            f"{DEPLOYMENT}.user_config.score_treshold",
            "applications[0].deployments[0].user_config.score_treshold: unknown key; did you mean score_threshold?",
        ),
    ],
)
def test_an_unknown_key_is_named_with_its_path_and_the_nearest_right_one(path: str, problem: str) -> None:
    assert system_problems(put(system(), path, 1)) == [problem]


@pytest.mark.parametrize("section", ["logging_config", "grpc_options"])
def test_unknown_keys_of_optional_sections_are_found_too(section: str) -> None:
    problems = system_problems(put(system(), section, {"zzz": 1}))
    assert len(problems) == 1
    assert problems[0].startswith(f"{section}.zzz: unknown key; known: ")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("http_options.port", "many", "http_options.port: Input should be a valid integer"),
        (f"{DEPLOYMENT}.max_ongoing_requests", 0, "applications[0].deployments[0].max_ongoing_requests: "),
        (
            f"{DEPLOYMENT}.ray_actor_options.num_cpus",
            -1,
            "applications[0].deployments[0].ray_actor_options.num_cpus: ",
        ),
        (
            f"{DEPLOYMENT}.autoscaling_config.max_replicas",
            "two",
            "applications[0].deployments[0].autoscaling_config.max_replicas: ",
        ),
        (
            f"{DEPLOYMENT}.user_config.score_threshold",
            1.5,
            "applications[0].deployments[0].user_config.score_threshold: Input should be less than or equal to 1",
        ),
        ("applications.0.args.largest_batch", 0, "applications[0].args.largest_batch: "),
        ("applications", {"a": 1}, "applications: Input should be a valid list"),
    ],
)
def test_a_wrong_value_is_named_with_path_limit_and_value(path: str, value: Any, problem: str) -> None:
    problems = system_problems(put(system(), path, value))
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert isinstance(value, dict) or repr(value) in problems[0]


def test_what_is_missing_is_named() -> None:
    document = system()
    del document["applications"][0]["args"]["family"]
    assert system_problems(document) == ["applications[0].args.family: is missing"]


def test_minimum_above_maximum_is_refused() -> None:
    (problem,) = system_problems(put(system(), f"{DEPLOYMENT}.autoscaling_config.min_replicas", 2))
    assert problem.startswith("applications[0].deployments[0].autoscaling_config: ")


def test_all_problems_are_told_at_once() -> None:
    document = put(put(put(system(), "http_options.prot", 1), "zzz", 1), "applications.0.args.largest_batch", "x")
    assert len(system_problems(document)) == 3


def test_a_model_that_scales_must_count_images() -> None:
    document = put(system(), f"{DEPLOYMENT}.autoscaling_config.max_replicas", 4)
    (problem,) = system_problems(document)
    assert problem.startswith("applications[0].deployments[0].autoscaling_config.policy: is missing")
    policy = {"policy_function": "deployments.autoscaling:images_in_work"}
    assert system_problems(put(document, f"{DEPLOYMENT}.autoscaling_config.policy", policy)) == []


def test_a_model_must_have_an_autoscaling_config() -> None:
    document = system()
    del document["applications"][0]["deployments"][0]["autoscaling_config"]
    (problem,) = system_problems(document)
    assert problem.startswith("applications[0].deployments[0].autoscaling_config: is missing")


def test_a_model_must_have_its_deployment() -> None:
    (problem,) = system_problems(put(system(), "applications.0.deployments", []))
    assert problem.startswith("applications[0].deployments: needs an entry named Model")


def test_a_deployment_of_another_name_is_refused_with_the_right_one() -> None:
    (problem,) = system_problems(put(system(), f"{DEPLOYMENT}.name", "Modell"))
    assert problem == "applications[0].deployments[0].name: unknown deployment Modell; did you mean Model?"


def test_names_are_unique() -> None:
    (problem,) = system_problems(system(model_block(), model_block()))
    assert problem.startswith("applications: ")
    assert "fixed" in problem


def test_a_queue_belongs_to_one_model() -> None:
    document = system(model_block("a", queues=["q"]), model_block("b", queues=["p", "q"]))
    assert system_problems(document) == ["applications[1].args.queues[1]: q already belongs to model a"]


def test_a_queue_may_not_bear_the_name_of_another_model() -> None:
    document = system(model_block("a", queues=["b"]), model_block("b"))
    assert system_problems(document) == ["applications[1].name: b is already a queue of model a"]


def test_a_model_without_room_for_two_batches_is_refused() -> None:
    document = put(system(), f"{DEPLOYMENT}.max_ongoing_requests", 15)
    (problem,) = system_problems(document)
    assert "max_ongoing_requests: must be at least 2 x the batch limit, 16" in problem
    assert system_problems(put(document, f"{DEPLOYMENT}.user_config.batch_limit", 7)) == []


def test_where_yaml_is_silent_the_limit_of_the_code_counts() -> None:
    document = put(system(), "applications.0.args.largest_batch", 256)
    del document["applications"][0]["deployments"][0]["max_ongoing_requests"]
    (problem,) = system_problems(document)
    assert "must be at least 2 x the batch limit, 512" in problem


def test_a_batch_limit_above_the_largest_batch_is_refused() -> None:
    (problem,) = system_problems(put(system(), f"{DEPLOYMENT}.user_config.batch_limit", 16))
    assert problem == (
        "applications[0].deployments[0].user_config.batch_limit: must be at most args.largest_batch, 8 (got 16)"
    )


def test_a_model_with_a_route_or_an_unfit_name_is_refused() -> None:
    problems = system_problems(put(put(system(), "applications.0.route_prefix", "/x"), "applications.0.name", "a b"))
    assert [problem.split(":")[0] for problem in problems] == ["applications[0].name", "applications[0].route_prefix"]


@pytest.mark.parametrize(
    ("import_path", "reason"),
    [
        ("deployments.ap:build", "cannot import deployments.ap: ModuleNotFoundError"),
        ("deployments.app:biuld", "deployments.app has no biuld"),
    ],
)
def test_a_builder_that_is_not_there_is_named(import_path: str, reason: str) -> None:
    (problem,) = system_problems(put(system(), "applications.0.import_path", import_path))
    assert problem.startswith(f"applications[0].import_path: {reason}")


def test_validation_leaves_the_document_as_it_was() -> None:
    document = system()
    before = copy.deepcopy(document)
    system_problems(document)
    assert document == before


def test_a_block_has_paths_of_its_own() -> None:
    block = model_block(zzz=1)
    (problem,) = block_problems(block)
    assert problem.startswith("args.zzz: unknown key")


def test_only_a_model_can_be_a_block() -> None:
    (problem,) = block_problems(model_block() | {"import_path": "serve_app.app:build"})
    assert problem.startswith("import_path: ")


def test_anchors_under_x_keys_work_and_are_not_rendered(tmp_path: Path) -> None:
    file = tmp_path / "system.yaml"
    text = yaml.safe_dump(system())
    file.write_text(f"x-shared: &shared {{http_options: {{port: 1}}}}\n<<: *shared\n{text}")
    document = load_system(file)
    assert document == system()
    assert [model["name"] for model in models_of(document)] == ["fixed"]


def test_a_duplicate_key_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "system.yaml"
    file.write_text("applications:\n  - name: a\n    args: {}\n    name: b\n")
    with pytest.raises(LaunchError) as refused:
        check_file(file)
    assert refused.value.problems == (f"{file} line 4: duplicate key 'name'",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\n", "line 2: "),
        ("", "is empty"),
        ("- 1\n", "must be the mapping of one application"),
        ("applications: 3\n", "applications: Input should be a valid list"),
    ],
)
def test_what_is_no_configuration_is_told_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "system.yaml"
    file.write_text(text)
    with pytest.raises(LaunchError) as refused:
        check_file(file)
    (line,) = refused.value.problems
    assert line.startswith(f"{file}: {problem}")
    assert "\n" not in line


def test_a_missing_file_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="cannot be read"):
        load_system(tmp_path / "none.yaml")
