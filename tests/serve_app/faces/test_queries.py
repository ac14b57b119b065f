"""A query that a route does not read is refused: its options would have no effect, and nobody would know."""

import httpx
import pytest

from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.cvat.nuclio import HEADERS
from tests.serve_app.faces.label_studio.asking import request_of, setup_of
from tests.serve_app.faces.open_inference.asking import body_of, files
from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.uploads import picture

INFER, LENGTH = body_of(files())
POSTS: dict[str, dict[str, object]] = {
    "/v2/models/benthic-demo/infer": {"content": INFER, "headers": LENGTH},
    "/v2/models/benthic-demo/versions/1/infer": {"content": INFER, "headers": LENGTH},
    "/v2/repository/index": {},
    "/v2/repository/models/benthic-demo/load": {},
    "/api/function_invocations": {"json": {"image": base64_of(picture())}, "headers": HEADERS},
    "/label-studio/benthic-demo/predict": {"json": request_of()},
    "/label-studio/benthic-demo/setup": {"json": setup_of()},
    "/label-studio/benthic-demo/webhook": {"json": {"action": "START_TRAINING"}},
    "/pythia/predict": {"files": {"file": picture()}},
    "/fastapi-yolov5/benthic-demo/": {"files": {"file": picture()}},
    "/ultralytics/benthic-demo/predict": {"files": {"file": picture()}},
    "/roboflow/benthic-demo/1": {"content": base64_of(picture())},
    "/roboflow/infer/object_detection": {"json": {"model_id": "benthic-demo/1"}},
    "/roboflow/model/add": {"json": {"model_id": "benthic-demo/1"}},
    "/roboflow/model/remove": {"json": {"model_id": "benthic-demo/1"}},
    "/v1/models/benthic-demo/predict": {"content": picture()},
    "/predictor/": {"files": {"file": picture()}},
}


@pytest.mark.parametrize("path", POSTS)
async def test_an_option_in_the_query_is_not_swallowed(
    path: str, client: httpx.AsyncClient, system: FakeSystem
) -> None:
    answer = await client.post(path, params={"score_treshold": "0.9"}, **POSTS[path])  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert "unknown query parameter 'score_treshold'" in answer.json()["detail"]
    assert system.asked == []
