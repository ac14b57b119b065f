"""`fathom predict`: asks for every image, several at a time, and keeps each answer as soon as it is there."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fathom_client.async_client import AsyncClient
from fathom_client.command.arguments import options_of
from fathom_client.command.console import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, UsageError, say_error
from fathom_client.command.first_look import first_look
from fathom_client.command.inputs import Source, sources_of
from fathom_client.command.joined_output import Joined, JoinedInMemory, parts_of
from fathom_client.command.joining import JOINED, NAMED_BY_FILE
from fathom_client.command.outputs import Answer, Folder, Lines, Output, Single
from fathom_client.command.written import Asked
from fathom_client.errors import (
    FathomError,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    ServerNotReachable,
    TimedOut,
    UnusableImage,
)
from fathom_client.ordered import in_order_async
from fathom_client.retries import Retry

Result = tuple[Source, Answer | FathomError]


def predict(chosen: argparse.Namespace) -> int:
    """Runs the command. Raises UsageError, and errors of the client that end the whole run."""
    asked = Asked(chosen.model, chosen.format, options_of(chosen))
    path = Path(chosen.output) if chosen.output else None
    sources = sources_of(chosen.inputs, not_in=path)
    output = _output(chosen, asked, sources, path)
    todo = [source for source in sources if source.name not in output.done]
    if len(todo) < len(sources):
        say_error(f"{len(sources) - len(todo)} of {len(sources)} images are done")
    try:
        if todo:
            failed = asyncio.run(_run(chosen, asked, todo, output))
        else:
            failed = 0
            with output:  # an earlier run may have ended before it wrote its one file
                pass
    except KeyboardInterrupt:
        again = "; --resume goes on from here" if path is not None else ""
        say_error(f"interrupted; what is done is kept{again}")
        return EXIT_INTERRUPTED
    if failed:
        say_error(f"{failed} of {len(todo)} images failed")
    return EXIT_FAILED if failed else EXIT_DONE


def _output(chosen: argparse.Namespace, asked: Asked, sources: Sequence[Source], path: Path | None) -> Output:
    if chosen.resume and path is None:
        raise UsageError("--resume needs -o: what is to go on?")
    is_alone = len(sources) == 1 and not Path(chosen.inputs[0]).is_dir() and not (path is not None and path.is_dir())
    many_in_one = asked.file_format == "json" or asked.file_format in JOINED
    if many_in_one or is_alone:
        _refuse_to_replace(chosen, path)
    if asked.file_format == "json":
        return Lines(path, asked, chosen.resume)
    if asked.file_format in JOINED:
        _refuse_names_twice(asked.file_format, sources)
        return Joined(path, asked, sources, chosen.resume) if path else JoinedInMemory(asked, sources)
    if is_alone:
        return Single(path, sources, chosen.resume)
    if path is None:
        together = ", ".join(["json", *JOINED])
        raise UsageError(
            f"{asked.file_format} is a file for each image: name a folder for them with -o (all in one: {together})"
        )
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; {asked.file_format} needs a folder")
    if path.exists() and any(path.iterdir()) and not (chosen.resume or chosen.overwrite):
        raise UsageError(f"{path} is not empty: --resume goes on, --overwrite replaces")
    return Folder(path, asked, sources, chosen.resume)


def _refuse_names_twice(file_format: str, sources: Sequence[Source]) -> None:
    times = Counter(source.path.name for source in sources)
    if file_format in NAMED_BY_FILE and (twice := [name for name, number in times.items() if number > 1]):
        raise UsageError(
            f"several images are called {', '.join(twice[:3])}, and {file_format} has no folders to tell them apart:"
            " ask for each folder by itself"
        )


def _refuse_to_replace(chosen: argparse.Namespace, path: Path | None) -> None:
    if path is None:
        return
    if path.exists() and not path.is_dir() and not path.is_file():
        raise UsageError(f"{path} is a device or a pipe; leave out -o for standard output")
    if chosen.overwrite:
        return
    if path.is_dir():
        raise UsageError(f"{path} is a folder; {chosen.format} is one file")
    has_parts = parts_of(path).exists()
    if (path.exists() or has_parts) and not chosen.resume:
        raise UsageError(f"{path} was written before: --resume goes on, --overwrite replaces")
    if path.exists() and chosen.format in JOINED and not has_parts:
        raise UsageError(f"{path} is complete, and nothing can be added to it: --overwrite makes it anew")


async def _run(chosen: argparse.Namespace, asked: Asked, todo: Sequence[Source], output: Output) -> int:
    """How many failed. Raises what concerns all images, not one."""
    failed, answered = 0, len(output.done)
    async with AsyncClient(chosen.url, timeout_s=chosen.timeout, retry=Retry(total_s=chosen.retry_for)) as client:
        await first_look(client, asked.model)
        results = in_order_async(todo, _worker(client, asked), chosen.concurrency)
        with output, _progress(_has_bar(chosen, todo), len(todo)) as (advance, tell):
            async with aclosing(results):
                async for source, result in results:
                    if not isinstance(result, FathomError):
                        output.add(source, result)
                        answered += 1
                    elif _concerns_all(result, answered):
                        raise result
                    else:
                        tell(str(result) if isinstance(result, UnusableImage) else f"{source.name}: {result}")
                        failed += 1
                    advance()
    return failed


def _worker(client: AsyncClient, asked: Asked) -> Callable[[Source], Awaitable[Result]]:
    async def work(source: Source) -> Result:
        try:
            if asked.file_format == "json":
                return source, await client.predict(source.path, asked.model, **asked.options)
            # One image for each request: an image that fails would take all others of its request with it.
            return source, await client.exported([source.path], asked.model, asked.file_format, **asked.options)
        except FathomError as error:
            return source, error

    return work


def _concerns_all(error: FathomError, answered: int) -> bool:
    """Whether each further image would fail like this one."""
    if isinstance(error, InvalidRequest):
        return not answered
    if isinstance(error, TimedOut):
        return False
    return isinstance(error, (ServerNotReachable, ModelNotFound, NotAllowed))


def _has_bar(chosen: argparse.Namespace, todo: Sequence[Source]) -> bool:
    """Where answers go to a file, and a person looks on."""
    return bool(chosen.output) and not chosen.quiet and len(todo) > 1 and sys.stderr.isatty()


@contextlib.contextmanager
def _progress(has_bar: bool, total: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """To be called after each image, and with each line of text, which goes above the bar."""
    if not has_bar:
        yield (lambda: None), say_error
        return
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
    columns = (TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("images", total=total)
        yield (lambda: progress.advance(bar)), (lambda text: console.print(text))
