"""One round of Serve's controller after the other: policies through Serve's own wrapper, and looks at the cluster."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ray.serve._private.common import DeploymentID, TimeStampedValue
from ray.serve.autoscaling_policy import _apply_autoscaling_config
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments.scaling.board import ECHO_S, LOOK_PERIOD_S, QUIET_FOR_S, Board
from deployments.scaling.places import Tenant
from deployments.scaling.reports import IMAGES_IN_WORK, SECONDS_IDLE, SPARE_MEMORY_COPIES
from deployments.scaling.view import View

SHARE = {"GPU": 0.5}
ROUND_S = 0.25


@dataclass
class Model:
    """What Serve knows of one model."""

    running: int = 1
    target: int = 1
    requests: float = 0.0
    idle_s: float = 100.0
    in_work: float = 0.0
    memory_copies: float = 9.0
    state: dict[str, Any] = field(default_factory=dict)


class Controller:
    """Asks the policies of all models round after round, as Serve's does."""

    def __init__(self, needs_room: bool = False, **models: Model) -> None:
        self.models = models
        self.now_s = 1000.0
        self.view = View({"ship": {"GPU": 1.0, "CPU": 64.0}}, ())
        self.looks = 0
        self.board = Board(self._look, lambda: self.now_s)
        self._needs_room = needs_room

    async def rounds(self, seconds: float) -> None:
        for _ in range(round(seconds / ROUND_S)):
            for name, model in self.models.items():
                self.now_s += 0.001
                model.target = min(self._ask(name, model), 8)
            self.now_s += ROUND_S
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def sees(self, **tenants: Tenant) -> None:
        given = [replace(one, name=name, is_model=True, may_sleep=True) for name, one in tenants.items()]
        self.view = replace(self.view, tenants=tuple(given))

    async def _look(self) -> View:
        self.looks += 1
        return self.view

    def _ask(self, name: str, model: Model) -> int:
        context = AutoscalingContext(
            deployment_id=DeploymentID("Model", name),
            deployment_name="Model",
            app_name=name,
            current_num_replicas=model.running,
            target_num_replicas=model.target,
            running_replicas=[],
            total_num_requests=model.requests,
            total_queued_requests=0.0,
            aggregated_metrics={},
            raw_metrics=self._reports(model) if model.running else {},
            capacity_adjusted_min_replicas=0,
            capacity_adjusted_max_replicas=8,
            policy_state=model.state,
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=self.now_s,
            config=AutoscalingConfig(
                min_replicas=0, max_replicas=8, target_ongoing_requests=16, downscale_delay_s=300, upscale_delay_s=0
            ),
        )

        def policy(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
            return self.board.decide(context, context.total_num_requests / 16, self._needs_room), {}

        wanted, model.state = _apply_autoscaling_config(policy)(context)
        return wanted

    def _reports(self, model: Model) -> dict[str, dict[str, list[TimeStampedValue]]]:
        values = {
            SECONDS_IDLE: model.idle_s,
            IMAGES_IN_WORK: model.in_work,
            SPARE_MEMORY_COPIES: model.memory_copies,
        }
        return {name: {"a": [TimeStampedValue(self.now_s, value)]} for name, value in values.items()}


HELD = Tenant("", SHARE, held=("ship",), min_stay_s=5.0)
GONE = Tenant("", SHARE)


def two_awake_one_woken() -> Controller:
    controller = Controller(a=Model(idle_s=50), b=Model(idle_s=90), x=Model(0, 0))
    controller.sees(a=HELD, b=HELD, x=GONE)
    return controller


async def test_a_model_gives_way_within_a_look_and_without_the_delay_of_its_configuration() -> None:
    controller = two_awake_one_woken()
    await controller.rounds(6)
    assert controller.looks == 1  # the first, and none without need
    controller.models["x"].requests = 1
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(LOOK_PERIOD_S + 2 * ROUND_S)
    assert {name: model.target for name, model in controller.models.items()} == {"a": 1, "b": 0, "x": 1}
    controller.models["b"] = Model(0, 0)
    controller.sees(a=HELD, b=replace(GONE, leaving=("ship",)), x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(5)
    assert controller.models["a"].target == 1, "one was enough"


async def test_no_model_gives_way_before_its_stay_is_over() -> None:
    controller = two_awake_one_woken()
    controller.models["x"].requests = 1
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(4)
    assert controller.models["b"].target == 1
    await controller.rounds(3)
    assert controller.models["b"].target == 0


async def test_no_model_gives_way_for_one_that_nobody_asks_for_any_more() -> None:
    controller = two_awake_one_woken()
    await controller.rounds(6)
    controller.models["x"].target = 1  # its client has gone; Serve asks the policy again
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(10)
    assert controller.models["a"].target == controller.models["b"].target == 1


async def test_nobody_gives_way_to_the_echo_of_a_model_that_has_just_given_way() -> None:
    """Serve's mean of requests still holds those that were answered before, and wakes it at once."""
    controller = two_awake_one_woken()
    await controller.rounds(6)
    controller.models["x"].requests = 1
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(2)
    assert controller.models["b"].target == 0
    controller.models |= {"b": Model(0, 0, requests=0.1), "x": Model(1, 1)}
    controller.sees(a=HELD, b=replace(GONE, waits_since_s=controller.now_s), x=HELD)
    await controller.rounds(ECHO_S - 4)
    assert controller.models["a"].target == controller.models["x"].target == 1
    await controller.rounds(6)
    assert controller.models["a"].target + controller.models["x"].target == 1


async def test_what_an_echo_has_woken_is_given_up_as_soon_as_it_is_over() -> None:
    controller = two_awake_one_woken()
    await controller.rounds(6)
    controller.models["x"].requests = 1
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(2)
    controller.models |= {"b": Model(0, 1), "x": Model(1, 1)}
    await controller.rounds(ROUND_S)
    assert controller.models["b"].target == 0
    assert controller.models["a"].target == 1


async def test_after_a_restart_of_the_controller_a_model_that_waits_is_found() -> None:
    controller = two_awake_one_woken()
    controller.models["x"] = Model(0, 1, requests=1)
    controller.sees(a=HELD, b=HELD, x=replace(GONE, waits_since_s=controller.now_s))
    await controller.rounds(8)
    assert controller.models["b"].target == 0


async def test_a_model_that_is_never_asked_about_is_looked_at_now_and_then() -> None:
    controller = two_awake_one_woken()
    controller.sees(a=HELD, b=HELD, x=GONE, failed=GONE)
    await controller.rounds(3 * QUIET_FOR_S)
    assert 2 <= controller.looks <= 4


async def test_a_model_that_is_gone_is_forgotten() -> None:
    controller = two_awake_one_woken()
    await controller.rounds(1)
    del controller.models["x"]
    controller.sees(a=HELD, b=HELD)
    await controller.rounds(2 * QUIET_FOR_S)
    assert controller.looks <= 3


async def test_a_look_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    controller = two_awake_one_woken()

    async def fail() -> View:
        raise TimeoutError

    controller.board = Board(fail, lambda: controller.now_s)
    await controller.rounds(6)
    assert "could not be looked at" in caplog.text
    assert {model.target for model in controller.models.values()} == {0, 1}


@pytest.mark.parametrize(("needs_room", "gpus", "target"), [(False, 1, 3), (True, 1, 1), (True, 2, 2), (True, 4, 3)])
async def test_a_further_replica_is_asked_for_where_there_is_room(needs_room: bool, gpus: float, target: int) -> None:
    controller = Controller(needs_room, a=Model(requests=48, in_work=48))
    controller.view = View({"ship": {"GPU": gpus, "CPU": 64.0}}, ())
    controller.sees(a=HELD)
    await controller.rounds(8)
    assert controller.models["a"].target == target


async def test_room_is_memory_too() -> None:
    controller = Controller(True, a=Model(requests=48, in_work=48, memory_copies=0.5))
    controller.view = View({"ship": {"GPU": 4, "CPU": 64.0}}, ())
    controller.sees(a=HELD)
    await controller.rounds(8)
    assert controller.models["a"].target == 1


async def test_memory_that_a_loading_replica_will_take_is_no_room() -> None:
    controller = Controller(True, a=Model(running=1, target=2, requests=48, in_work=48, memory_copies=1.9))
    controller.view = View({"ship": {"GPU": 4, "CPU": 64.0}}, ())
    controller.sees(a=replace(HELD, held=("ship", "ship")))
    await controller.rounds(8)
    assert controller.models["a"].target == 2
