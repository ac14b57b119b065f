"""Files of weights, read without trust and without running anything in them.

    with open_checkpoint(Path("weights.pt")) as checkpoint:
        network = checkpoint.network()                        # the pickled module tree, as stubs
        kernel = network.child("model").tensor("weight").numpy()

PyTorch, without PyTorch:

    archive.py           the zip file: layout, sizes, names
    unpickle.py          the pickle in it, as data
    allowed_globals.py   which classes and functions it may name, and what becomes of each
    module_stub.py       what is left of a pickled object
    tensors.py           tensors over the raw bytes, read when asked for
    checkpoint.py        all of it together
    file_kinds.py        what a file is that is none of these, for messages

Keras 2: hdf5.py. Hugging Face: safetensors.py, one file of tensors, and safetensors_folder.py, all files of a model.
For all, and for families that read files of their own: zip_directory.py, and sandbox.py, a child process that reads a
file first.

Every refusal is a ModelUnavailable that says what was found. A new class or function in pickles is a line in
allowed_globals.py; a new format is a file here. Families import this package; it imports no family.
"""

from deployments.checkpoints.checkpoint import Checkpoint, open_checkpoint
from deployments.checkpoints.module_stub import ModuleStub, describe
from deployments.checkpoints.tensors import Tensor

__all__ = ["Checkpoint", "ModuleStub", "Tensor", "describe", "open_checkpoint"]
