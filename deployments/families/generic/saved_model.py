"""SavedModels of TensorFlow 2: detectors and classifiers whose signature the definition declares.

A SavedModel is a program, which runs when it is loaded. It is checked beforehand (`saved_model_check.py`).
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_family import FileFacts, GenericFamily
from deployments.families.generic.generic_signature import SavedModelParameters
from deployments.families.generic.generic_tensorflow import TensorFlowProgram
from deployments.families.generic.saved_model_check import check_saved_model


class SavedModel(GenericFamily):
    """The family of SavedModels; `weights` is the folder."""

    parameters_type = SavedModelParameters
    parameters: SavedModelParameters

    def read_facts(self) -> FileFacts:
        """The input of the signature; a SavedModel names no classes."""
        return FileFacts(check_saved_model(self.path, self.parameters.signature).input)

    def build_graph(self) -> TensorFlowProgram:
        """The network with its weights, tried with one empty image."""
        found = check_saved_model(self.path, self.parameters.signature)
        try:
            loaded = tf.saved_model.load(str(self.path))
            signature = loaded.signatures[self.parameters.signature]
        except Exception as error:
            # TensorFlow raises almost any type on a program that does not fit together.
            raise ModelUnavailable(f"{self.path.name}: TensorFlow cannot load it: {str(error)[:300]}") from error

        def function(images: Any) -> Mapping[str, Any]:
            outputs: Mapping[str, Any] = signature(**{found.input_key: images})
            return outputs

        program = TensorFlowProgram(function, self.input_plan, self.parameters, owner=loaded)
        program.check(self.path.name, len(self.labels))
        return program
