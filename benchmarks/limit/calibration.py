"""Finds, once for a machine, how deep a calibrated model must be to take its time: one image, one thread,
inference alone. The depths are kept in a file, as models must not change between runs that are compared.

CPU time is what is measured: on one thread it is the time on an idle core, and others' work disturbs it little.
"""

import json
import platform
from collections.abc import Callable
from pathlib import Path

from benchmarks.limit.limit import inference_cpu_ms
from benchmarks.models import TARGET_MS, bench_model

FILE_NAME = "calibration.json"
FIRST_DEPTHS = (2, 16)
TOLERANCE = 0.1
_CORRECTIONS = 4
_SECONDS = 3.0


def calibrated_depths(models: list[str], file: Path, results: Path, scratch: Path) -> dict[str, int]:
    """Depth by model. file: an image.  results: the folder where depths are kept between runs."""
    kept = results / FILE_NAME
    machine = f"{platform.machine()} {_processor()}"
    stored = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    known: dict[str, int] = stored.get("depths", {}) if stored.get("machine") == machine else {}
    wanted = [name for name in models if name in TARGET_MS and name not in known]
    for name in wanted:
        known[name] = find_depth(
            lambda depth, name=name: inference_cpu_ms(bench_model(name, {name: depth}), file, _SECONDS, scratch),  # type: ignore[misc]
            TARGET_MS[name],
        )
    if wanted:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"machine": machine, "depths": known}, indent=1) + "\n", "utf-8")
    return known


def find_depth(measure_ms: Callable[[int], float], target_ms: float) -> int:
    """The depth at which `measure_ms` is nearest to `target_ms`, by the secant method; time grows with depth.

    Raises ValueError when time does not grow with depth: the machine is too busy to calibrate.
    """
    low, depth = FIRST_DEPTHS
    low_ms, took_ms = measure_ms(low), measure_ms(depth)
    for _ in range(_CORRECTIONS):
        if abs(took_ms - target_ms) <= TOLERANCE * target_ms or depth == low:
            break
        slope_ms = (took_ms - low_ms) / (depth - low)
        if slope_ms <= 0:
            raise ValueError(
                f"{depth} blocks took {took_ms:.1f} ms and {low} took {low_ms:.1f} ms: is the machine busy?"
            )
        depth = max(1, round(low + (target_ms - low_ms) / slope_ms))
        took_ms = measure_ms(depth)
    return depth


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x{len(names)}" if names else platform.processor()
