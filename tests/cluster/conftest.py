"""One cluster for all scenarios, as it takes a minute to start; each scenario finds all nodes and replicas there."""

import sys
from collections.abc import Iterator

import pytest

from tests.cluster import network
from tests.cluster.nodes import Bed, cluster
from tests.cluster.scenarios import FIGURES, deploy, tell, wait_until_whole


@pytest.fixture(scope="package")  # and not of the session: it costs what runs after it a third of a core
def fresh_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The cluster, without any application to begin with."""
    if not network.are_allowed():
        pytest.skip("network namespaces are not allowed here (they need root); Ray's own utility runs instead")
    with cluster(tmp_path_factory.mktemp("bed")) as bed:
        tell(f"nodes: {bed.kind}")
        yield bed


@pytest.fixture
def bed(fresh_bed: Bed) -> Bed:
    """The cluster with all nodes, and with every replica of the system running."""
    fresh_bed.heal()
    if not fresh_bed.details().get("applications"):
        deploy(fresh_bed)
    wait_until_whole(fresh_bed)
    return fresh_bed


@pytest.fixture(autouse=True)
def told_at_once(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Shows what a test has to tell when it ends, as a run may be cut off."""
    known = len(FIGURES)
    yield
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{line}\n" for line in FIGURES[known:]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what each scenario cost, whether tests passed or not."""
    if FIGURES:
        terminalreporter.section("the cluster")
        for line in FIGURES:
            terminalreporter.write_line(line)
