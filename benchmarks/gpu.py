"""Images a second of published models on a GPU, bare and through HTTP: `make bench-gpu`, and read the table.

*Bare* is the graph alone, in one process that runs batch after batch. *Through HTTP* is the whole system, asked at
its fastest endpoint for 720p JPEGs by twice as many clients as fit into the batches of all replicas, which share the
GPUs. Each is alone on the machine while it is measured. Weights are fetched into the cache of the system first.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cases import Case
from benchmarks.limit.limit import Crew, crew_at_work
from benchmarks.load.load import Window
from benchmarks.machine.ready import wait_until_calm, wait_until_ready
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import StartError
from benchmarks.measure import CaseLoad, measure
from benchmarks.models import BenchModel
from benchmarks.sample_images import HD, SampleImage, sample_image
from benchmarks.systems.contract import Workspace, cores
from benchmarks.systems.ours import start_fast
from benchmarks.systems.table import FAST
from deployments.definition import MODEL_IMPORT_PATH, ModelDefinition
from deployments.weights.fetch import Fetcher
from deployments.weights.resolve import with_local_weights
from deployments.weights.settings import WeightsSettings

MODELS = ("sharktrack", "megalodon-2023", "mbari-benthic-supercategory")
"""YOLOv8n, YOLOv8x and RetinaNet R50 in configs/fathomnet.yaml."""

BASE = Path("configs/app.yaml")
DEVICES = Path("/dev")
START_S = 600.0
"""A model of many shapes compiles a program for each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model with batches of at most `batch` images. bare: images a second.  served: the same over HTTP, by
    replicas."""

    model: str
    batch: int
    bare: float
    served: dict[int, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when there is no GPU or a system fails, 130 after an interrupt."""
    options = _parse(arguments)
    if options.gpus is None:
        _say("no NVIDIA GPU on this machine; --gpus 0 measures on its processor")
        return 1
    rows: list[Row] = []
    try:
        with run_folder() as scratch:
            for name, batch in product(options.models, options.batches):
                rows.append(_row(configured(options.config, name, batch), options, scratch))
                _say(table([rows[-1]]))
    except (StartError, ValueError) as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return INTERRUPTED
    _say(f"\n{table(rows)}")
    return 0


def configured(config: Path, name: str, batch: int) -> BenchModel:
    """The model `name` of a configuration, with its weights at hand. Raises ValueError when there is none."""
    applications = yaml.safe_load(config.read_text("utf-8"))["applications"]
    args = next((app["args"] for app in applications if app["name"] == name), None)
    if args is None:
        raise ValueError(f"{config} has no model {name}")
    definition = ModelDefinition.model_validate({**args, "largest_batch": batch})
    return BenchModel(name, with_local_weights(definition, Fetcher(WeightsSettings())))


def base_with(replicas: int, gpus: float, batch: int) -> dict[str, Any]:
    """The shipped configuration with a first model of so many replicas, which share `gpus`, each with room for two
    batches and those who wait for them."""
    document: dict[str, Any] = yaml.safe_load(BASE.read_text("utf-8"))
    model = next(app for app in document["applications"] if app["import_path"] == MODEL_IMPORT_PATH)
    [deployment] = model["deployments"]
    # The blocks of the file share their parts.
    deployment = copy.deepcopy(deployment)
    deployment["autoscaling_config"] |= {"min_replicas": replicas, "max_replicas": replicas}
    deployment["ray_actor_options"] = {"num_cpus": 0.1, "num_gpus": gpus / replicas}
    deployment["max_ongoing_requests"] = max(64, 4 * batch)
    model["deployments"] = [deployment]
    return document


def table(rows: Sequence[Row]) -> str:
    """For people, in Markdown. The last column is the best rate over HTTP as a share of the bare one."""
    counts = sorted({count for row in rows for count in row.served})
    head = ["model", "batch", "bare", *(f"HTTP, {count} replica{'s' * (count > 1)}" for count in counts), "share"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        served = [f"{row.served[count]:.1f}" if count in row.served else "" for count in counts]
        share = max(row.served.values(), default=0.0) / row.bare
        lines.append(f"| {' | '.join([row.model, f'{row.batch}', f'{row.bare:.1f}', *served, f'{share:.2f}'])} |")
    return "\n".join(lines)


def _row(model: BenchModel, options: argparse.Namespace, scratch: Path) -> Row:
    image = sample_image(HD)
    batch = model.definition.largest_batch
    bare = _bare(model, image, options.seconds, scratch)
    served = {}
    for replicas in options.replicas:
        base = scratch / f"{model.name}-{batch}-{replicas}.yaml"
        base.write_text(yaml.safe_dump(base_with(replicas, options.gpus, batch)), "utf-8")
        served[replicas] = _served(model, base, 2 * batch * replicas, image, options.seconds)
    return Row(model.name, batch, bare, served)


def _bare(model: BenchModel, image: SampleImage, seconds: float, scratch: Path) -> float:
    file = scratch / "frame"
    file.write_bytes(image.upload.content)
    with crew_at_work(model, Crew(1, cores()), scratch) as [worker]:
        worker.order(do="infer", file=f"{file}", batch=model.definition.largest_batch, seconds=seconds)
        answer = worker.answer()
        return float(answer["images"] / answer["seconds"])


def _served(model: BenchModel, base: Path, clients: int, image: SampleImage, seconds: float) -> float:
    folder = base.with_suffix("")
    folder.mkdir()
    running = start_fast(model, Workspace(folder, folder, base))
    try:
        wait_until_ready(running, START_S)
        wait_until_calm(running)
        load = CaseLoad(
            Case(model.name, HD, (FAST,), concurrency=clients), Window(seconds / 2, seconds), counts_batches=False
        )
        return float(measure(running, image, load)["figures"]["requests_per_s"])
    finally:
        running.stop()


def _gpus_here() -> int | None:
    return len(list(DEVICES.glob("nvidia[0-9]*"))) or None


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("configs/fathomnet.yaml"), help="where the models stand")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS), help="names in it")
    parser.add_argument("--batches", type=_numbers, default=[1, 8, 32], help="largest batches, such as 1,8,32")
    parser.add_argument("--replicas", type=_numbers, default=[1, 2, 4], help="such as 1,2,4")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a measurement (%(default)s)")
    parser.add_argument("--gpus", type=int, default=_gpus_here(), help="which the replicas share (default: all)")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
