"""What the start of a replica costs is noted by part."""

from deployments.definition import ModelDefinition
from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.support.no_meter import NoMeter


def test_parts_are_in_order_and_one_that_comes_twice_is_added_up() -> None:
    times = WakeTimes()
    for name in ("graph", "import", "graph"):
        with times.part(name):
            pass
    times.parts_s = dict.fromkeys(times.parts_s, 1.25)
    assert str(times) == "graph 1.25 s, import 1.25 s"


def test_a_replica_notes_its_parts() -> None:
    times = WakeTimes()
    Replica("fixed", ModelDefinition(family="fixed-answer"), Resources(), NoMeter(), times)
    assert list(times.parts_s) == ["weights", "import"]
    assert all(seconds > 0 for seconds in times.parts_s.values())
