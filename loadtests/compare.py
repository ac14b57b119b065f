"""Compares what two models answer to the same frames, such as an old worker and the model that follows it.

`python -m loadtests.compare FIRST SECOND FRAME...`: FIRST and SECOND are names or queues, as `model_type` of
`POST /predictor/`. Exit status: 0 all alike, 1 something differs, 2 no answer, or no boxes in it.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from loadtests.answers import http_reason

DEFAULT_URL = "http://localhost:8082/predictor/"
PATIENCE_S = 150.0
"""Longer than the door itself waits, uploads included."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Found:
    """One detection; the box is x1, y1, x2, y2 in pixels."""

    label: str
    score: float
    box: Box

    def __str__(self) -> str:
        return f"{self.label} {self.score:.2f} at {', '.join(f'{edge:.0f}' for edge in self.box)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What two answers to one frame have in common, and what only one of them has."""

    pairs: list[tuple[Found, Found]]
    only_first: list[Found]
    only_second: list[Found]

    @property
    def is_none(self) -> bool:
        """Whether each animal of one is in the other."""
        return not self.only_first and not self.only_second

    def __str__(self) -> str:
        alone = f"{len(self.only_first)} only in the first, {len(self.only_second)} only in the second"
        counts = f"{len(self.pairs)} alike, {alone}"
        if not self.pairs:
            return counts
        least = min(iou(first.box, second.box) for first, second in self.pairs)
        most = max(abs(first.score - second.score) for first, second in self.pairs)
        return f"{counts}; of those alike: least IoU {least:.2f}, scores differ by {most:.2f} at most"


class NoAnswer(Exception):
    """A model did not answer with boxes; the text says why."""


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def compared(first: Sequence[Found], second: Sequence[Found], min_iou: float, min_score: float) -> Difference:
    """Pairs boxes of one label from IoU `min_iou` on, the best score first. What has no partner counts from
    `min_score` on, as two models may have different thresholds."""
    pairs: list[tuple[Found, Found]] = []
    only_first: list[Found] = []
    free = list(second)
    for one in sorted(first, key=lambda found: -found.score):
        likely = [other for other in free if other.label == one.label and iou(one.box, other.box) >= min_iou]
        if likely:
            partner = max(likely, key=lambda other: iou(one.box, other.box))
            free.remove(partner)
            pairs.append((one, partner))
        else:
            only_first.append(one)
    return Difference(pairs, _from_score(only_first, min_score), _from_score(free, min_score))


def found_in(predictions: Sequence[Any]) -> list[Found]:
    """Reads the rows of an answer. Raises ValueError or TypeError where a score or an edge is not a number."""
    rows = (
        (row["category_id"], float(row["scores"][0]), [float(edge) for edge in row["bbox"]]) for row in predictions
    )
    return [Found(label, score, (left, top, right, bottom)) for label, score, (left, top, right, bottom) in rows]


def ask(client: httpx.Client, url: str, model: str, frame: Path) -> list[Found]:
    """What `model` finds in the image file `frame`. Raises NoAnswer."""
    try:
        answer = client.post(url, data={"model_type": model}, files={"file": (frame.name, frame.read_bytes())})
    except httpx.HTTPError as error:
        raise NoAnswer(f"{model} at {url}: {error}") from error
    reason = http_reason(answer.status_code, answer.content)
    if reason:
        raise NoAnswer(f"{model} at {url}: {reason}")
    try:
        return found_in(answer.json()["predictions"])
    except (TypeError, ValueError) as error:
        raise NoAnswer(f"{model} at {url}: a score or an edge is not a number: {answer.text[:200]}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares frame by frame; returns the exit status."""
    chosen = _parser().parse_args(arguments)
    differing = 0
    try:
        with httpx.Client(timeout=PATIENCE_S) as client:
            for frame in chosen.frames:
                first = ask(client, chosen.url, chosen.first, frame)
                second = ask(client, chosen.second_url or chosen.url, chosen.second, frame)
                difference = compared(first, second, chosen.min_iou, chosen.min_score)
                differing += not difference.is_none
                _show(frame, difference)
    except (NoAnswer, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{differing} of {len(chosen.frames)} frames differ\n")
    return 1 if differing else 0


def _show(frame: Path, difference: Difference) -> None:
    sys.stdout.write(f"{frame}: {difference}\n")
    for name, founds in (("first", difference.only_first), ("second", difference.only_second)):
        sys.stdout.writelines(f"  only in the {name}: {found}\n" for found in founds)


def _from_score(founds: Iterable[Found], min_score: float) -> list[Found]:
    return [found for found in founds if found.score >= min_score]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description="Compares two models' answers.")
    parser.add_argument("first", help="name or queue of one model")
    parser.add_argument("second", help="name or queue of the other")
    parser.add_argument("frames", nargs="+", type=Path, metavar="FRAME", help="image files")
    parser.add_argument("--url", default=DEFAULT_URL, help="where to ask (default: %(default)s)")
    parser.add_argument("--second-url", help="where to ask the second (default: as the first)")
    parser.add_argument(
        "--min-iou", type=float, default=0.5, help="boxes are alike from here on (default: %(default)s)"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.25,
        help="a box below, without a partner, does not count (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
