"""The system of a soak is one that the launcher takes."""

from benchmarks.soak.configuration import document, embedded_valkey
from serve_app.launcher.configuration.validation import system_problems


def test_it_is_valid() -> None:
    content = document(1)
    content["applications"].append(embedded_valkey())
    assert system_problems(content) == []
