"""What candidates have done so far, in words for people, from the text of `GET /metrics`. Pure."""

import re
from collections import defaultdict

from serve_app.launcher.app_status import Details

_SERIES = re.compile(r"^(fathom_(?:candidate|shadow)_[a-z_]+)\{(.*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Counts = dict[str, float]


def has_candidates(details: Details) -> bool:
    """Whether a model of the running system is a candidate."""
    configs = (report.get("deployed_app_config") or {} for report in details.get("applications", {}).values())
    deployments = (one for config in configs for one in config.get("deployments") or [])
    return any((one.get("user_config") or {}).get("candidate") for one in deployments)


def candidate_report(metrics_text: str) -> str:
    """One line for each revision of a candidate and what it was given: counts since the doors were started."""
    counts: dict[tuple[str, str, str], Counts] = defaultdict(lambda: defaultdict(float))
    for line in metrics_text.splitlines():
        if found := _SERIES.match(line):
            labels = dict(_LABEL.findall(found[2]))
            whose = (labels["candidate"], labels["revision"], labels["model"])
            kind = labels.get("outcome") or labels.get("found_by") or "score_difference"
            counts[whose][kind] += float(found[3])
    return "\n".join(line for whose, of_it in sorted(counts.items()) for line in _lines(*whose, of_it))


def _lines(candidate: str, revision: str, model: str, counts: Counts) -> list[str]:
    lines = []
    if counts["answered"] + counts["passed-on"]:
        lines.append(
            f"{candidate} (revision {revision}), share of {model}: {counts['answered']:.0f} answered, "
            f"{counts['passed-on']:.0f} passed on to {model}"
        )
    compared = counts["same"] + counts["differing"]
    if compared + counts["failed"] + counts["dropped"]:
        mean = counts["score_difference"] / counts["both"] if counts["both"] else 0.0
        lines.append(
            f"{candidate} (revision {revision}), shadow of {model}: {compared:.0f} compared, "
            f"{counts['differing']:.0f} differ, {counts['failed']:.0f} failed, {counts['dropped']:.0f} dropped; "
            f"boxes: {counts['both']:.0f} in both, {counts['model']:.0f} only in {model}, "
            f"{counts['candidate']:.0f} only in {candidate}; mean difference of scores: {mean:.3f}"
        )
    return lines
