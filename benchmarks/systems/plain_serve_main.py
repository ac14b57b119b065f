"""Starts a local Ray with plain Serve on it, and keeps it until SIGINT.

`python -m benchmarks.systems.plain_serve_main detector|hello SCRATCH_FOLDER`
"""

import os
import signal
import sys

import ray
from ray import serve

from benchmarks.load.free_ports import LOOPBACK
from benchmarks.systems.contract import DEFINITION, PORT
from benchmarks.systems.plain_serve_app import detector_application, hello_application


def main(kind: str, scratch: str) -> None:
    """Runs until SIGINT."""
    ray.init(address="local", namespace="serve", _temp_dir=scratch)
    serve.start(http_options={"host": LOOPBACK, "port": int(os.environ[PORT])})
    application = hello_application() if kind == "hello" else detector_application(os.environ[DEFINITION])
    serve.run(application)
    try:
        signal.pause()
    except KeyboardInterrupt:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:3])
