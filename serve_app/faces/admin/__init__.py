"""The face for those who run the system and have no shell there: `POST /v1/models` and `DELETE /v1/models/{model}`.

    routes.py      the paths, and one request from its body to its answer
    changes.py     what the face asks for, and what it is told
    described.py   what the OpenAPI document says of it

Only for a key with the scope `admin`: `serve_app.access` has let it in before, and a request that shows no key is
refused here, as where the server asks for none. `serve_app.api` mounts `routes.admin_face`.
"""
