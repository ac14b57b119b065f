"""The core: what is true of a prediction, whichever door the request came through.

Holds requests, images, predictions and errors, the definitions of models and their discovery, families and
runtimes, the Serve deployment of a model and the client that calls it. It may not know HTTP or Redis, and
imports neither `serve_app` nor `redis_bridge`: two doors lead here, and each only translates.

    HTTP upload -> limits -> Image (encoded) --+                        +-> decode + preprocess (threads)
                                               +--> client -- handle -->+   micro-batch -> compiled program
    RPUSH job   -> wire   -> Image (pixels)  --+                        +-> top-k -> NMS, scaling (threads)
    answer      <- door: status or wire   <------- Prediction | Opaque | ServingError
"""
