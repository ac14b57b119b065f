"""The smaller parts of the bench: cases, options, pictures, correctness, calibration, counters, our configuration."""

import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from benchmarks.cases import BAR_CASES, CASES, chosen_cases
from benchmarks.limit.calibration import find_depth
from benchmarks.limit.limit import BEST, Crew, Setup, best_setups, every_setup
from benchmarks.limit.pipeline import Pipeline
from benchmarks.load.batches import Batches, mean_batch, parse_batches, settled_batches
from benchmarks.load.correctness import mistakes
from benchmarks.machine.usage import role_of
from benchmarks.models import MODELS, bench_model
from benchmarks.options import EVERY_SYSTEM, parse_options, timing_of
from benchmarks.pictures import LARGE_BYTES, picture
from benchmarks.report.estimate import estimate_s
from benchmarks.run import Plan
from benchmarks.systems.ours import bench_config
from serve_app.launcher.configuration.validation import system_problems

ROOT = Path(__file__).parents[2]
ROW = {"category_id": "star", "scores": [0.9], "bbox": [10.0, 10.0, 50.0, 50.0]}
FAINT = {"category_id": "star", "scores": [0.26], "bbox": [60.0, 10.0, 80.0, 50.0]}


def test_case_names_are_unique_and_told() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {"m0-64px-c32", "m1-720p-o80", "m1-720p-o150", "m50-720p-o80", "demo-720p-c1"} <= set(names)


def test_an_open_loop_brings_the_case_that_measures_capacity() -> None:
    cases = chosen_cases(["m1-720p-o80"], MODELS, EVERY_SYSTEM)
    assert [case.name for case in cases] == ["m1-720p-c32", "m1-720p-o80"]


def test_cases_are_narrowed_by_model_and_system() -> None:
    cases = chosen_cases(["*-c1"], ["m1"], ["ours", "legacy"])
    assert [(case.name, case.systems) for case in cases] == [("m1-720p-c1", ("ours", "legacy"))]
    with pytest.raises(ValueError, match="no case is left for m9"):
        chosen_cases(["m9*"], MODELS, EVERY_SYSTEM)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--systems", "ours,theirs"], "unknown: theirs"),
        (["--rounds", "0"], "must be above 0"),
        (["--seconds", "soon"], "must be a number"),
        (["--env", "VALUE"], "must be KEY=VALUE"),
        (["--systems", "ours-fast"], "needs --fast-endpoint"),
    ],
)
def test_wrong_options_are_told(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(arguments)
    assert complaint in capsys.readouterr().err


def test_options_are_taken_over() -> None:
    options = parse_options(
        ["--quick", "--seconds", "3", "--env", "A=b=c", "--systems", "legacy,ours", "--extras", ""]
    )
    assert (timing_of(options).rounds, timing_of(options).seconds) == (1, 3.0)
    assert options.env == [("A", "b=c")]
    assert options.systems == ["ours", "legacy"]
    assert options.extras == []
    assert timing_of(parse_options([])).rounds == 5


def test_the_estimate_grows_with_rounds_and_systems() -> None:
    timing = timing_of(parse_options([]))
    cases = chosen_cases(["*"], MODELS, EVERY_SYSTEM)
    little = estimate_s(Plan(chosen_cases(["m0*"], MODELS, ["ours"]), ["ours"], [], False, timing, {}))
    much = estimate_s(Plan(cases, EVERY_SYSTEM, ["floor", "ours"], True, timing, {}))
    assert 60 < little < much < 3 * 3600


@pytest.mark.parametrize(
    ("name", "kind", "size_px"),
    [("64px", "PNG", (64, 64)), ("720p", "JPEG", (720, 1280)), ("4mb", "PNG", (1080, 1920))],
)
def test_pictures_are_what_they_are_called(name: str, kind: str, size_px: tuple[int, int]) -> None:
    drawn = picture(name)
    with PIL.Image.open(io.BytesIO(drawn.upload.content)) as image:
        assert image.format == kind
        assert (image.height, image.width) == size_px == drawn.size_px
    assert drawn.pixels().shape == (*size_px, 3)
    if name == "4mb":
        assert len(drawn.upload.content) == pytest.approx(LARGE_BYTES, rel=0.1)


def test_right_answers_have_no_mistakes() -> None:
    moved = {**ROW, "bbox": [10.5, 10.0, 50.0, 49.5], "scores": [0.895]}
    assert mistakes([ROW, FAINT], [moved]) == []
    assert mistakes([ROW], [FAINT, moved]) == []


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (None, "no list"),
        ([], "is missing"),
        ([{**ROW, "category_id": "crab"}], "should not be there"),
        ([{**ROW, "bbox": [13.0, 10.0, 50.0, 50.0]}], "is missing"),
        ([{**ROW, "scores": [0.8]}], "is missing"),
        ([{"category_id": "star"}], "lacks"),
        ([ROW, {**ROW, "bbox": [0.0, 0.0, 5.0, 5.0]}], "should not be there"),
    ],
)
def test_wrong_answers_are_found(given: Any, complaint: str) -> None:
    assert complaint in "; ".join(mistakes([ROW], given))


