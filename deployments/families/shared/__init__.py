"""Steps that families of several rooms take. A file comes here when a second room needs it.

    definition_checks.py   parameters, labels, canvas and weights of a definition, with one message for each fault
    letterbox.py           an image onto a canvas with a border, and boxes back again
    resize.py              letterbox, stretch or centre crop, as a definition chooses
    float_pixels.py        pixels that are not rounded to grey levels, and how bytes carry them
    nms.py                 suppression, and the end of networks that need none
    rotated_nms.py         suppression of rotated boxes, by ProbIoU
    detections.py          from candidates to the answer
    anchor_free.py         decoding of anchor-free heads, in the graph
    tensor_ops.py          operations on tensors, in the graph
    convolution.py         PyTorch's convolution in Keras
    transformer.py         blocks of a vision transformer in Keras
    deformable_attention.py    attention of queries to a few places of feature maps, in the graph
    position_table.py      a transformer's positions for another number of patches
    optional_package.py    packages of an extra

`anchor_free`, `tensor_ops`, `convolution`, `transformer` and `deformable_attention` import Keras: import them only
where the graph is built. All rooms import this one, and so do the tiling of the core (NMS), the runtimes (optional
packages) and the training of the demo model. It imports `contract` and the core, and no room.
"""
