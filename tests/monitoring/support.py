"""The dashboards and alert rules of `monitoring/`, as tests look at them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana/dashboards").glob("*.json"))
ALERTS = MONITORING / "prometheus/alerts.yml"
CASES = sorted((MONITORING / "prometheus/tests").glob("*.yml"))

NAMES = re.compile(r"\b(?:fathom|ray)_[a-z_]+\b")
LIMIT = re.compile(r"^(.*\S)\s*[<>]\s*[0-9.]+$", re.DOTALL)
VARIABLES = {"$__rate_interval": "1m", "$model": ".*", "$queue": ".*", "$ip": ".*"}


@dataclass(frozen=True)
class Query:
    """where: for people.  text: PromQL, without Grafana's variables."""

    where: str
    text: str

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names, without the suffix of a histogram's parts."""
        names: set[str] = set(NAMES.findall(self.text))
        return {name.removesuffix("_bucket") for name in names}


def dashboard(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(path)["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panel_queries() -> Iterator[Query]:
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                text = target["expr"]
                for variable, value in VARIABLES.items():
                    text = text.replace(variable, value)
                yield Query(f"{path.stem}: {panel['title']} {target['refId']}", text)


def alert_queries() -> Iterator[Query]:
    """What each alert compares with its limit."""
    for rule in rules():
        found = LIMIT.match(rule["expr"].strip())
        assert found, f"the expression of {rule['alert']} does not end in its limit"
        yield Query(f"alert {rule['alert']}", found[1])
