"""The child of the launcher: starts Ray with the chosen dashboard and runs Ray Serve's own `serve run` in it.

`serve run` uses a Ray that already runs, which is how the dashboard's address can be chosen. Run as
`python -m serve_app.launcher.child_main RENDERED_CONFIG PARENT_PID FIRST LATER`.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.ray_variables import RAY_ADDRESS, joins_cluster
from serve_app.launcher.fork_server.libraries import Libraries
from serve_app.launcher.fork_server.rays_python import python_for_ray
from serve_app.launcher.machine_checks import object_store_options, ray_folder
from serve_app.launcher.processes.log_folder import keep_swept
from serve_app.launcher.processes.process_tree import stop_with_parent
from serve_app.launcher.processes.scratch_folder import held, is_scratch, remove_if_free
from serve_app.launcher.proxy.haproxy import FOLDER


def command(config: Path, libraries: Libraries) -> list[str]:
    """The command line that starts this module as a child of the calling process.

    libraries: what Ray's workers share, see `fork_server`; none, and each worker imports for itself.
    """
    module = "serve_app.launcher.child_main"
    shared = [",".join(libraries.first), ",".join(libraries.later)]
    return [sys.executable, "-u", "-m", module, str(config), str(os.getpid()), *shared]


def ray_options(settings: SystemSettings, environ: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments of `ray.init`: a Ray of our own, or the cluster that RAY_ADDRESS names."""
    # Warnings and errors of replicas, and the last words of a process that dies, belong in our log.
    options: dict[str, Any] = {"namespace": "serve", "log_to_driver": True}
    if joins_cluster(environ):
        return {**options, "address": environ[RAY_ADDRESS.name]}
    # "local" and not None: None would join whatever Ray this machine happens to run.
    options |= {"address": "local", "include_dashboard": True}
    options |= {"dashboard_host": settings.dashboard_host, "dashboard_port": settings.dashboard_port}
    if settings.ray_temp_dir is not None:
        options["_temp_dir"] = str(settings.ray_temp_dir.absolute())
    return options | object_store_options(ray_folder(settings, environ)[0])


def main(arguments: list[str]) -> None:
    """Runs until SIGINT, then drains and exits 0 (Ray Serve's own `serve run` does both)."""
    config, parent_pid, *libraries = arguments[0], int(arguments[1]), *arguments[2:]
    # The launcher blocks signals and a shell may have ignored SIGINT: both are inherited, and both undone here. An
    # interrupt waits until a Ray of our own has started, so that it is not lost halfway; it does not wait for a
    # cluster that is joined, which may never answer.
    signal.signal(signal.SIGINT, interrupt_once)
    signal.pthread_sigmask(signal.SIG_SETMASK, set() if joins_cluster(os.environ) else {signal.SIGINT})
    stop_with_parent(parent_pid)
    with _haproxy_folder(os.environ, parent_pid), _forked_workers(*libraries):
        import ray
        from ray.serve.scripts import cli

        settings = SystemSettings.from_environment(os.environ)
        context = ray.init(**ray_options(settings, os.environ))
        if not joins_cluster(os.environ):
            keep_swept(Path(context.address_info["session_dir"], "logs"), settings.logs_max_bytes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        cli.main(args=["run", config], prog_name="serve")


@contextmanager
def _forked_workers(first: str, later: str) -> Iterator[None]:
    """The Ray that is started meanwhile forks its workers, if there is something that they share."""
    if not first:
        yield
        return
    with python_for_ray(os.environ, first, later) as program:
        # Ray has no other setting for it.
        sys.executable = str(program)
        yield


def interrupt_once(number: int, _: FrameType | None) -> None:
    """Handler of SIGINT: the first one raises KeyboardInterrupt, and those that follow do not cut the stop short. A
    launcher that is killed sends several: see `stop_with_parent`."""
    # Not SIG_IGN, which every process that is started from now on would inherit.
    signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


@contextmanager
def _haproxy_folder(environ: Mapping[str, str], parent_pid: int) -> Iterator[None]:
    """Holds HAProxy's folder. The launcher removes it; only when the launcher was killed is it removed here."""
    folder = environ.get(FOLDER)
    # The user may name another folder.
    if folder is None or not is_scratch(Path(folder)):
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
