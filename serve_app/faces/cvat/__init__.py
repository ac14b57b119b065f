"""The face for CVAT: the three routes of Nuclio's dashboard that CVAT calls for its AI tools.

    routes.py        the paths, and the form of an error
    functions.py     our models as functions of Nuclio
    invocations.py   one call of a function, from its body to its annotations
    call.py          the JSON of a call
    annotations.py   what a model found, as CVAT's shapes and tags
    described.py     what the OpenAPI document says of the routes

Source of all names: cvat-ai/cvat, `cvat/apps/lambda_manager/views.py` (`LambdaGateway`, `LambdaFunction` and
`LambdaJob`). CVAT is told a scheme, a host and a port, and never a path, so the prefix `/api` is not ours to choose.

There are detectors only. CVAT's interactors send points inside and outside of an animal, and a box; the worker that
segments here (`legacy/segmentation.py`) is a program of others, of which only single points are known, so that what
it made of the rest would be a guess.
"""
