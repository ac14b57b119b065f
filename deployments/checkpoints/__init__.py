"""PyTorch checkpoints, read without PyTorch and without running anything in them.

    with open_checkpoint(Path("weights.pt")) as checkpoint:
        network = checkpoint.network()                        # the pickled module tree, as stubs
        kernel = network.child("model").tensor("weight").numpy()

    archive.py   the zip file: layout, sizes, names
    unpickle.py  the pickle in it, as data
    allowed_globals.py     which classes and functions it may name, and what becomes of each
    tensors.py   tensors over the raw bytes, read when asked for
    module_stub.py     what is left of a pickled object

Every refusal is a ModelUnavailable that says what was found.
"""

from deployments.checkpoints.checkpoint import Checkpoint, open_checkpoint
from deployments.checkpoints.module_stub import ModuleStub, describe
from deployments.checkpoints.tensors import Tensor

__all__ = ["Checkpoint", "ModuleStub", "Tensor", "describe", "open_checkpoint"]
