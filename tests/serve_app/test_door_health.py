"""The door is well while all that it finds out in the background is still being found out."""

import asyncio

import pytest

from serve_app.app import DoorDeployment
from serve_app.settings import DoorSettings


@pytest.mark.parametrize(
    ("part", "words"),
    [("_discovery", "the discovery of models"), ("_external", "external workers"), ("_probe", "probe of replicas")],
)
async def test_a_door_one_of_whose_background_tasks_has_died_is_not_well(part: str, words: str) -> None:
    door = DoorDeployment(DoorSettings())
    await door.check_health()
    alive = asyncio.Event()
    background = getattr(door, part)._background
    background._work = alive.wait
    background.start()
    await door.check_health()
    alive.set()
    await asyncio.wait([background._task])
    with pytest.raises(RuntimeError, match=words):
        await door.check_health()
