"""Checkpoints of RF-DETR, read as data and rebuilt in Keras.

    rf_detr.py               the family: parameters, the way in and the way out
    rf_detr_layout.py        what a file must hold: sizes and counts, from its tensors and its settings
    rf_detr_settings.py      the settings of the training, from either container
    rf_detr_classes.py       which rows of the head have which names
    rf_detr_tensors.py       the names and shapes of all tensors, and their values
    rf_detr_graph.py         the network as one callable
    windowed_dinov2.py       its backbone
    projector.py             from the backbone's features to the decoder's maps
    query_selection.py       the first stage: where the decoder looks first
    deformable_decoder.py    the second stage
    segmentation_head.py     a mask for each query
    float_stretch.py         an image stretched onto a canvas without rounding

The words of the reference (rfdetr 1.11, Apache-2.0) are kept: levels P3 to P5, windows, queries, reference boxes. A
new network of this kind (D-FINE) takes `deformable_attention` of `shared/`, as RT-DETR does.
"""
