"""`python -m benchmarks`: reads the options, carries the run out, and writes what it found."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import chosen_cases
from benchmarks.limit.calibration import FILE_NAME, calibrated_depths
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.options import REDIS, START, parse_options, timing_of
from benchmarks.report.bars import verdicts
from benchmarks.report.estimate import estimate_s
from benchmarks.report.report import bar_table, page
from benchmarks.report.summary import Summary
from benchmarks.run import Plan, Run
from benchmarks.sample_images import HD, SMALL, SampleImage, sample_image
from benchmarks.systems.contract import Workspace, cores

_LIBRARIES = ("ray", "tensorflow", "keras", "fastapi", "uvicorn", "redis", "pillow", "numpy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when a system failed or a bar is not met, 130 after an interrupt."""
    options = parse_options(arguments)
    if options.check_file is not None:
        return check(json.loads(options.check_file.read_text("utf-8")))
    try:
        with run_folder() as scratch:
            return bench(options, scratch)
    except KeyboardInterrupt:
        say("interrupted; everything that was started is stopped")
        return INTERRUPTED


def bench(options: argparse.Namespace, scratch: Path) -> int:
    """One run, from the calibration to the files. What was measured before an interrupt is written too."""
    timing = timing_of(options)
    cases = chosen_cases(options.cases, options.models, options.systems) if options.systems else []
    folder = options.results / time.strftime("%Y%m%dT%H%M%S")
    folder.mkdir(parents=True)
    if options.recalibrate:
        (options.results / FILE_NAME).unlink(missing_ok=True)
    redis_systems = options.redis_systems if REDIS in options.extras else []
    needed = {case.image for case in cases} | ({SMALL, HD} if redis_systems else set())
    images = {name: sample_image(name, options.large_png) for name in sorted(needed)}
    plan = Plan(cases, options.systems, redis_systems, START in options.extras, timing, {})
    say(f"about {estimate_s(plan) / 60:.0f} minutes on an idle machine; results in {folder}")
    depths = _depths([case.model for case in cases], options.results, scratch)
    plan = replace(plan, depths=depths)
    workspace = Workspace(folder, scratch, options.config, dict(options.env), options.fast_endpoint)
    run = Run(plan, workspace, images, say)
    try:
        run.everything()
    finally:
        document = {"about": _about(options, depths, images), **asdict(run.results)}
        write(document, folder)
    failed = bool(document["problems"])
    return max(check(document) if options.check else 0, int(failed))


def write(document: dict[str, Any], folder: Path) -> None:
    """Results as JSON, a page and, where matplotlib is there, charts."""
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (folder / "report.md").write_text(page(document), "utf-8")
    say(f"written: {folder / 'results.json'}, {folder / 'report.md'}")
    try:
        from benchmarks.report.charts import draw

        draw(document, folder)
    except ImportError:
        say("no charts: matplotlib is not installed")


def check(document: dict[str, Any]) -> int:
    """Prints every bar; 1 when one is not met. A bar that was not measured is not a failure, and is listed."""
    found = verdicts(Summary(document))
    say("\n".join(bar_table(found)))
    return int(any(one.is_met is False for one in found))


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _depths(models: list[str], results: Path, scratch: Path) -> dict[str, int]:
    sample = scratch / "calibration.bin"
    sample.write_bytes(sample_image(HD).upload.content)
    return calibrated_depths(sorted(set(models)), sample, results, scratch)


def _about(options: argparse.Namespace, depths: dict[str, int], images: dict[str, SampleImage]) -> dict[str, Any]:
    timing = timing_of(options)
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "quick": options.quick,
        "machine": f"{platform.machine()}, {cores()} cores, load {os.getloadavg()[0]:.1f} at the end",
        "versions": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "python": platform.python_version(),
        "rounds": timing.rounds,
        "seconds": timing.seconds,
        "environment of ours": " ".join("=".join(pair) for pair in options.env) or "nothing added",
        "depths": depths,
        "images": {name: len(one.upload.content) for name, one in images.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
