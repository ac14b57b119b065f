"""The launcher: `python -m serve_app.launch COMMAND`, behind `make serve`, `check`, `deploy`, `add`, `remove`, ...

Reads the command line and the environment, and leaves the work to `serve_app.launcher`. Imports at its top only what
starts no thread: signals must be blocked before the first thread starts, as it inherits what is blocked.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from serve_app.launcher.console import LaunchError, say_error
from serve_app.launcher.processes.child_process import StopSignals

EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 done, 1 something failed, 2 refused before anything began."""
    chosen = _parser().parse_args(arguments)
    if chosen.command == "serve":
        StopSignals().block()
    try:
        return _run(chosen)
    except LaunchError as error:
        say_error("\n".join(error.problems))
        return EXIT_REFUSED
    except KeyboardInterrupt:
        say_error("interrupted; what the running system was already asked for goes on there: see `make status`")
        return EXIT_INTERRUPTED


def _run(chosen: argparse.Namespace) -> int:
    if chosen.command == "inspect":
        from serve_app.launcher import inspect_command

        return inspect_command.inspect_file(chosen.file)
    try:
        from serve_app.launcher import commands, serve_command
        from serve_app.launcher.cluster import node_command
    except ValueError as error:  # Ray reads its own variables when it is imported
        raise LaunchError(str(error)) from error
    match chosen.command:
        case "serve":
            return serve_command.serve(chosen.config, chosen.verbose, os.environ)
        case "node":
            node_command.run_node(chosen.address, chosen.options, os.environ)
        case "check":
            return commands.check(chosen.files)
        case "deploy":
            return commands.deploy(chosen.config, os.environ)
        case "add":
            return commands.add(chosen.model, os.environ)
        case "remove":
            return commands.remove(chosen.name, os.environ)
        case "status":
            return commands.status(os.environ)
        case _:
            return commands.settings()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serve_app.launch", description="Runs and changes the system.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("serve", help="run a system in the foreground until Ctrl-C")
    command.add_argument("config", type=Path)
    command.add_argument("--verbose", action="store_true", help="show all that Ray and the replicas say")
    command = commands.add_parser("node", help="make this machine a node of a Ray cluster, in the foreground")
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("--head", action="store_const", const="", dest="address", help="the first node of a cluster")
    place.add_argument("--address", metavar="HOST:PORT", help="of the head that this node joins")
    command.add_argument("options", nargs="*", metavar="OPTION", help="after --, further options of `ray start`")
    command = commands.add_parser("check", help="validate configuration files (default: all in configs/)")
    command.add_argument("files", type=Path, nargs="*")
    command = commands.add_parser("inspect", help="say what a file of weights is, and print a block that serves it")
    command.add_argument("file", type=Path)
    command = commands.add_parser("deploy", help="apply a changed configuration to the running system")
    command.add_argument("config", type=Path)
    command = commands.add_parser("add", help="add one model to the running system")
    command.add_argument("model", type=Path, help="YAML file with its block, or its name in configs/fathomnet.yaml")
    command = commands.add_parser("remove", help="remove one model from the running system")
    command.add_argument("name")
    commands.add_parser("status", help="one line for each application of the running system")
    commands.add_parser("settings", help="print the table of environment variables (docs/settings.md)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
