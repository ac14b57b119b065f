"""The core: what is true of a prediction, whichever door the request came through.

At the top: requests, images, predictions and errors, the definitions of models and the catalogue of those that run.
`serving` runs inside the replica of a model, `client` inside a door that calls it; they share only the top.
`families` and `runtimes` hold what differs between models, `weights` and `checkpoints` fetch and read their files,
`image_formats` reads the headers of images, and `process` holds what any process of the system needs.

Two doors lead here, `serve_app` and `redis_bridge`, and each only translates. The core imports neither.

    HTTP upload -> limits -> Image (encoded) --+                        +-> decode + preprocess (threads)
                                               +--> client -- handle -->+   micro-batch -> compiled program
    RPUSH job   -> wire   -> Image (pixels)  --+                        +-> top-k -> NMS, scaling (threads)
    answer      <- door: status or wire   <------- Prediction | Opaque | ServingError
"""
