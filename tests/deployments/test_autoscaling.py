"""Replicas are counted by images: what Ray Serve itself hands to the policy goes in."""

import pytest
from ray.serve._private.common import DeploymentID
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments.autoscaling import IMAGES_IN_WORK, images_in_work


def context(images: dict[str, float], calls: float, queued: float) -> AutoscalingContext:
    return AutoscalingContext(
        deployment_id=DeploymentID("Model", "m"),
        deployment_name="Model",
        app_name="m",
        current_num_replicas=len(images),
        target_num_replicas=len(images),
        running_replicas=[],
        total_num_requests=calls,
        total_queued_requests=queued,
        aggregated_metrics={IMAGES_IN_WORK: images} if images else None,
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
