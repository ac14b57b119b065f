"""Checkpoints of YOLOv5 and ultralytics, read as data and rebuilt in Keras.

    yolov5.py, ultralytics.py    the detectors: which files they take
    ultralytics_rtdetr.py        RT-DETR, a detector without letterbox and NMS
    yolov5_classify.py, ultralytics_classify.py    the classifiers; yolo_classifier.py: their base
    yolo_family.py               base of a letterboxed detector with NMS
    yolo_checkpoint.py           the file and its graph alone, for a family with another input or end
    yolo_layout.py               the checked stages, head, strides and class names of a file
    yolo_graph.py                the body as one callable
    layers/                      the layers and blocks that the networks are made of
    heads/                       the heads, and how their candidates become detections

A new head of ultralytics is a class in `heads/`. A new detector of this kind is a subclass of `YoloFamily` with
`kind`, `check_head` and `make_head`. One without letterbox or NMS takes `YoloCheckpoint`, and `best_first` of
`shared/nms`. New blocks go into a file of `layers/`; the class adds them as `blocks = BLOCKS | {...}`. What is
predicted besides boxes is a new type in `deployments/prediction/results.py` first.
"""
