"""Asks Ray and Ray Serve's controller about the cluster, from inside that controller."""

import asyncio

import ray

from deployments.scaling.view import View, view_from

TIMEOUT_S = 10.0


async def look_at_the_cluster() -> View:
    """Raises RuntimeError outside an actor, TimeoutError when the controller has no time for itself."""
    controller = ray.get_runtime_context().current_actor
    async with asyncio.timeout(TIMEOUT_S):
        details = await controller.get_serve_instance_details.remote()
        nodes = await asyncio.to_thread(ray.nodes)
    return view_from(details["applications"], nodes)
