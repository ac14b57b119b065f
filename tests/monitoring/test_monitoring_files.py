"""Dashboards, alert rules and their provisioning: well formed, complete, and about metrics that there are."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.support import (
    ALERTS,
    CASES,
    DASHBOARDS,
    MONITORING,
    ROOT,
    alert_queries,
    dashboard,
    panel_queries,
    panels,
    rules,
)

QUERIES = [*panel_queries(), *alert_queries()]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        assert not os.environ.get("CI"), "CI has to have promtool (Debian: prometheus)"
        pytest.skip("there is no promtool (Debian: prometheus)")
    return found


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration_and_the_rules(promtool: str) -> None:
    run(promtool, "check", "config", MONITORING / "prometheus/prometheus.yml")
    run(promtool, "check", "rules", ALERTS)


def test_every_alert_fires_beyond_its_limit_and_only_there(promtool: str) -> None:
    run(promtool, "test", "rules", *CASES)


def test_every_alert_has_a_case_and_a_section_that_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    cases = [case["name"] for path in CASES for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs/monitoring.md").read_text(encoding="utf-8"), re.M)
    assert names == sections
    assert sorted(cases) == sorted(names)
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.where)
def test_every_query_asks_for_metrics_of_the_table(query: Any) -> None:
    table = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    known = set(re.findall(r"`((?:fathom|ray)_\w+)`", table))
    assert query.metrics | {"up"} <= known | {"up"}, query.metrics - known


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows_in_which_unit(path: Path) -> None:
    document = dashboard(path)
    assert document["uid"] == f"fathomnet-{path.stem}"
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
    variables = {one["name"] for one in document["templating"]["list"]}
    used = set(re.findall(r"\$([a-z]\w*)", " ".join(t["expr"] for p in panels(path) for t in p["targets"])))
    assert used <= variables


def test_panels_do_not_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard(path)["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, f"{path.stem}: {panel['title']}"
            assert at["x"] + at["w"] <= 24
            taken |= cells


def test_compose_mounts_what_there_is_and_scrapes_its_own_server() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    prometheus = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    [scraped] = prometheus["scrape_configs"]
    host, _, port = scraped["static_configs"][0]["targets"][0].partition(":")
    assert any(published.endswith(f":{port}") for published in services[host]["ports"])
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        mounted = [volume.split(":")[0] for volume in services[name]["volumes"] if volume.startswith("./")]
        assert mounted
        assert [path for path in mounted if not (ROOT / path).is_dir()] == []
    assert prometheus["rule_files"] == [ALERTS.name]
