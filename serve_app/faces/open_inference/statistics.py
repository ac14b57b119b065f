"""How many images were asked through this face since the door started, and how long they took, as Triton counts."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from deployments.prediction import Outcome, Prediction
from serve_app.faces.open_inference.named import NamedModel

_NS_PER_S = 1e9

_STAGES = {"queue": "wait", "compute_input": "decode", "compute_infer": "inference", "compute_output": "postprocess"}
"""Triton's name of a stage -> ours."""


class Statistics:
    """Of all models. With several doors, each counts for itself."""

    def __init__(self) -> None:
        self._by_model: dict[tuple[str, str], _Counted] = {}

    def note(self, named: NamedModel, outcomes: Sequence[Outcome], took_s: float) -> None:
        """One request is done."""
        self._by_model.setdefault((named.name, named.version), _Counted()).note(outcomes, took_s)

    def of(self, named: NamedModel) -> dict[str, Any]:
        """The members of one model."""
        counted = self._by_model.get((named.name, named.version)) or _Counted()
        return {"name": named.name, "version": named.version, **counted.members()}


class _Counted:
    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._spent_s: defaultdict[str, float] = defaultdict(float)
        self._requests = 0
        self._last_ms = 0

    def note(self, outcomes: Sequence[Outcome], took_s: float) -> None:
        is_success = not any(isinstance(one, Exception) for one in outcomes)
        self._add("success" if is_success else "fail", took_s)
        self._requests += 1
        self._last_ms = round(time.time() * 1000)
        for one in outcomes:
            if isinstance(one, Prediction):
                stages = one.timings.stage_seconds()
                self._count["inferences"] += 1
                for stage, ours in _STAGES.items():
                    self._add(stage, stages[ours])

    def members(self) -> dict[str, Any]:
        return {
            "last_inference": self._last_ms,
            "inference_count": self._count["inferences"],
            "execution_count": self._requests,
            "inference_stats": {
                stage: {"count": self._count[stage], "ns": round(self._spent_s[stage] * _NS_PER_S)}
                for stage in ("success", "fail", *_STAGES)
            },
            # In which batches images ran is counted where the model runs: /metrics has it.
            "batch_stats": [],
        }

    def _add(self, stage: str, spent_s: float) -> None:
        self._count[stage] += 1
        self._spent_s[stage] += spent_s
