"""Looks at every node of a cluster: runs there as a job of Ray, and prints what it found as one line of JSON.

`python -m serve_app.launcher.cluster.inspection QUESTION`, with a `Question` as JSON. What it prints is kept by Ray
and shown in the dashboard, so that of Redis's address there is only a number: equal addresses have equal ones.
"""

import json
import sys
from typing import Any

from serve_app.launcher.console import say

MARK = "NODES:"
"""What the line with the answer begins with; Ray and its libraries print others."""

NODE_TIMEOUT_S = 90.0
"""A node may have to start a first worker."""


def look(paths: list[str], folders: list[str], packages: list[str]) -> dict[str, Any]:
    """What this node has. Runs in a worker of Ray that may have none of our code, so it imports what it needs.

    paths: files that must be there.  folders: for weights, one of which must be there, or can be made: that of the
    launcher's environment, if it has one, and that of a node whose environment has none; empty for no weights.
    """
    import hashlib
    import importlib.util
    import os
    from pathlib import Path

    digest = hashlib.sha256()
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            return {"code": ""}
        root = Path(spec.submodule_search_locations[0])
        for file in sorted(root.rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    closed = ""
    if folders:
        given = folders[0] if len(folders) > 1 else os.environ.get("FATHOM_WEIGHTS_DIR")
        wanted = Path(given or folders[-1]).expanduser().absolute()
        there = next(parent for parent in (wanted, *wanted.parents) if parent.exists())
        closed = "" if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else str(there)
    return {
        "code": digest.hexdigest(),
        "redis": os.environ.get("REDIS_URL", ""),
        "missing": [path for path in paths if not Path(path).is_file()],
        "at": os.getcwd(),
        "closed": closed,
    }


def main(text: str) -> None:
    """Asks all nodes that can run replicas at once; one that does not answer has only an `error`."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    question = json.loads(text)
    ray.init(log_to_driver=False)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    ask = ray.remote(num_cpus=0, max_retries=0)(look)
    answers = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            question["paths"], question["folders"], question["packages"]
        )
        for node in nodes
    ]
    ray.wait(answers, num_returns=len(answers), timeout=NODE_TIMEOUT_S)
    found = []
    addresses: list[str] = [""]
    for node, answer in zip(nodes, answers, strict=True):
        report: dict[str, Any] = {"node": node["NodeManagerAddress"]}
        try:
            report |= ray.get(answer, timeout=0)
        except Exception as error:  # whatever is wrong with a node is what is asked for
            report["error"] = type(error).__name__
        url = report.pop("redis", "")
        if url not in addresses:
            addresses.append(url)
        report["redis"] = addresses.index(url)
        found.append(report)
    say(MARK + json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
