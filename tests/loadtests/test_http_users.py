"""The HTTP users against a real server that notes what it was asked and answers as told."""

from loadtests.frames import sample_frames
from tests.loadtests.conftest import Door
from tests.loadtests.load_run import run_users


def test_frames_are_posted_as_the_legacy_scripts_do(door: Door) -> None:
    run = run_users("http_users.py", door.url, model="image_queue_yolov5", pause_s="0.01")
    assert run.exit_code == 0, run.log
    assert run.asked >= 2
    assert run.failed == 0
    assert door.paths == {"/predictor/"}
    samples = [frame.png for frame in sample_frames()]
    for body in door.bodies:
        assert body.index(b'name="file"; filename="file"') < body.index(b'name="model_type"')
        assert b"\r\n\r\nimage_queue_yolov5\r\n" in body
        assert any(png in body for png in samples)


def test_a_wrong_answer_is_a_failure_and_fails_the_run(door: Door) -> None:
    door.status, door.answer = 429, {"success": False, "predictions": None, "detail": "64 images wait"}
    run = run_users("http_users.py", door.url, pause_s="0.1")
    assert run.exit_code == 1, run.log
    assert run.failed == run.asked > 0
    assert "status 429: 64 images wait" in run.log


def test_failures_can_be_allowed_and_slowness_be_forbidden(door: Door) -> None:
    door.status = 500
    run = run_users("http_users.py", door.url, pause_s="0.1", max_failed_ratio="1", max_p95_s="0.000001")
    assert run.exit_code == 1
    assert run.failed == run.asked > 0
    assert "the limit is 1e-06 s" in run.log
    assert "failed, the limit is" not in run.log
