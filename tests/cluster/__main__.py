"""`make cluster`: the cluster of the tests, for a person to look at, until Ctrl-C."""

import shlex
import signal
import sys
import tempfile
from pathlib import Path

from tests.cluster.network import are_allowed
from tests.cluster.nodes import HTTP_PORT, RAY_PORT, Bed, cluster


def main(config: str) -> int:
    """Brings it up with the system of `config` on it, says what there is to see, and waits; its exit status."""
    if not are_allowed():
        sys.stderr.write("a cluster on one machine needs network namespaces: run `make cluster` as root\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="fathom-cluster-") as folder:
        try:
            _show(Path(folder), config)
        except KeyboardInterrupt:
            _say("stopping all nodes")
    return 0


def _show(folder: Path, config: str) -> None:
    _say("starting a head, two workers and two Valkeys")
    with cluster(folder) as bed:
        done = bed.launch("deploy", config)
        _say(done.stdout + done.stderr)
        _say(described(bed))
        signal.pause()


def described(bed: Bed) -> str:
    """What a person may look at, and with which commands."""
    variables = {name: bed.environ[name] for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "REDIS_URL")}
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    pages = "\n".join(f"  {node.name:<10} http://{node.address}:{HTTP_PORT}/" for node in bed.workers)
    head = bed.head
    return f"""
The nodes are processes of this machine, each in a namespace of its own; their GPUs are only numbers.
{pages}
  dashboard  http://{head.address}:8265  (token: {bed.token})
  Ray        {head.address}:{RAY_PORT}
  jobs       {bed.redis_url}

In another terminal:
  export {exports} FATHOM_DATA_DIR={bed.folder / "launcher"}
  make status
  curl http://{bed.workers[0].address}:{HTTP_PORT}/metrics
  kill -KILL {bed.workers[1].process.pid if bed.workers[1].process else ""}   # {bed.workers[1].name} loses its power

Logs of the nodes: {bed.folder}/*/ray.log
Ctrl-C ends everything."""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1]))
