"""A checkpoint as its authors published it, added to the running system and asked through both doors."""

from pathlib import Path
from typing import Any

import PIL.Image
import yaml

from .conftest import RunningSystem, fixture_file
from .test_both_doors import answer_of, job

QUEUE = "image_queue_coco"


def block(weights: Path) -> dict[str, Any]:
    return {
        "name": "yolov5n",
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "yolov5", "weights": str(weights), "queues": [QUEUE], "largest_batch": 1},
        "deployments": [
            {
                "name": "Model",
                "max_ongoing_requests": 16,
                "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
                "ray_actor_options": {"num_cpus": 0.25},
            }
        ],
    }


def test_yolov5n_finds_the_people_and_the_bus(system: RunningSystem, tmp_path: Path) -> None:
    street = fixture_file("images/bus.jpg")
    path = tmp_path / "yolov5n.yaml"
    path.write_text(yaml.safe_dump(block(fixture_file("weights/yolov5n.pt"))))
    system.launch("add", str(path))
    try:
        answer = system.http.post("/predictor/", files={"file": street.read_bytes()}, data={"model_type": "yolov5n"})
        assert answer.status_code == 200, answer.text
        by_http = [row["category_id"] for row in answer.json()["predictions"]]
        assert by_http.count("person") >= 3
        assert by_http.count("bus") == 1

        # The same picture without its JPEG: the queue carries pixels.
        frame = tmp_path / "street.png"
        PIL.Image.open(street).save(frame)
        system.redis.rpush(QUEUE, job(frame, "street"))
        assert [row["category_id"] for row in answer_of(system, "street")] == by_http
    finally:
        system.launch("remove", "yolov5n")
