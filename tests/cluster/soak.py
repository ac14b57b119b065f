"""`make soak CLUSTER=yes`: the soak of `benchmarks/soak` on the nodes of the test bed; a worker is killed twice."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.soak.__main__ import judged, parse_options, say
from benchmarks.soak.configuration import document
from benchmarks.soak.load import Doors
from tests.cluster.network import are_allowed
from tests.cluster.nodes import HTTP_PORT, START_S, Bed, cluster
from tests.cluster.scenarios import health, running, seconds_until
from tests.support.waiting import wait_for


class Nodes:
    """A `Site`: two workers with a replica of the busy model, a door and a bridge each."""

    replicas = 2

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.doors = Doors([f"http://{node.address}:{HTTP_PORT}" for node in bed.workers], bed.redis_url)

    def processes(self) -> list[psutil.Process]:
        """Those of all nodes, and both Valkeys."""
        return psutil.Process().children(recursive=True)

    def kill(self, number: int) -> str:
        """Kills all of a worker at once, and starts it again when Ray has noticed. Always the same one: what runs on
        the other has a memory to look at for as long as the soak takes."""
        victim = self._bed.workers[0]
        began_s = time.monotonic()
        victim.kill()
        seconds_until(lambda: victim.address not in self._bed.living(), "Ray to notice the death")
        noticed_s = time.monotonic() - began_s
        self._bed.heal()
        self.wait_until_whole()
        whole_s = time.monotonic() - began_s
        return f"killed the node {victim.name}; noticed after {noticed_s:.0f} s, whole again after {whole_s:.0f} s"

    def wait_until_whole(self) -> None:
        """Until there are as many replicas as there should be, and every worker answers."""
        wanted = {"steady": self.replicas, "api": 2, "bridge": 2}

        def is_whole() -> bool:
            found = running(self._bed)
            is_complete = all(len(found.get(name, ())) == count for name, count in wanted.items())
            return is_complete and all(health(node.address) == "ready" for node in self._bed.workers)

        wait_for(is_whole, START_S, "all replicas, and every worker ready", 0.5)


def configuration() -> dict[str, Any]:
    """The system of a soak, a door and a bridge on each worker."""
    content = document(Nodes.replicas)
    content["http_options"] |= {"host": "0.0.0.0", "port": HTTP_PORT}
    for application in content["applications"]:
        if application["name"] in ("api", "bridge"):
            application["deployments"][0]["max_replicas_per_node"] = 1
    return content


def main() -> int:
    """Exit status: 0, 1 when the soak has failed, 2 where there can be no nodes."""
    options = parse_options(None, "tests.cluster.soak")
    if not are_allowed():
        say("a cluster on one machine needs network namespaces: run this as root")
        return 2
    with tempfile.TemporaryDirectory(prefix="fathom-soak-") as folder, cluster(Path(folder)) as bed:
        config = Path(folder) / "soak.yaml"
        config.write_text(yaml.safe_dump(configuration(), sort_keys=False))
        done = bed.launch("deploy", str(config))
        if done.returncode:
            say(done.stdout + done.stderr)
            return 1
        nodes = Nodes(bed)
        nodes.wait_until_whole()
        return judged(nodes, options)


if __name__ == "__main__":
    sys.exit(main())
