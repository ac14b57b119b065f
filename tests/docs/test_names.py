"""One word for one idea: what the glossary asks of the names of classes, checked in the code."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("deployments", "serve_app", "redis_bridge")


def classes() -> Iterator[ast.ClassDef]:
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef))


def test_no_class_name_stands_for_two_things() -> None:
    times = Counter(node.name for node in classes() if not node.name.startswith("_"))
    assert [name for name, count in times.items() if count > 1] == []


def test_what_ray_serve_runs_is_called_a_deployment() -> None:
    run_by_serve = [
        node.name
        for node in classes()
        if any(ast.unparse(decorator).startswith("serve.deployment") for decorator in node.decorator_list)
    ]
    assert len(run_by_serve) == 3, "the models', the bridge's and Valkey's; the HTTP door's is wrapped in a function"
    assert [name for name in run_by_serve if not name.endswith("Deployment")] == []
