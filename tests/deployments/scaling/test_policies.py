"""Replicas are counted by images: what Ray Serve itself hands to the policy goes in."""

import numpy as np
import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

from deployments.autoscaling import images_in_work
from deployments.request import Image, Request
from deployments.scaling.reports import IMAGES_IN_WORK, IMAGES_WAITING_ELSEWHERE, SHARE_BUSY
from deployments.serving.backlog import HEARD_FOR_S, Backlog


def context(
    images: dict[str, float],
    calls: float,
    queued: float,
    elsewhere: dict[str, float] | None = None,
    busy: dict[str, float] | None = None,
) -> AutoscalingContext:
    reported = {IMAGES_IN_WORK: images, IMAGES_WAITING_ELSEWHERE: elsewhere or {}, SHARE_BUSY: busy or {}}
    return AutoscalingContext(
        deployment_id=DeploymentID("Model", "m"),
        deployment_name="Model",
        app_name="m",
        current_num_replicas=len(images),
        target_num_replicas=len(images),
        running_replicas=[],
        total_num_requests=calls,
        total_queued_requests=queued,
        aggregated_metrics=reported if images else None,
        raw_metrics=None,
        capacity_adjusted_min_replicas=0,
        capacity_adjusted_max_replicas=8,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=None,
        config=AutoscalingConfig(min_replicas=0, max_replicas=8, target_ongoing_requests=16),
    )


@pytest.mark.parametrize(
    ("images", "calls", "queued", "replicas"),
    [
        ({"a": 64.0}, 4, 0, 4),  # four calls of sixteen images want four replicas, not one
        ({"a": 16.0, "b": 16.0}, 8, 0, 2),
        ({"a": 8.0}, 2, 8, 1),
        ({}, 16, 0, 1),  # nothing reported yet: calls are all that is known
        ({"a": 0.0}, 0, 0, 0),
    ],
)
def test_replicas_follow_images(images: dict[str, float], calls: float, queued: float, replicas: float) -> None:
    wanted, state = images_in_work(context(images, calls, queued))
    assert (wanted, state) == (replicas, {})


@pytest.mark.parametrize(
    ("elsewhere", "replicas"),
    [
        ({"a": 64.0}, 5),  # 16 in work and 64 in the queue
        ({"a": 64.0, "b": 32.0}, 5),  # both heard of the same queue
        ({"a": 0.0}, 1),
        ({}, 1),  # a replica of an older version reports nothing of the kind
    ],
)
def test_what_waits_in_queues_counts_like_what_is_in_work(elsewhere: dict[str, float], replicas: float) -> None:
    wanted, state = images_in_work(context({"a": 16.0}, 1, 0, elsewhere))
    assert (wanted, state) == (replicas, {})


@pytest.mark.parametrize(
    ("busy", "replicas"),
    [
        ((0.9, 0.8), 2),  # each keeps up, and one alone would not
        ((0.5, 0.3), 2),  # one alone would be busy for 80 % of the time
        ((0.4, 0.3), 1),
        ((1.0, 1.0), 2),  # never a reason for more than there are
        ((0.0, 0.0), 0.125),
    ],
)
def test_no_replica_is_given_up_while_the_others_would_be_too_busy(
    busy: tuple[float, float], replicas: float
) -> None:
    given = context({"a": 1.0, "b": 1.0}, 2, 0, busy=dict(zip("ab", busy, strict=True)))
    assert images_in_work(given)[0] == replicas


def request(waiting_behind: int | None) -> Request:
    return Request(Image.from_pixels(np.zeros((1, 1, 3), np.uint8)), waiting_behind=waiting_behind)


def test_a_backlog_is_what_was_heard_last() -> None:
    now_s = 100.0
    backlog = Backlog(lambda: now_s)
    assert backlog.images == 0
    backlog.hear([request(7), request(9), request(None)])
    assert backlog.images == 9
    backlog.hear([request(None)])  # of a door without a queue
    assert backlog.images == 9
    backlog.hear([request(0)])
    assert backlog.images == 0


def test_a_backlog_of_which_nobody_speaks_any_more_is_forgotten() -> None:
    now_s = 100.0
    backlog = Backlog(lambda: now_s)
    backlog.hear([request(9)])
    now_s += HEARD_FOR_S - 0.1
    assert backlog.images == 9
    now_s += 0.1
    assert backlog.images == 0


@pytest.mark.parametrize("name", ["images_in_work", "images_where_there_is_room"])
def test_all_models_share_what_their_policies_know_though_serve_pickles_each(name: str) -> None:
    policies = [AutoscalingPolicy(policy_function=f"deployments.autoscaling:{name}") for _ in range(2)]
    first, second = (policy.get_policy().__globals__["policies"] for policy in policies)
    assert first is second
    assert len(policies[0].get_serialized_policy_def()) < 4096, "Serve pickles it at each look at a configuration"
