"""The faces of the HTTP door: one folder for each protocol that clients speak.

A face reads requests in the words of its clients and answers in them. It may import the core (`deployments`) and the
HTTP modules of `serve_app` (uploads, forms, problems, settings), and never another face. `serve_app.api` mounts them.

To add a face:

1. a folder `serve_app/faces/NAME` whose `routes.py` has one function `NAME_face(models, ...)` that returns a `Face`
   (see `serve_app.faces.face`);
2. one line in `serve_app.api.create_api`;
3. its name in the import contract "Faces of the HTTP door are independent" in pyproject.toml;
4. its routes in docs/http-api.md.
"""
