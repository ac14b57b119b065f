"""PyTorch checkpoints, read without PyTorch and without running anything in them.

    with open_checkpoint(Path("weights.pt")) as checkpoint:
        network = checkpoint.network()                        # the pickled module tree, as shells
        kernel = network.child("model").tensor("weight").numpy()

    archive.py   the zip file: layout, sizes, names
    unpickle.py  the pickle in it, as data
    names.py     which classes and functions it may name, and what becomes of each
    tensors.py   tensors over the raw bytes, read when asked for
    shell.py     what is left of a pickled object

Every refusal is a ModelUnavailable that says what was found.
"""

from deployments.checkpoints.checkpoint import Checkpoint, open_checkpoint
from deployments.checkpoints.shell import Shell, describe
from deployments.checkpoints.tensors import Tensor

__all__ = ["Checkpoint", "Shell", "Tensor", "describe", "open_checkpoint"]
