"""Makes keras_retinanet*.json with the ORIGINAL code of fizyr/keras-retinanet 0.1 and broadinstitute/keras-resnet.

    python make_keras_retinanet.py CHECKOUTS IMAGES

CHECKOUTS has three checkouts: keras-retinanet at tag 0.1, keras-resnet-0.1.0 at v0.1.0 and keras-resnet-0.2.0 at
v0.2.0, which pads its first convolution otherwise. IMAGES is the folder of the images named in CASES. Needs an
environment of its own: Python 3.11 with tensorflow-cpu 2.12, keras 2.12, numpy < 1.24, opencv-python-headless 4.8
and pillow; nothing of this project is imported but the seeded weights.

TensorFlow 1.4 and Keras 2.1 cannot be had any more, so names that moved since are given back to the original,
with the arithmetic of TensorFlow 1, and two calls get their arguments in the form of then. The network is saved as
the original does it, and what the file holds beside numbers is kept.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CLASSES = 17
EVERY = 997
KEPT = 100
CASES = (
    {"image": "D0232_03HD_00-00-35.png", "min_side": 300, "max_side": 451},
    {"image": "bus.jpg", "min_side": 224, "max_side": 395},
    {"image": "bus.jpg", "min_side": 224, "max_side": 395, "padded_to": [320, 384]},
    {"image": "03_00_51_14.jpg", "min_side": 1100, "max_side": 1650},
)


RESNETS = {"keras-resnet-0.1.0": CASES, "keras-resnet-0.2.0": CASES[:1]}


def load_original(checkouts, resnet):
    """The original packages, found by old names for what has moved since."""
    import keras
    import tensorflow as tf

    keras.initializers.normal = keras.initializers.RandomNormal
    keras.initializers.zeros = keras.initializers.Zeros
    tf.image.resize_images = tf.compat.v1.image.resize_images
    for name in (resnet, "keras-retinanet"):
        sys.path.insert(0, str(checkouts / name))
    from keras_resnet.layers import BatchNormalization

    frozen = BatchNormalization.call
    BatchNormalization.call = lambda self, inputs, training=None: frozen(self, inputs)
    from keras_retinanet.initializers import PriorProbability

    prior = PriorProbability.__call__
    PriorProbability.__call__ = lambda self, shape, dtype=None: prior(self, shape, "float32")


def build():
    """The original network with seeded weights; outputs regression, classification, detections."""
    from keras_retinanet.models.resnet import resnet50_retinanet
    from keras_retinanet_weights import weight

    model = resnet50_retinanet(CLASSES, weights=None)
    for layer in layers_with_weights(model):
        names = [f"{layer.name}/{variable.name.split('/')[-1].split(':')[0]}" for variable in layer.weights]
        layer.set_weights([weight(name, tuple(v.shape)) for name, v in zip(names, layer.weights, strict=True)])
    return model


def layers_with_weights(model):
    """All layers that have weights, those of nested networks too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers_with_weights(layer)
        elif layer.weights and type(layer).__name__ != "Anchors":
            yield layer


def run(model, images, case):
    """The answers for one image, read, resized and scaled back as the original does it."""
    from keras_retinanet.utils.image import preprocess_image, read_image_bgr, resize_image

    picture = read_image_bgr(str(images / case["image"]))
    resized, scale = resize_image(preprocess_image(picture), case["min_side"], case["max_side"])
    answer = dict(case, scale=scale, resized=list(resized.shape[:2]))
    found, (regression, scores) = predict(model, resized, scale, case)
    # Between two scores, so that the last digits do not decide what is above.
    answer["threshold"] = round((found[KEPT - 1]["score"] + found[KEPT]["score"]) / 2, 6)
    answer["detections"] = found[:KEPT]
    answer["anchors"] = int(scores.shape[1])
    rows = np.concatenate([regression, scores], axis=2)[0, ::EVERY]
    answer[f"every_{EVERY}th"] = [[round(float(value), 5) for value in row] for row in rows]
    return answer


def predict(model, pixels, scale, case):
    """The detections in pixels of the image, and the raw outputs."""
    if "padded_to" in case:
        # As the original's generator does with the smaller images of a batch.
        batch = np.zeros((1, *case["padded_to"], 3), np.float32)
        batch[0, : pixels.shape[0], : pixels.shape[1]] = pixels
    else:
        batch = pixels[None]
    regression, classification, detections = model.predict_on_batch(batch)
    boxes, scores = detections[0, :, :4] / scale, detections[0, :, 4:]
    found = [
        {
            "box": [round(float(value), 3) for value in box],
            "score": round(float(row.max()), 5),
            "class_id": int(row.argmax()),
        }
        for box, row in zip(boxes, scores, strict=True)
    ]
    return found, (regression, classification)


def make(checkouts, images, resnet):
    """The layout of the saved network and the answers of all cases, with one version of keras-resnet."""
    load_original(checkouts, resnet)
    model = build()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keras_retinanet.h5"
        model.save(str(file), save_format="h5")
        golden = {"cases": [run(model, images, case) for case in RESNETS[resnet]], **layout(file)}
    suffix = "" if resnet.endswith("0.1.0") else "_resnet_0_2"
    (HERE / f"keras_retinanet{suffix}.json").write_text(json.dumps(golden) + "\n")


def main():
    """Each version in a process of its own."""
    if len(sys.argv) == 4:
        make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
        return
    for resnet in RESNETS:
        subprocess.run([sys.executable, __file__, *sys.argv[1:3], resnet], check=True)


def layout(file):
    """What the saved file holds beside numbers: layer names, weight names with shapes, the description."""
    import h5py

    with h5py.File(file) as content:
        weights = content["model_weights"]
        names = [str(np.asarray(name).astype(str)) for name in weights.attrs["layer_names"]]
        found = {}
        for name in names:
            group = weights[name]
            own = [str(np.asarray(weight).astype(str)) for weight in group.attrs["weight_names"]]
            found[name] = {weight: list(group[weight].shape) for weight in own}
        return {"bytes": file.stat().st_size, "layout": found, "config": json.loads(content.attrs["model_config"])}


if __name__ == "__main__":
    main()
