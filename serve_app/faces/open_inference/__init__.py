"""The face for clients of the Open Inference Protocol v2, such as Triton's: all paths below `/v2`.

    routes.py        the paths
    described.py     what the OpenAPI document says of them
    named.py         a name and a version to a model, or to its raw rows
    metadata.py      what clients are told of a model: metadata, configuration, index
    statistics.py    how many images were asked through this face, and how long they took
    inference.py     one inference, from its body to its answer
    envelope.py      the JSON of a request
    tensors.py       tensors, in JSON and in bytes
    images.py        the images in the tensors of a request
    parameters.py    the options in its parameters
    outputs.py       tensors from what the model found
    raw.py           a detector as its network alone, for `yolo predict` and SAHI
    compression.py   gzip and deflate, within limits
    repository.py    waking a model
    grpc/            the same over gRPC, on a port of its own

The protocol: specification/protocol/inference_rest.md of open-inference-protocol, with the extensions of Triton for
binary tensors, classification excepted, model configuration, statistics, and the model repository.
"""
