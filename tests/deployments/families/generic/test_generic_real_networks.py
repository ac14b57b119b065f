"""What passes the checks: layers of many kinds, as Keras itself writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Model, Sequential, layers, ops

from deployments.families.generic.saved_model_ops import INFERENCE_OPS, SAVER_OPS
from tests.deployments.families.golden.generic_pictures import picture
from tests.deployments.families.served import Served
from tests.deployments.families.small_generic_models import quiet

LABELS = ("coral", "crinoid", "sponge")
CLASSIFIER = {"task": "classifier", "resize": "stretch"}


def many_layers() -> Model:
    """Layers and operations that detectors and classifiers are made of, once each."""
    image = Input((64, 64, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", kernel_regularizer="l2")(x)
    x = layers.LeakyReLU()(layers.GroupNormalization(4)(x))
    x = layers.SeparableConv2D(8, 3, padding="same", activation="silu")(x)
    x = layers.Conv2DTranspose(8, 2, strides=2)(layers.MaxPooling2D()(x))
    x = layers.UpSampling2D(interpolation="bilinear")(layers.ZeroPadding2D()(x))
    x = ops.concatenate([ops.sigmoid(x), ops.split(x, 2, axis=-1)[0]], axis=-1)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.Multiply()([layers.Activation("hard_swish")(x), layers.Conv2D(12, 1, activation="relu6")(squeezed)])
    x = layers.SpatialDropout2D(0.1)(layers.BatchNormalization()(x))
    x = layers.Reshape((-1, 12))(layers.AveragePooling2D(8)(x))
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 6)(x, x))
    x = ops.max(ops.einsum("nij,njk->nik", ops.softmax(x), ops.transpose(x, (0, 2, 1))), axis=2)
    return Model(image, layers.Dense(3, activation="softmax")(x))


def in_order() -> Model:
    return Sequential(
        [Input((64, 64, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")]
    )


@pytest.mark.parametrize("build", [many_layers, in_order])
def test_networks_of_keras_are_served_in_both_formats(tmp_path: Path, build: Any) -> None:
    model = build()
    with quiet():
        model.save(tmp_path / "network.keras")
        model.export(tmp_path / "network", verbose=False)
    canvas = picture(64, 64)
    wanted = model(canvas[None].astype(np.float32), training=False)[0]
    for family, name in (("keras", "network.keras"), ("saved-model", "network")):
        args = {"family": family, "weights": str(tmp_path / name), "labels": LABELS, "parameters": CLASSIFIER}
        [found] = Served(args, largest_batch=1).answer([canvas])
        np.testing.assert_allclose(found.scores, wanted, atol=1e-5)


def test_every_operation_that_is_let_through_is_one_of_tensorflow() -> None:
    assert [name for name in sorted(INFERENCE_OPS | SAVER_OPS) if not hasattr(tf.raw_ops, name)] == []
