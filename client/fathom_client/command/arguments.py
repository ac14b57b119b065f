"""The command line of `fathom`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fathom_client.connection import AUTHORITY_VARIABLE, DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from fathom_client.retries import Retry
from fathom_client.version import VERSION

FORMATS = (
    "json (JSON lines), coco, coco-dataset, fathomnet-csv, voc, vars, tator, viame-csv, megadetector, dwc, picture,"
    " picture-png; what the server has beyond these is passed on as it is"
)
EPILOG = f"""environment:
  {URL_VARIABLE:14}  the server, unless --url names it (default {DEFAULT_URL})
  {KEY_VARIABLE:14}  the API key, where the server wants one
  {AUTHORITY_VARIABLE:14}  a file in PEM: the authority of the certificate of an https:// server, where it is your own

exit status:
  0 all done, 1 something failed, 2 wrong usage, 3 the server cannot be reached, 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """Of the whole command."""
    top = argparse.ArgumentParser(
        prog="fathom",
        description="Asks a fathomnet-serve model server which animals are in images.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"fathom {VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_predict(commands.add_parser("predict", help="answers for files, folders or patterns of images"))
    models = commands.add_parser("models", help="the models of the server, with their states")
    models.add_argument("--json", action="store_true", help="all that the server says, as JSON")
    _add_server(models)
    _add_tator(commands.add_parser("tator", help="writes what a model finds in media of Tator into it"))
    _add_biigle(commands.add_parser("biigle", help="annotates the images of a volume of BIIGLE"))
    _add_squidle(commands.add_parser("squidle", help="suggests labels for points in SQUIDLE+"))
    inspect = commands.add_parser("inspect", help="what a file of weights is (where the server is installed)")
    inspect.add_argument("file", metavar="FILE")
    _add_bench(commands.add_parser("bench", help="how fast the server answers: requests in a closed loop"))
    return top


def _add_predict(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "inputs", nargs="+", metavar="FILE|FOLDER|GLOB", help="folders are searched with those in them"
    )
    command.add_argument("--model", required=True, help="its name, or a queue that it answers for")
    command.add_argument("--format", default="json", metavar="NAME", help=FORMATS)
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a file; for voc, picture and others that hold one image each, a folder (default: standard output)",
    )
    kept = command.add_mutually_exclusive_group()
    kept.add_argument("--resume", action="store_true", help="go on where an earlier run stopped; failed images again")
    kept.add_argument("--overwrite", action="store_true", help="replace what is there")
    command.add_argument("-c", "--concurrency", type=_count, default=4, help="requests at a time (default 4)")
    _add_retry(command)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    _add_options(command)
    _add_server(command)


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("image", metavar="IMAGE")
    command.add_argument("--model", required=True)
    command.add_argument("-n", "--requests", type=_count, default=100, help="in all (default 100)")
    command.add_argument("-c", "--concurrency", type=_count, default=4, help="at a time (default 4)")
    command.add_argument("--json", action="store_true", help="the figures as JSON")
    _add_options(command)
    _add_server(command)


def _add_tator(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True)
    command.add_argument("--type-id", type=_count, required=True, metavar="ID", help="of the localizations: boxes")
    command.add_argument(
        "--media-id", type=_count, action="append", metavar="ID", help="repeatable (TATOR_MEDIA_IDS)"
    )
    command.add_argument("--project-id", type=_count, metavar="ID", help="(TATOR_PROJECT_ID)")
    command.add_argument("--version-id", type=_count, metavar="ID", help="of annotations (default: the user's own)")
    command.add_argument("--host", metavar="URL", help="of Tator (TATOR_API_SERVICE)")
    command.add_argument(
        "--every", type=_count, default=1, metavar="N", help="of a video, one frame in N (default 1)"
    )
    command.add_argument("--label-attribute", default="Label", metavar="NAME", help="that gets the label (Label)")
    command.add_argument("--score-attribute", metavar="NAME", help="that gets the score (default: none does)")
    command.add_argument("--dry-run", action="store_true", help="print what would be written, as JSON lines")
    _add_retry(command)
    _add_options(command)
    _add_server(command)


def _add_squidle(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True)
    command.add_argument(
        "--annotation-set-id", type=_count, required=True, metavar="ID", help="whose points are meant"
    )
    command.add_argument(
        "--label-map", required=True, metavar="FILE", help="labels of the model to those of SQUIDLE+"
    )
    command.add_argument("--host", default="https://squidle.org", metavar="URL", help="of SQUIDLE+")
    command.add_argument("--least-likelihood", type=float, default=0.5, metavar="X", help="of a suggestion (0.5)")
    command.add_argument(
        "--patch-px", type=_count, default=224, metavar="N", help="side that a classifier sees (224)"
    )
    command.add_argument("--again", action="store_true", help="though this model has been here before")
    _add_retry(command)
    _add_options(command)
    _add_server(command)


def _add_biigle(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True)
    command.add_argument("--volume-id", type=_count, required=True, metavar="ID")
    command.add_argument("--label-map", metavar="FILE", help="labels of the model to numbers of labels of BIIGLE")
    command.add_argument("--host", default="https://biigle.de", metavar="URL", help="of BIIGLE")
    command.add_argument("--dry-run", action="store_true", help="print what would be written, as JSON lines")
    _add_retry(command)
    _add_options(command)
    _add_server(command)


def _add_retry(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--retry-for",
        type=float,
        default=Retry().total_s,
        metavar="S",
        help="how long to ask again for an image while the server is busy or away (default 120; 0: once only)",
    )


def _add_options(command: argparse.ArgumentParser) -> None:
    options = command.add_argument_group("options of the model (what is not given is as the model has it)")
    options.add_argument(
        "--score-threshold",
        action="append",
        type=_threshold,
        metavar="X|LABEL=X",
        help="0 to 1; repeatable for labels, where *=X stands for all others",
    )
    options.add_argument("--iou-threshold", type=float, metavar="X")
    options.add_argument("--max-detections", type=int, metavar="N")
    options.add_argument("--classes", action="append", metavar="LABEL", help="keep this label; repeatable")
    options.add_argument("--tiling", metavar="on|off|WIDTHxHEIGHT", help="also look at large images in tiles")
    options.add_argument("--tiling-overlap", type=float, metavar="X")


def _add_server(command: argparse.ArgumentParser) -> None:
    command.add_argument("--url", help=f"the server (default: {URL_VARIABLE}, else {DEFAULT_URL})")
    command.add_argument(
        "--cacert", metavar="FILE", help=f"the authority of an https:// server (default: {AUTHORITY_VARIABLE})"
    )
    command.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="how long the server may be silent (default 60)"
    )


def options_of(chosen: argparse.Namespace) -> dict[str, Any]:
    """The options of a prediction that were given. Raises ValueError where thresholds contradict each other."""
    names = ("iou_threshold", "max_detections", "classes", "tiling", "tiling_overlap")
    options = {name: getattr(chosen, name) for name in names}
    options["score_threshold"] = _score_threshold(chosen.score_threshold or ())
    return {name: value for name, value in options.items() if value is not None}


def _score_threshold(given: Sequence[tuple[str | None, float]]) -> float | dict[str, float] | None:
    if not given:
        return None
    by_label = {label: number for label, number in given if label is not None}
    if len(given) == 1 and not by_label:
        return given[0][1]
    if len(by_label) != len(given):
        raise ValueError("--score-threshold: one number, or LABEL=X once for each label; *=X for all others")
    return by_label


def _threshold(text: str) -> tuple[str | None, float]:
    label, equals, number = text.rpartition("=")
    return (label if equals else None), float(number)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: it has to be 1 at least")
    return number
