"""What the networks of YOLOv5 and ultralytics are made of, rebuilt in Keras from the stubs of a checkpoint.

    torch_layers.py, torch_sizes.py    the layers of torch.nn, and the builder that turns stubs into programs
    yolo_blocks.py, attention.py       the blocks that several generations share
    yolov5_blocks.py, yolov9_blocks.py, yolov10_blocks.py, rtdetr_blocks.py    those of one generation
    prototypes.py                      what makes the prototypes of masks

New blocks go into a file of their own, with a table of makers by class name; a family adds it to its `blocks`.
"""
