"""Models in the `.keras` files of Keras 3: detectors and classifiers whose signature the definition declares.

Only layers and operations of Keras itself are loaded (`keras_archive.py`), from a file that is what Keras writes
(`keras_zip.py`). A model with classes of its own can be exported as a SavedModel, which needs none.
"""

from collections.abc import Mapping
from typing import Any

import keras

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_family import FileFacts, GenericFamily
from deployments.families.generic.generic_input import TensorFacts
from deployments.families.generic.generic_tensorflow import TensorFlowProgram
from deployments.families.generic.keras_archive import check_archive
from deployments.families.generic.keras_zip import try_weights


class KerasModel(GenericFamily):
    """The family of `.keras` files."""

    def read_facts(self) -> FileFacts:
        """The input; a `.keras` file names no classes."""
        found = check_archive(self.path)
        try_weights(self.path)
        return FileFacts(TensorFacts(found.name, found.dtype, found.batch_shape))

    def build_graph(self) -> TensorFlowProgram:
        """The network with its weights, tried with one empty image."""
        check_archive(self.path)
        try:
            model = keras.saving.load_model(self.path, compile=False, safe_mode=True)
        except Exception as error:
            # Keras raises almost any type on a configuration that does not fit together.
            raise ModelUnavailable(f"{self.path.name}: Keras cannot load it: {str(error)[:300]}") from error

        def function(images: Any) -> Mapping[str, Any]:
            outputs = model(images, training=False)
            if isinstance(outputs, dict):
                return outputs
            found = outputs if isinstance(outputs, list | tuple) else [outputs]
            # A model made of one layer after the other has one output, without a name.
            names = getattr(model, "output_names", ["output"])
            return dict(zip(names, found, strict=True))

        program = TensorFlowProgram(function, self.input_plan, self.parameters)
        program.check(self.path.name, len(self.labels))
        return program
