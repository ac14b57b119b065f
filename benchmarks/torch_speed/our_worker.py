"""Our side: `python -m benchmarks.torch_speed.our_worker NETWORK WEIGHTS THREADS PRECISION`.

The bare runtime of the product, from uint8 canvases to what the graph gives: of a YOLO the box, score and class of
each cell.
"""

import sys

import numpy as np

from benchmarks.torch_speed.networks import NETWORKS
from benchmarks.torch_speed.worker import Run, claimed_output, obey
from deployments.definition import ModelDefinition
from deployments.families import FAMILIES, load_family
from deployments.runtimes import Resources, load_runtime


def main(network: str, weights: str, threads: int, precision: str) -> None:
    """Runs until its input ends."""
    answers = claimed_output()
    compared = NETWORKS[network]
    definition = ModelDefinition(
        family=compared.family,
        weights=weights,
        canvas_px=(compared.input_px, compared.input_px),
        parameters={"precision": precision},
    )
    model = load_family(definition)
    runtime = load_runtime(FAMILIES[compared.family].runtime, Resources(cpu_threads=threads))
    runtime.load(model, list(compared.batches))
    rng = np.random.default_rng(0)

    def prepare(variant: str, batch: int) -> Run:
        del variant
        canvases = [rng.integers(0, 256, (*model.canvas_px, 3), dtype=np.uint8) for _ in range(batch)]
        return lambda: runtime.infer(canvases)

    obey(answers, [precision], prepare)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
