"""The table of faces for the tools of others: one line for each.

Which of them are mounted, the setting `faces` of the door says. `legacy`, `v1` and `system` always are.
"""

from collections.abc import Callable, Mapping

from serve_app.faces.face import Face, FaceParts
from serve_app.faces.open_inference.routes import open_inference_face

FACES: Mapping[str, Callable[[FaceParts], Face]] = {"open_inference": open_inference_face}
"""Name of the folder -> what makes its face."""


def chosen_faces(parts: FaceParts) -> list[Face]:
    """Those that the door's settings name, in the order of the table."""
    return [make(parts) for name, make in FACES.items() if name in parts.settings.faces]
