"""Images a second of the bare runtime and of PyTorch, for the same checkpoints on the same cores in the same run:
`python -m benchmarks.torch_speed --torch-python TORCH/bin/python --yolov5n yolov5n.pt`.

First each side tries its batch sizes, and PyTorch its layouts, and keeps the fastest; then rounds of both sides take
turns, and the median of the rounds' ratios is reported. Other work on the machine disturbs the two unequally: threads
that wait for each other suffer most. Beside other work, `--clock cpu` compares processor time, of one thread each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.torch_speed.networks import NETWORKS

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Choice:
    """How one side is at its best."""

    variant: str
    batch: int


@dataclass(frozen=True, slots=True)
class Score:
    """images_s: images a second by the chosen clock.  best_ms, cpu_ms: wall and processor time of one image, of the
    batches that took least."""

    images_s: float
    best_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Side:
    """A process that obeys the orders of `worker.py`."""

    process: "subprocess.Popen[str]"
    variants: Sequence[str]
    clock: str

    def measure(self, choice: Choice, seconds: float) -> Score:
        """One order and its answer. Raises RuntimeError when the process has ended."""
        order = {"variant": choice.variant, "batch": choice.batch, "seconds": seconds}
        answer = _exchange(self.process, order)
        best_ms, cpu_ms = (1000 * answer[key] / choice.batch for key in ("best_s", "best_cpu_s"))
        images_s = 1000 / cpu_ms if self.clock == "cpu" else answer["images"] / answer["wall_s"]
        return Score(images_s, best_ms, cpu_ms)

    def best(self, batches: Sequence[int], seconds: float) -> Choice:
        """The variant and batch size with the fastest single batch, which other work disturbs least."""
        choices = [Choice(variant, batch) for variant in self.variants for batch in batches]

        def cost_ms(choice: Choice) -> float:
            score = self.measure(choice, seconds)
            return score.cpu_ms if self.clock == "cpu" else score.best_ms

        return min(choices, key=cost_ms)


@contextmanager
def side(command: Sequence[str], environ: dict[str, str], clock: str = "wall") -> Iterator[Side]:
    """A worker that is ready, and is ended in the end."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, **environ}, **pipes) as process:
        try:
            yield Side(process, _exchange(process, None)["variants"], clock)
        finally:
            process.terminate()


def _exchange(process: "subprocess.Popen[str]", order: dict[str, Any] | None) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    if order is not None:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with status {process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def compare(name: str, weights: Path, options: argparse.Namespace) -> str:
    """Measures one checkpoint; a row of the report's table."""
    batches = NETWORKS[name].batches
    threads = str(options.threads)
    ours = [sys.executable, "-m", "benchmarks.torch_speed.our_worker", name, str(weights), threads]
    theirs = [str(options.torch_python), str(HERE / "torch_worker.py"), name, str(weights), threads]
    with (
        side([*ours, options.precision], {"TF_CPP_MIN_LOG_LEVEL": "3"}, options.clock) as tensorflow,
        side(theirs, {"OMP_NUM_THREADS": threads, "YOLO_OFFLINE": "1"}, options.clock) as torch,
    ):
        our_best, their_best = (one.best(batches, options.seconds) for one in (tensorflow, torch))
        rounds = [
            (tensorflow.measure(our_best, options.seconds), torch.measure(their_best, options.seconds))
            for _ in range(options.rounds)
        ]
    return _row(name, (our_best, their_best), rounds)


def _row(name: str, choices: tuple[Choice, Choice], rounds: Sequence[tuple[Score, Score]]) -> str:
    def middle(values: Iterator[float]) -> float:
        return statistics.median(values)

    ours, theirs = ([one[index] for one in rounds] for index in (0, 1))
    ratios = sorted(our.images_s / their.images_s for our, their in rounds)
    cells = [
        name,
        *(f"{middle(score.images_s for score in scores):.2f}" for scores in (ours, theirs)),
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        *(f"{min(score.best_ms for score in scores):.1f}" for scores in (ours, theirs)),
        *(f"{min(score.cpu_ms for score in scores):.1f}" for scores in (ours, theirs)),
        *(f"{choice.batch}, {choice.variant}" for choice in choices),
    ]
    return f"| {' | '.join(cells)} |"


_COLUMNS = (
    "checkpoint",
    "images/s ours",
    "PyTorch",
    "ratio (rounds)",
    "fastest ms/image ours",
    "PyTorch",
    "least CPU ms/image ours",
    "PyTorch",
    "best batch ours",
    "PyTorch",
)
HEADER = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


def main() -> None:
    """Measures all checkpoints and writes the table to standard output."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_speed", description=__doc__)
    parser.add_argument("--torch-python", type=Path, required=True, help="Python of the environment with PyTorch")
    parser.add_argument("--yolov5n", type=Path, help="the published yolov5n.pt; left out when not given")
    parser.add_argument(
        "--networks",
        nargs="*",
        default=["yolov8n", "yolov8x"],
        choices=[name for name in NETWORKS if name != "yolov5n"],
        help="with random weights",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: for one thread, beside other work"
    )
    parser.add_argument("--precision", default="float32", help="of our side: float32, bfloat16 or float16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu compares one thread with one: add --threads 1")
    sys.stdout.write(HEADER + "\n")
    with tempfile.TemporaryDirectory() as folder:
        if options.yolov5n is not None:
            sys.stdout.write(compare("yolov5n", options.yolov5n, options) + "\n")
        for network in options.networks:
            weights = Path(folder, NETWORKS[network].file)
            command = [str(options.torch_python), str(HERE / "torch_worker.py"), network, str(weights), "make"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
            sys.stdout.write(compare(network, weights, options) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
