"""Models that bring their own graph: SavedModel, Keras files and ONNX."""
