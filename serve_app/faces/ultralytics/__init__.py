"""The face for programs that ask Ultralytics Platform for predictions.

    routes.py     the paths, and what the OpenAPI document says of them
    predict.py    one request, from its form to its answer
    fields.py     the fields of the form
    answers.py    what was found, as `Results.summary()` of ultralytics writes it

Form and answer are those of the Platform's documents (docs.ultralytics.com/platform: inference, REST API) and of its
client, ultralytics-platform 0.1.99; the rows in an answer are those of `engine/results.py` in ultralytics 8.4.190.
Where a document and the code of the client differ, as for outlines and rotated boxes, the code counts.

`/ultralytics/{model}/predict` is what a dedicated endpoint has as `/predict`. The two paths of the client name an
owner, and a project, too: there are none here, and any will do.
"""
