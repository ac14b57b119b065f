"""Models that bring their own graph: SavedModel, Keras files and ONNX. The definition declares what their numbers
mean.

    saved_model.py, keras_model.py, onnx_model.py    the families, one for each file format
    saved_model_check.py, saved_model_ops.py, keras_archive.py, keras_zip.py, onnx_file.py
                           what may be in a file; nothing of it runs before
    generic_family.py      base of the families
    generic_signature.py   the declared `parameters`
    generic_input.py       a batch of canvases into the input
    generic_outputs.py     outputs to boxes, scores and classes
    generic_tensorflow.py  the program of those that TensorFlow runs

A new file format is a subclass of `GenericFamily` and a file that checks it. A new kind of output is a value of
`outputs` in generic_signature.py and a case in generic_outputs.py; a new task (segmentation) is a value of `task`
there, and a new type in `deployments/prediction/results.py` first.
"""
