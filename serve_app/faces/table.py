"""The table of faces for the tools of others: one line for each.

Which of them are mounted, the setting `faces` of the door says. `legacy`, `v1` and `system` always are.
"""

from collections.abc import Callable, Mapping

from serve_app.faces.cvat.routes import cvat_face
from serve_app.faces.face import Face, FaceParts
from serve_app.faces.fastapi_yolov5.routes import fastapi_yolov5_face
from serve_app.faces.label_studio.routes import label_studio_face
from serve_app.faces.open_inference.routes import open_inference_face
from serve_app.faces.pythia.routes import pythia_face
from serve_app.faces.roboflow.routes import roboflow_face
from serve_app.faces.ultralytics.routes import ultralytics_face
from serve_app.faces.vss.routes import vss_face

FACES: Mapping[str, Callable[[FaceParts], Face]] = {
    "cvat": cvat_face,
    "fastapi_yolov5": fastapi_yolov5_face,
    "label_studio": label_studio_face,
    "open_inference": open_inference_face,
    "pythia": pythia_face,
    "roboflow": roboflow_face,
    "ultralytics": ultralytics_face,
    "vss": vss_face,
}
"""Name of the folder -> what makes its face."""


def chosen_faces(parts: FaceParts) -> list[Face]:
    """Those that the door's settings name, in the order of the table."""
    return [make(parts) for name, make in FACES.items() if name in parts.settings.faces]
