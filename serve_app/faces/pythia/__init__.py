"""The face for clients of MBARI's pythia, a server of one YOLO model: `/predict` and `/q/health`.

`routes.py` is all of it. Shapes are those of mbari-org/pythia (`PredictResource`, `domain/BoundingBox`,
`health/YoloEventQueueHealthCheck`) at c61eba6; the model is the default one of this server. Pythia's `/predictor` is
the legacy one, which the legacy face answers. No client of pythia reads its errors, so problems have no more members.
"""
