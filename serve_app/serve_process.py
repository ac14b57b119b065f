"""The child of the launcher: starts Ray with the chosen dashboard and runs Ray Serve's own `serve run` in it.

`serve run` keeps a Ray that is already there, which is how the dashboard's address can be chosen. Knows nothing of
the launcher's terminal. Run as `python -m serve_app.serve_process RENDERED_CONFIG PARENT_PID [--verbose]`.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serve_app.environment import RAY_ADDRESS, SystemSettings, joins_cluster
from serve_app.haproxy import FOLDER
from serve_app.process_tree import stop_with_parent
from serve_app.scratch_folder import held, remove_if_free


def command(config: Path, verbose: bool) -> list[str]:
    """The command line that starts this module as a child of the calling process."""
    arguments = [str(config), str(os.getpid()), *(["--verbose"] if verbose else [])]
    return [sys.executable, "-u", "-m", "serve_app.serve_process", *arguments]


def ray_options(settings: SystemSettings, environ: Mapping[str, str], verbose: bool) -> dict[str, Any]:
    """Keyword arguments of `ray.init`: a Ray of our own, or the cluster that RAY_ADDRESS names."""
    options: dict[str, Any] = {"namespace": "serve", "log_to_driver": verbose}
    if joins_cluster(environ):
        return {**options, "address": environ[RAY_ADDRESS.name]}
    # "local" and not None: None would join whatever Ray this machine happens to run.
    options |= {"address": "local", "include_dashboard": True}
    options |= {"dashboard_host": settings.dashboard_host, "dashboard_port": settings.dashboard_port}
    if settings.ray_temp_dir is not None:
        options["_temp_dir"] = str(settings.ray_temp_dir.absolute())
    return options


def main(arguments: list[str]) -> None:
    """Runs until SIGINT, then drains and exits 0 (Ray Serve's own `serve run` does both)."""
    config, parent_pid, verbose = arguments[0], int(arguments[1]), "--verbose" in arguments[2:]
    # The launcher blocks signals and a shell may have ignored SIGINT: both are inherited, and both undone here. An
    # interrupt waits until a Ray of our own has started, so that it does not get lost in the middle of that; a
    # cluster that is joined may never answer.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, set() if joins_cluster(os.environ) else {signal.SIGINT})
    stop_with_parent(parent_pid)
    with _haproxy_folder(os.environ, parent_pid):
        import ray
        from ray.serve.scripts import cli

        ray.init(**ray_options(SystemSettings.from_environment(os.environ), os.environ, verbose))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        cli.main(args=["run", config], prog_name="serve")


@contextmanager
def _haproxy_folder(environ: Mapping[str, str], parent_pid: int) -> Iterator[None]:
    """HAProxy's folder is the launcher's, and is removed here only when the launcher was killed."""
    folder = environ.get(FOLDER)
    if folder is None:
        yield
        return
    try:
        with held(Path(folder)):
            yield
    finally:
        if os.getppid() != parent_pid:
            remove_if_free(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
