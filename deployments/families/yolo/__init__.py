"""YOLO checkpoints of PyTorch, read without PyTorch: YOLOv5 and ultralytics."""
