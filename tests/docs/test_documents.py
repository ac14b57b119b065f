"""Checks what the documents say: links, names of metrics and settings, blocks of models, tables, figures."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[!.]*/README.md")})
PACKAGES = ("deployments", "serve_app", "redis_bridge")
METRIC = re.compile(r'"(fathom_[a-z_]+)"')
STAGES = ("decode", "wait", "inference", "postprocess")


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of this language in a document at the root."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (document.parent / target).exists()]
    assert missing == []


def anchors_of(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", document.read_text(encoding="utf-8"))
    local = [(document.parent / page if page else document, anchor) for page, anchor in links if "://" not in page]
    missing = [f"{page.name}#{anchor}" for page, anchor in local if anchor not in anchors_of(page)]
    assert missing == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = [path.name for path in sorted(ROOT.glob("docs/*.md")) if path.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in index] == []


def test_every_metric_of_the_code_stands_in_the_table_and_no_other() -> None:
    in_code = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            in_code |= set(METRIC.findall(path.read_text(encoding="utf-8")))
    in_code |= {f"fathom_{stage}_seconds" for stage in STAGES}
    rows = re.findall(r"^\| `(fathom_[a-z_]+)`", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == sorted(in_code)


def test_every_error_of_the_http_door_stands_in_its_table_with_its_status() -> None:
    from serve_app.http.problems import STATUS

    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)`", (ROOT / "docs/http-api.md").read_text(encoding="utf-8"), re.M)
    answered = {(str(int(status)), kind.code) for kind, status in STATUS.items()}
    assert set(rows) == answered


def test_every_setting_of_the_readme_stands_in_the_table_of_settings() -> None:
    settings = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `([A-Z_a-z]+)`", settings, re.M))
    named = set(re.findall(r"\b(?:FATHOM|REDIS|RAY)_[A-Z_]+\b", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named
    assert named <= known


def test_the_model_blocks_of_the_readme_are_valid() -> None:
    from serve_app.launcher.configuration.validation import block_problems

    found = [yaml.safe_load(block) for block in blocks("README.md", "yaml")]
    assert [block["name"] for block in found] == ["second-demo", "my-yolo"]
    assert [block_problems(block) for block in found] == [[], []]
    file = ROOT / "configs/models/second-demo.yaml"
    assert found[0] == yaml.safe_load(file.read_text(encoding="utf-8")), f"{file} is what the README shows"


def published_at(uri: str) -> tuple[str, str]:
    """What a person calls the place of these weights, and its address."""
    scheme, _, rest = uri.partition(":")
    words = rest.lstrip("/").split("/")
    if scheme == "hf":
        return (name := "/".join(words[:2])), f"https://huggingface.co/{name}"
    if scheme == "doi":
        return (name := "/".join(words[:2])), f"https://doi.org/{name}"
    return (name := "/".join(words[1:3])), f"https://{words[0]}/{name}"


def test_the_table_of_published_models_is_that_of_the_zoo() -> None:
    zoo = yaml.safe_load((ROOT / "configs/fathomnet.yaml").read_text(encoding="utf-8"))
    models = [(one["name"], one["args"]) for one in zoo["applications"] if "weights" in one.get("args", {})]
    rows = [
        f"| `{name}` | {args['description']} | {args['licence']} | [{place[0]}]({place[1]}) |"
        for name, args in models
        for place in [published_at(args["weights"]["uri"])]
    ]
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Published models")[1].split("\n## ")[0]
    assert re.findall(r"^\| `.*", section, re.M) == rows


def test_the_figures_of_the_readme_stand_in_the_page_on_performance() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [paragraph] = [one for one in readme.split("\n\n") if one.startswith("**Speed**")]
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    summary = page.split("\n## ")[1]
    assert summary.startswith("In short\n")
    figures = set(re.findall(r"\d[\d.]*\d", paragraph)) - {"720"}
    assert [figure for figure in sorted(figures) if figure not in summary] == []


def test_the_redis_client_of_the_readme_is_ten_lines_of_python() -> None:
    [client] = blocks("README.md", "python")
    assert len([line for line in client.splitlines() if line.strip()]) == 10
    assert ast.parse(client).body


def test_the_image_gets_what_it_copies_and_listens_where_the_configuration_says() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = re.findall(r"^!(\S+?)/?$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.M)
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.M)
    copied = [name.rstrip("/") for line in lines for name in line.split()]
    assert sorted(copied) == sorted(allowed)
    assert all((ROOT / name).exists() for name in copied)
    port = yaml.safe_load((ROOT / "configs/app.yaml").read_text(encoding="utf-8"))["http_options"]["port"]
    assert f"EXPOSE {port}" in dockerfile


def test_a_container_is_given_time_to_drain() -> None:
    from serve_app.launcher.configuration.env_settings import SystemSettings

    server = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["server"]
    assert server["stop_signal"] == "SIGINT"
    assert int(server["stop_grace_period"].removesuffix("s")) > SystemSettings().stop_grace_s
