"""The heads of YOLO networks: in the graph down to a box for each cell, and after it from those to detections.

    anchor_free_heads.py   those of ultralytics, in the graph: what each says of a cell besides box and class
    anchor_head.py         that of YOLOv5, in the graph
    mask_head.py           the prototypes of masks of both
    classify_head.py       that of classifiers, in the graph
    rtdetr_head.py, deformable_attention.py    that of RT-DETR, in the graph
    ending.py              after the graph: which candidates are kept, and how they become detections
    mask_ending.py, keypoint_ending.py, rotated_ending.py    the same for what heads find besides
    multi_label.py         a box with each of its classes, for evaluation

A new head is a class in the table of `anchor_free_heads` with an ending of its own. Every cell leaves the graph, as
only the ending knows which classes and scores a request wants; of a one-to-one head the best pairs of cell and class.
"""
