"""`python -m deployments.weights fetch|list|verify|export`: the cache of weights from the command line."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from deployments.errors import ModelUnavailable
from deployments.weights.cache import Progress
from deployments.weights.catalogue import CATALOGUE_FILE, CatalogueError, chosen_models, read_catalogue
from deployments.weights.commands import Commands
from deployments.weights.settings import WeightsSettings

EXIT_UNREAD = 1
EXIT_REFUSED = 2


class RichTerminal:
    """A terminal with a progress bar; without one it writes plain lines."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """Lines to standard output, as they are."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    @contextmanager
    def progress(self, name: str) -> Iterator[Progress]:
        """One bar on standard error, gone when it is done."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Bars(*columns, TimeRemainingColumn(), console=self._console, transient=True) as bars:
            task = bars.add_task(name, total=None)
            yield lambda there_bytes, all_bytes: bars.update(task, completed=there_bytes, total=all_bytes)


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run one command; its exit status: 0 done, 1 something failed, or nobody reads what it says, 2 refused before
    anything began."""
    chosen = _parser().parse_args(arguments)
    terminal = RichTerminal()
    try:
        commands = Commands(WeightsSettings.from_environment(environ), terminal)
        models = read_catalogue(chosen.config or [CATALOGUE_FILE])
        match chosen.command:
            case "fetch":
                if bool(chosen.names) == chosen.all:
                    raise CatalogueError("fetch: give names, or --all")
                return commands.fetch(chosen_models(models, chosen.names))
            case "list":
                return commands.show(models)
            case "verify":
                return commands.verify(chosen_models(models, chosen.names))
            case _:
                return commands.export(chosen_models(models, chosen.names), chosen.folder)
    except (CatalogueError, ModelUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    except BrokenPipeError:
        # `list | head`: nobody reads the rest, which Python would try to write once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what has been fetched is kept, and the same command goes on from there\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deployments.weights", description="The weights of the models.")
    parser.add_argument(
        "--config", type=Path, action="append", help="YAML of a system or of one model (default: the FathomNet zoo)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch", help="bring weights into the cache; a broken transfer goes on")
    command.add_argument("names", nargs="*", metavar="NAME")
    command.add_argument("--all", action="store_true", help="of every model")
    commands.add_parser("list", help="every model, what is in the cache, what is not known")
    command = commands.add_parser("verify", help="read every cached file and check it")
    command.add_argument("names", nargs="*", metavar="NAME")
    command = commands.add_parser("export", help="copy the cache into a folder, to be carried or served as a mirror")
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("names", nargs="*", metavar="NAME")
    return parser


if __name__ == "__main__":
    sys.exit(main())
