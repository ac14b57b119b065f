"""Runs the foreground over a stand-in process: `supervisor_driver.py DASHBOARD_URL LOG GRACE_S CODE [DOOR]`.

A program of its own, as the foreground blocks signals and ends every descendant of its process.
"""

import os
import sys
from pathlib import Path

from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import say
from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.processes.child_process import StopSignals, SystemProcess
from serve_app.launcher.pulse import Door, Pulse, PulseTimes
from serve_app.launcher.supervisor import Supervisor


def main(url: str, log: str, grace_s: str, code: str, door: str = "") -> int:
    signals = StopSignals()
    signals.block()
    process = SystemProcess([sys.executable, "-c", code], Path(log), os.environ)
    settings = SystemSettings.from_environment({"FATHOM_STOP_GRACE_S": grace_s})
    with RunningSystem(url, {"RAY_AUTH_MODE": "disabled"}) as system:
        foreground = Supervisor(process, system, signals, settings)
        states = foreground.wait_until_up(["first", "api"], Door("api", door) if door else None)
        if states is not None:
            say(f"up: {', '.join(sorted(name for name, state in states.items() if state.is_healthy))}")
        return foreground.wait_for_the_end(
            Pulse(system, None, True, PulseTimes(poll_interval_s=0.1, hang_timeout_s=5))
        )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
