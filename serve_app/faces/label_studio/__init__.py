"""The face for Label Studio, which takes each model for one of its machine learning backends.

    routes.py        the paths, all below `/label-studio/{model}`
    described.py     what the OpenAPI document says of them
    messages.py      the JSON that Label Studio sends, read within limits
    label_config.py  a project's labelling configuration: which tags a model can fill, with which labels
    projects.py      what /setup says of a project: where its uploaded files are, and with which token
    images.py        the image of a task: in it, on the web, or uploaded to Label Studio
    predictions.py   one request for predictions, from its body to its answer
    regions.py       what a model found as regions and choices
    brush.py         masks in Label Studio's own run lengths

As it fetches images, it is mounted only where it is named in `faces`, and fetches only from the door's `fetch_hosts`.
"""
