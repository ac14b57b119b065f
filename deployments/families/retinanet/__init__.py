"""RetinaNet checkpoints of detectron2 and keras-retinanet, read as data and rebuilt in Keras.

    detectron2_retinanet.py, keras_retinanet.py    the families: parameters, resizing, the end
    detectron2_graph.py, keras_retinanet_graph.py  their networks
    keras_retinanet_layout.py, keras_retinanet_description.py    what a file of keras-retinanet must hold
    retinanet_blocks.py    the bottleneck of a ResNet, and anchors on a grid, for both
    views.py               a canvas with several sizes of one image, for both

A new family of this kind is a family file and a graph file. A backbone of another depth is a table beside
`RESNET50_BLOCKS`.
"""
