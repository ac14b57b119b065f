"""Train the demo model on drawings: `python -m training.benthic_demo.train`.

Everything is seeded, but
sums over threads are not ordered, so two runs agree closely and not bit for bit.
"""

import argparse
import json
import logging
import math
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from deployments.families.contract import Thresholds
from deployments.families.demo import weights_file
from deployments.families.demo.family import SHIPPED_WEIGHTS
from deployments.families.demo.network import STRIDES_PX, trainable_network
from deployments.families.shared.anchor_free import HeadMaps
from training.benthic_demo.animals import LABELS
from training.benthic_demo.assign import Truth
from training.benthic_demo.dataset import CROP_PX, Batch, batches, draw_examples, draw_scenes
from training.benthic_demo.evaluate import VALIDATION_FIRST_SEED, detect, score
from training.benthic_demo.loss import detection_loss
from training.benthic_demo.scenes import Scene

_log = logging.getLogger(__name__)
_THRESHOLDS = Thresholds(score_threshold=0.02, iou_threshold=0.6, max_detections=100)
_WARM_UP_STEPS = 300
_AVERAGE_DECAY = 0.9985


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One training run. `steps` rather than hours, so that it can be repeated elsewhere."""

    steps: int
    scenes: int
    batch: int
    peak_rate: float
    seed: int
    check_every: int
    output: Path


class Trainer:
    """The network, its optimiser and a running average of its weights."""

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan
        self.network = trainable_network(CROP_PX, len(LABELS))
        self.average = trainable_network(CROP_PX, len(LABELS))
        self.average.set_weights(self.network.get_weights())
        self.optimiser = keras.optimizers.AdamW(plan.peak_rate, weight_decay=0.01, clipnorm=10.0)
        self.optimiser.build(self.network.trainable_variables)
        self._compiled = tf.function(self._step, reduce_retracing=True)

    def step(self, number: int, batch: Batch) -> Any:
        """Learn from one batch; returns the two loss terms as a float32 tensor (2,)."""
        self.optimiser.learning_rate.assign(learning_rate(number, self.plan))
        # The average starts short, or the first random weights would linger in it.
        decay = min(_AVERAGE_DECAY, (1 + number) / (10 + number))
        return self._compiled(batch.pixels, (batch.boxes, batch.classes, batch.present), tf.constant(decay))

    def _step(self, pixels: Any, truth: tuple[Any, Any, Any], decay: Any) -> Any:
        with tf.GradientTape() as tape:
            flat = self.network(pixels, training=True)
            levels = [HeadMaps(flat[2 * i], flat[2 * i + 1], s) for i, s in enumerate(STRIDES_PX)]
            terms = tf.stack(detection_loss(levels, Truth(*truth)))
            total = tf.reduce_sum(terms)
        variables = self.network.trainable_variables
        self.optimiser.apply(tape.gradient(total, variables), variables)
        for mean, current in zip(self.average.weights, self.network.weights, strict=True):
            mean.assign(decay * mean + (1.0 - decay) * current)
        return terms


def learning_rate(step: int, plan: TrainingPlan) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak."""
    if step < _WARM_UP_STEPS:
        return plan.peak_rate * (step + 1) / _WARM_UP_STEPS
    share = (step - _WARM_UP_STEPS) / max(1, plan.steps - _WARM_UP_STEPS)
    return plan.peak_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def train(plan: TrainingPlan) -> None:
    """Draw, train and keep the weights that score best on the validation scenes."""
    keras.utils.set_random_seed(plan.seed)
    start_s = time.monotonic()
    examples = draw_examples(range(plan.scenes))
    validation = draw_scenes(range(VALIDATION_FIRST_SEED, VALIDATION_FIRST_SEED + 150))
    _log.info("drew %d scenes in %.0f s", plan.scenes, time.monotonic() - start_s)
    trainer = Trainer(plan)
    best = 0.0
    stream = _ahead(batches(examples, plan.batch, plan.seed))
    for number in range(plan.steps):
        terms = trainer.step(number, next(stream))
        if number % 50 == 0:
            box, label = terms.numpy()
            passed_s = time.monotonic() - start_s
            _log.info("step %d box %.3f class %.3f at %.0f s", number, box, label, passed_s)
        if (number + 1) % plan.check_every == 0 or number + 1 == plan.steps:
            best = max(best, _check(trainer, validation, best, number + 1))
    wall_s = time.monotonic() - start_s
    _log.info("done: best map50 %.4f, %.0f s", best, wall_s)
    record = {"steps": plan.steps, "scenes": plan.scenes, "wall_s": round(wall_s), "map50": best}
    plan.output.with_suffix(".run.json").write_text(json.dumps(record, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--check-every", type=int, default=500)
    parser.add_argument("--output", type=Path, default=SHIPPED_WEIGHTS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(TrainingPlan(**vars(parser.parse_args(arguments))))


def _check(trainer: Trainer, scenes: list[Scene], best: float, step: int) -> float:
    draft = trainer.plan.output.with_suffix(".last.npz")
    stored = weights_file.fold(trainer.average, LABELS)
    weights_file.write(draft, stored)
    figures = score(scenes, detect(draft, scenes, _THRESHOLDS), LABELS)
    _log.info("step %d validation %s", step, figures)
    map50 = float(figures["map50"])
    if map50 >= best:
        weights_file.write(trainer.plan.output, stored)
    draft.unlink()
    return map50


def _ahead(source: Iterator[Batch], depth: int = 6) -> Iterator[Batch]:
    """Prepare batches in a thread while the network learns."""
    ready: queue.Queue[Batch] = queue.Queue(depth)

    def fill() -> None:
        for batch in source:
            ready.put(batch)

    threading.Thread(target=fill, daemon=True).start()
    while True:
        yield ready.get()


if __name__ == "__main__":
    main()
