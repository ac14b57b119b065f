"""Asks a door as Label Studio does, and label-studio-ml's own server beside it. Run in the tool's environment.

Arguments: the address of the model's backend, and of the server that has the images. Prints JSON.
"""

import json
import sys
from urllib.parse import urljoin

import requests
from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase
from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue
from requests.adapters import HTTPAdapter

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="boxes" toName="image">
    <Label value="Edible crab" alias="crab"/><Label value="Fish"/>
  </RectangleLabels>
  <BrushLabels name="masks" toName="image"><Label value="Crab"/><Label value="Fish"/></BrushLabels>
  <PolygonLabels name="outlines" toName="image"><Label value="Crab"/></PolygonLabels>
  <KeyPointLabels name="points" toName="image"><Label value="Crab"/></KeyPointLabels>
</View>"""


class Reference(LabelStudioMLBase):
    """A backend as its authors mean it, which finds nothing."""

    model_version = "1"

    def predict(self, tasks, **kwargs):
        return [{"result": [], "score": 0.0, "model_version": "1"} for _ in tasks]


class Session:
    """As label_studio/ml/api_connector.py 1.23: two retries, and the path joined to the address with a slash."""

    def __init__(self, address):
        self.address = address if address.endswith("/") else address + "/"
        self.http = requests.Session()
        self.http.headers["User-Agent"] = "heartex/1.23.2"
        self.http.mount("http://", HTTPAdapter(max_retries=2))

    def get(self, path):
        return self.http.get(urljoin(self.address, path), timeout=(1, 30))

    def post(self, path, body):
        return self.http.post(urljoin(self.address, path), json=body, timeout=(1, 30))


def requests_for(image_server):
    project = "7.1764400000"
    setup = {
        "project": project,
        "schema": CONFIG,
        "hostname": image_server,
        "access_token": "abcdef0123456789",
        "extra_params": None,
    }
    images = ["/data/upload/7/frame.png", f"{image_server}/frame.png"]
    tasks = [{"id": number, "data": {"image": image}, "project": 7} for number, image in enumerate(images)]
    params = {"login": None, "password": None, "context": None}
    predict = {"tasks": tasks, "project": project, "label_config": CONFIG, "params": params}
    return [
        ("GET", "health", None),
        ("POST", "setup", setup),
        ("POST", "predict", predict),
        ("POST", "webhook", {"action": "START_TRAINING", "project": {"id": 7}}),
    ]


def main(backend, image_server):
    ours = Session(backend)
    theirs = init_app(Reference, model_dir=sys.argv[3]).test_client()
    shapes = {}
    for method, path, body in requests_for(image_server):
        answer = ours.get(path) if method == "GET" else ours.post(path, body)
        # Their webhook starts a process of its own.
        reference = None if path == "webhook" else theirs.open(f"/{path}", method=method, json=body)
        shapes[path] = {
            "ours": [answer.status_code, sorted(answer.json())],
            "theirs": reference and [reference.status_code, sorted(reference.json)],
        }
        if path == "predict":
            predicted = answer.json()["results"]
    interface = LabelInterface(CONFIG)
    controls = parse_config(CONFIG)
    regions = predicted[0]["result"]
    found = {
        "shapes": shapes,
        "errors": [interface.validate_prediction(one, return_errors=True) for one in predicted],
        "read_back": [PredictionValue(**one).model_dump()["score"] for one in predicted],
        "alike": [[region["value"] for region in one["result"]] for one in predicted],
        "tags": sorted({controls[region["from_name"]]["type"] for region in regions}),
        "strokes": [
            int((decode_rle(region["value"]["rle"])[3::4] > 0).sum())
            for region in regions
            if region["type"] == "brushlabels"
        ],
    }
    json.dump(found, sys.stdout)


main(sys.argv[1], sys.argv[2])
