"""The faces of the HTTP door: one folder for each protocol that clients speak.

A face reads requests in the words of its clients and answers in them. It may import the core (`deployments`) and the
HTTP modules of `serve_app` (uploads, forms, problems, settings), and never another face. Errors are those of
`serve_app.http.problems`, with the members that its clients look for; `serve_app.faces.endpoint` answers them.

To add a face for the tool of somebody else:

1. a folder `serve_app/faces/NAME` whose `routes.py` has one function `NAME_face(parts)` that returns a `Face` (see
   `serve_app.faces.face`), with all its paths below one prefix where its clients let us choose;
2. one line in `serve_app.faces.table`;
3. its name in the import contract "Faces of the HTTP door are independent" in pyproject.toml, and a row for each of
   its routes in `serve_app.access.routes`: tests ask for both;
4. its recipe in docs/connect.md, and its row in the test that the same frame gives the same boxes through every face.
"""
