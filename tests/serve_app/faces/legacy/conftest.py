"""External workers that a test asks for."""

import pytest

from deployments.external import ExternalWorker, record_of
from serve_app.faces.legacy.segmentation import SAM_QUEUE
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.legacy.external_workers import CORAL


@pytest.fixture
def external_workers(system: FakeSystem) -> None:
    system.records_now += [
        record_of(ExternalWorker(CORAL, "corals, by hand")),
        record_of(ExternalWorker(SAM_QUEUE)),
    ]
