"""Asks a door for masks through inference-sdk, and has supervision read them: masks.py URL IMAGE."""

import json
import sys
from typing import Any

import numpy as np
import supervision as sv
from inference_sdk import InferenceConfiguration, InferenceHTTPClient


def main(url: str, image: str) -> dict[str, Any]:
    # v0 of the SDK asks for a key, though this door does not.
    client = InferenceHTTPClient(api_url=f"{url}/roboflow", api_key="")
    said = {}
    for form in ("polygon", "rle"):
        client.configure(InferenceConfiguration(response_mask_format=form, api_key_transport="header"))
        with client.use_api_v0():
            found = sv.Detections.from_inference(client.infer(image, model_id="benthic-demo/1"))
        rows, columns = np.nonzero(found.mask[0])
        corners = [columns.min(), rows.min(), columns.max(), rows.max()]
        said[form] = {
            "shape": list(found.mask.shape),
            "pixels": int(found.mask.sum()),
            "box_of_mask": [int(corner) for corner in corners],
        }
    return said


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
