"""A queue's profile as configuration: presets, mappings, and what is refused in words."""

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from redis_bridge.app import build
from redis_bridge.settings import BridgeSettings
from redis_bridge.wire import presets
from redis_bridge.wire.presets import PRESETS
from redis_bridge.wire.profiles import CVISIONAI, AnswerFormat, QueueProfile
from serve_app.launcher.configuration.builders import load_builder
from serve_app.launcher.configuration.validation import system_problems
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE


def profile(given: Any) -> QueueProfile:
    return BridgeSettings.model_validate({"profiles": {"image_queue": given}}).profile_of("image_queue")


def bridge_problems(**args: Any) -> list[str]:
    """What the launcher says of a configuration whose only application is the bridge."""
    bridge = {"name": "bridge", "import_path": "redis_bridge.app:build", "route_prefix": None, "args": args}
    return system_problems({"applications": [bridge]})


def test_a_queue_without_a_profile_speaks_as_the_cvisionai_server_does_now() -> None:
    settings = BridgeSettings()
    assert settings.profile_of("image_queue_yolov5") == CVISIONAI
    assert CVISIONAI.preset == presets.DEFAULT
    assert settings.result_ttl_of("image_queue_yolov5") == settings.result_ttl_s


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_is_a_valid_profile_and_differs_only_where_it_says(name: str) -> None:
    resolved = profile(name)
    plain = CVISIONAI.model_dump() | {"preset": name}
    changed = {field: value for field, value in resolved.model_dump().items() if value != plain[field]}
    assert changed.keys() == PRESETS[name].keys()
    assert presets.__doc__
    assert f"| `{name}` |" in presets.__doc__


def test_a_mapping_changes_single_fields_of_a_preset() -> None:
    resolved = profile({"preset": "shanesoh", "fixed_shape_px": [299, 299], "preprocessing": "tf"})
    assert resolved.fixed_shape_px == (299, 299)
    assert resolved.preprocessing == "tf"
    assert resolved.answer is AnswerFormat.LABEL_PROBABILITY


def test_each_queue_has_its_own_time_to_keep_answers() -> None:
    settings = BridgeSettings.model_validate({"profiles": {"image_queue": "async"}, "result_ttl_s": 60})
    assert settings.result_ttl_of("image_queue") == 7 * 24 * 3600
    assert settings.result_ttl_of("other_queue") == 60


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("shanesho", "no preset is called 'shanesho'; did you mean shanesoh?"),
        ("zzz", "no preset is called 'zzz'; known: async, coral, cvisionai, cvisionai-2020"),
        ({"preset": 7}, "no preset is called 7"),
        ({"encoding": "mspack"}, "no encoding is called 'mspack'; did you mean msgpack?"),
        ({"encoding": "zzz"}, "no encoding is called 'zzz'; known: json, msgpack"),
        ({"image_field": ""}, "at least 1 character"),
        ({"image_field": "id"}, "image_field must be a field of its own, got 'id'"),
        ({"image_field": "height"}, "image_field must be a field of its own, got 'height'"),
        ({"image_field": "key", "image_key_field": "key"}, "image_field must be a field of its own, got 'key'"),
        ({"image_field": "model", "model_field": "model"}, "image_field must be a field of its own, got 'model'"),
        ({"shape_from": "fixed"}, "fixed_shape_px is missing: shape_from is fixed"),
        ({"fixed_shape_px": [0, 4]}, "fixed_shape_px must be from 1 to 65535, got [0, 4]"),
        ({"fixed_shape_px": [70000, 4]}, "fixed_shape_px must be from 1 to 65535"),
        ({"preprocessing": "caffe", "dtype": "uint8"}, "preprocessing caffe gives float32, but dtype is uint8"),
        ({"models": {"a": "b"}}, "model_field is missing"),
        ({"result_key": "answer"}, "result_key must hold {id} once and be printable, got 'answer'"),
        ({"result_key": "{id}{id}"}, "result_key must hold {id} once"),
        ({"result_key": "{id}\n"}, "result_key must hold {id} once and be printable"),
        ({"result_key": "fathomnet:{id}"}, "result_key must not begin like a key of this system"),
        ({"answer": "boxes"}, "Input should be 'detections'"),
        ({"channels": 4}, "Input should be 1 or 3"),
        ({"colour": "rgb"}, "Extra inputs are not permitted"),
    ],
)
def test_a_profile_that_cannot_be_meant_is_refused_in_words(given: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        profile(given)
    assert words in str(refusal.value)


def test_the_launcher_names_the_path_of_a_wrong_profile_and_the_nearest_right_one() -> None:
    assert bridge_problems(profiles={"image_queue": "uint8", "other_queue": {"preset": "uint8", "channels": 1}}) == []
    assert bridge_problems(profiles={"image_queue": {"chanels": 1}}) == [
        "applications[0].args.profiles.image_queue.chanels: unknown key; did you mean channels?"
    ]
    assert bridge_problems(profiles={"image_queue": "pyimagesarch"}) == [
        "applications[0].args.profiles.image_queue: no preset is called 'pyimagesarch'; did you mean pyimagesearch?"
    ]
    assert bridge_problems(profiles={"image_queue": {"encoding": "msgpak"}}) == [
        "applications[0].args.profiles.image_queue.encoding: no encoding is called 'msgpak'; did you mean msgpack?"
    ]
    [problem] = bridge_problems(profiles={"image_queue": {"dtype": "int8"}})
    assert problem.startswith("applications[0].args.profiles.image_queue.dtype: Input should be 'auto', 'uint8' or")


def test_the_builder_of_the_bridge_takes_these_settings() -> None:
    assert load_builder(f"{build.__module__}:{build.__name__}").args_model is BridgeSettings


async def test_a_profile_of_a_queue_that_no_model_has_is_told_at_start(
    start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    settings = BridgeSettings.model_validate(
        {**FAST.model_dump(), "profiles": {QUEUE: "uint8", "image_que": "uint8"}}
    )
    with caplog.at_level(logging.WARNING, "ray.serve"):
        async with start_bridge(settings):
            pass
    told = [record.getMessage() for record in caplog.records if "profiles" in record.getMessage()]
    assert told == ["there are profiles for queues that no model has now: image_que"]