def test_the_depth_is_found_where_time_is_proportional() -> None:
    assert find_depth(lambda depth: 2.0 + 0.75 * depth, 14.0) == 16
    with pytest.raises(ValueError, match="is the machine busy"):
        find_depth(lambda depth: 20.0 - depth, 14.0)


def test_the_depth_is_corrected_where_time_is_not_quite_proportional() -> None:
    found = find_depth(lambda depth: 2.0 + 0.5 * depth + 0.01 * depth**2, 30.0)
    assert 2.0 + 0.5 * found + 0.01 * found**2 == pytest.approx(30.0, rel=0.1)


def test_the_limit_keeps_its_fastest_setups_and_the_single_image() -> None:
    setups = every_setup([Path("a.bin"), Path("b.bin")])
    speed = {setup: float(setup.crew.processes * 10 + setup.batch) for setup in setups}
    kept = best_setups(setups, [{"images_per_s": speed[setup]} for setup in setups])
    for name in ("a", "b"):
        mine = [setup for setup in kept if setup.file.stem == name]
        assert max(speed.values()) in [speed[setup] for setup in mine]
        assert Setup(Crew(1, 1), 1, Path(f"{name}.bin")) in mine
        assert len(mine) <= BEST + 1 < len(setups) / 2


def test_a_run_for_the_bars_measures_all_that_they_need() -> None:
    options = parse_options(["--bars"])
    names = {case.name for case in chosen_cases(options.cases, options.models, options.systems)}
    assert names == {*BAR_CASES, "m50-720p-c32"}
    assert "legacy" not in options.systems


METRICS = """# TYPE ray_fathom_batches_total counter
ray_fathom_batches_total{ReplicaId="a",application="m1",model="m1"} 10.0
ray_fathom_batches_total{ReplicaId="b",application="m1",model="m1"} 5.0
ray_fathom_batched_images_total{ReplicaId="a",application="m1",model="m1"} 42
ray_fathom_batched_images_total{ReplicaId="b",application="m1",model="m1"} 1e1
ray_fathom_batches_total{model="other"} 99
"""


def test_counters_are_summed_over_replicas() -> None:
    assert parse_batches(METRICS, "m1") == Batches(15.0, 52.0)
    assert parse_batches("", "m1") == Batches(0.0, 0.0)


def test_the_mean_batch_is_taken_between_two_looks() -> None:
    assert mean_batch(Batches(10, 20), Batches(20, 60)) == 4.0
    assert mean_batch(Batches(10, 20), Batches(10, 20)) is None
    assert mean_batch(Batches(10, 20), None) is None


def test_late_counters_are_waited_for_but_not_for_ever() -> None:
    looks = iter([Batches(0, 0), Batches(1, 4), Batches(2, 8)])
    assert settled_batches(lambda: next(looks), 8, poll_s=0.0) == Batches(2, 8)
    assert settled_batches(lambda: Batches(1, 4), 8, patience_s=0.01, poll_s=0.001) is None


@pytest.mark.parametrize("name", MODELS)
def test_our_configuration_is_the_shipped_one_with_another_model(name: str) -> None:
    document = bench_config(ROOT / "configs" / "app.yaml", bench_model(name, {"m1": 8, "m50": 9}))
    assert system_problems(document) == []
    assert [app["name"] for app in document["applications"]] == [name, "api", "bridge", "valkey"]
    assert document["applications"][0]["args"]["queues"] == [f"image_queue_{name}"]


def test_a_configuration_without_models_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("applications: []\n", "utf-8")
    with pytest.raises(ValueError, match="no application with import_path"):
        bench_config(path, bench_model("m0", {}))


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("ray::ServeReplica:api:Door", "door"),
        ("ray::ServeReplica:m1:Model", "model"),
        ("ray::ServeReplica:default:Detector", "model"),
        ("ray::ServeReplica:bridge:Bridge", "bridge"),
        ("ray::ServeController", "controller"),
        ("ray::ProxyActor", "proxy"),
        ("python -m uvicorn app --workers 2", "server"),
        ("valkey-server 127.0.0.1:6379", "valkey"),
        ("sleep 5", "other"),
    ],
)
def test_processes_are_known_by_their_role(command: str, role: str) -> None:
    assert role_of(command.split()) == role


def test_the_pipeline_answers_as_legacy_clients_read_it() -> None:
    pipeline = Pipeline(bench_model("m0", {}).definition)
    small = picture("64px")
    ready = pipeline.prepare(small.upload.content)
    first, second = pipeline.answer([ready, pipeline.prepare_pixels(small.pixels())])
    assert first == second
    assert mistakes(first, second) == []
    assert first[0]["bbox"] == pytest.approx([6.4, 12.8, 32.0, 38.4])
