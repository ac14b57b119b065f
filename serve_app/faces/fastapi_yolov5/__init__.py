"""The face for clients of MBARI's fastapi-yolov5, such as `FastAPIYV5` of aipipeline.

    routes.py      the paths
    predict.py     one request, from its form to its answer
    described.py   what the OpenAPI document says

Shapes are those of mbari-org/fastapi-yolov5 (`src/app/main.py` at 7ff01bb) and of mbari-org/aipipeline
(`aipipeline/prediction/inference.py`). That server has one model; here the path names a model, and without a name the
default one is meant. `FastAPIYV5` adds a slash to whatever address it is given and posts there, so the address of a
model itself answers, as its `/predict` does. It sends `confidence_threshold` in the form, where fastapi-yolov5 reads
the query: here both count. Without one, the model's own threshold does, and not the 0.01 of fastapi-yolov5.
"""
