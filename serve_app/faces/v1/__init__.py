"""The face for programs that are written today: `POST /v1/models/{model}/predict`.

    routes.py        the path, and what the OpenAPI document says of it
    predictions.py   one request, from its body to its answer
    sent.py          images and options of a body, by its content type
    json_body.py     those of a JSON body
    options.py       options by query, form and JSON, each given once
    entries.py       what is answered for one image
    answers.py       answers in the formats of `serve_app.formats`

`serve_app.api` mounts `routes.v1_face` and imports nothing else of it.
"""
