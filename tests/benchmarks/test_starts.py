"""What is told of starts, and that their variants are settings which the launcher knows."""

from benchmarks.starts import VARIANTS, Taken, lines
from serve_app.launcher.configuration.env_settings import SystemSettings


def test_the_middle_of_the_turns_is_told() -> None:
    taken = {"forked": [Taken(9.0, 20.0), Taken(30.0, 21.0), Taken(10.0, 19.0)], "each for itself": []}
    assert lines(taken) == ["forked: 10.0 s, 20.0 core s"]


def test_the_variants_differ_in_what_the_launcher_reads() -> None:
    forks = {name: SystemSettings.from_environment(environ).fork_workers for name, environ in VARIANTS.items()}
    assert forks == {"forked": True, "each for itself": False}
