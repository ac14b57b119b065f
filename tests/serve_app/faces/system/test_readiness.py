"""Ready means that a request would be answered now, Redis included; what is not well is named."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.catalogue import ModelState
from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.readiness import CONTROLLER_SILENT_AFTER_S, Signs, readiness
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record

REQUIRED = record("benthic-demo", required=True)
OTHER = record("other")
SLEEPY = record("sleepy", ModelState.ASLEEP, required=True)
OLD = Signs(view_age_s=CONTROLLER_SILENT_AFTER_S + 1)
KEYS = "their file cannot be used; the log of the door says why"
VIEW = "the controller has not answered for 16 s, and what is said of the models is as old"


@pytest.mark.parametrize(
    ("records", "unhealthy", "signs", "status", "reasons", "degraded"),
    [
        ([REQUIRED, OTHER], {}, Signs(), "ready", {}, {}),
        ([REQUIRED], {}, Signs(gateway="bridge"), "ready", {}, {}),
        ([REQUIRED], {}, Signs(silent_models={"benthic-demo": "hangs"}), "not ready", {"benthic-demo": "hangs"}, {}),
        ([REQUIRED, OTHER], {}, Signs(silent_models={"other": "hangs"}), "degraded", {}, {"other": "hangs"}),
        ([], {}, Signs(gateway="bridge", gateway_reason="full"), "not ready", {"bridge": "full"}, {}),
        ([], {"bridge": "died"}, Signs(gateway="bridge", gateway_reason="x"), "not ready", {"bridge": "died"}, {}),
        ([], {"bridge": "1 of 2"}, Signs(gateway="bridge", gateway_runs=True), "degraded", {}, {"bridge": "1 of 2"}),
        (
            [],
            {"bridge": "1 of 2"},
            Signs({}, "bridge", "full", gateway_runs=True),
            "not ready",
            {"bridge": "full"},
            {},
        ),
        ([], {"valkey": "died"}, Signs(gateway="bridge"), "degraded", {}, {"valkey": "died"}),
        ([], {"bridge": "died"}, Signs(gateway=None), "degraded", {}, {"bridge": "died"}),
        ([REQUIRED], {}, OLD, "degraded", {}, {"Serve's controller": VIEW}),
        ([], {}, Signs(has_keys_fault=True), "degraded", {}, {"API keys": KEYS}),
        ([], {}, Signs(has_keys_fault=True, door_is_closed=True), "not ready", {"API keys": KEYS}, {}),
        ([SLEEPY], {}, Signs(), "ready", {}, {}),
        ([SLEEPY], {}, OLD, "not ready", {"sleepy": f"nobody would wake it: {VIEW}"}, {"Serve's controller": VIEW}),
    ],
)
def test_ready_is_judged_by_what_was_found_out(
    records: Any, unhealthy: dict[str, str], signs: Signs, status: str, reasons: Any, degraded: Any
) -> None:
    body = readiness(records, unhealthy, signs)
    assert body["status"] == status
    for found, expected in ((body["reasons"], reasons), (body["degraded"], degraded)):
        assert {one.get("model") or one["application"]: one["reason"] for one in found} == expected


async def test_the_route_answers_503_with_the_reasons_while_redis_takes_no_jobs(
    system: FakeSystem, settings: DoorSettings, counted: CountedAnswers, tmp_path: Path
) -> None:
    reason = ["Redis cannot be reached"]

    async def metrics_text() -> str:
        return ""

    shown = System(system, metrics_text, tmp_path, lambda: Signs(gateway="bridge", gateway_reason=reason[0]))
    transport = httpx.ASGITransport(create_api(ModelAccess(system, system.predict), shown, settings, counted))
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
        answer = await http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == [{"application": "bridge", "reason": "Redis cannot be reached"}]
        assert (await http.get("/health/live")).status_code == 200
        reason[0] = ""
        assert (await http.get("/health/ready")).status_code == 200
