"""What Keras 2 computes, kept small for the tests: ``python tools/references/keras_layers.py``.

Needs ``tensorflow-cpu==2.15.1`` (Keras 2.15, the last with locally connected layers) in an environment of its own. Writes
``tests/references/keras_layers.npz`` (a layer's weights, input and output each, its configuration as JSON) and the same small
sequential models as ``.h5`` and ``.keras`` files, with ``keras_models.npz`` for their inputs and outputs.

TensorFlow's CPU build has no channels-first kernels for shared convolutions; locally connected layers run in both layouts.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

OUT = Path(__file__).resolve().parent.parent.parent / "tests" / "references"
RND = np.random.default_rng(0)


def randomize(layer: layers.Layer) -> None:
    """A bias of zeros would not be missed."""
    layer.set_weights([RND.normal(size=w.shape).astype(np.float32) for w in layer.get_weights()])


def layer_cases() -> dict[str, np.ndarray]:
    kept: dict[str, np.ndarray] = {}
    cases = []
    for n, implementation, padding, layout, step in itertools.product(
        (1, 2), (1, 2, 3), ("valid", "same"), ("channels_last", "channels_first"), (1, 2)
    ):
        if implementation == 1 and padding == "same":
            continue  # refused by the original
        kernel = {1: 3, 2: (2, 3)}[n]
        stride = step if n == 1 else (step, 1)
        kind = getattr(layers, f"LocallyConnected{n}D")
        made = kind(3, kernel, strides=stride, padding=padding, data_format=layout, implementation=implementation)
        size = {1: (7,), 2: (5, 6)}[n]
        shape = (*size, 2) if layout == "channels_last" else (2, *size)
        cases.append((made, shape))
    cases += [
        (layers.LocallyConnected1D(2, 4, padding="same", implementation=3, use_bias=False), (6, 3)),
        (layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (9, 2)),
        (layers.Conv1D(4, 4, padding="same", strides=2, activation="relu"), (9, 2)),
        (layers.Conv2D(4, 3, padding="same", strides=2, activation="tanh"), (8, 7, 2)),
        (layers.Conv2D(4, (3, 2), groups=2, use_bias=False), (6, 6, 4)),
        (layers.Conv3D(2, 2, padding="same", dilation_rate=2), (5, 4, 4, 2)),
        (layers.Conv1DTranspose(3, 3, strides=2), (5, 2)),
        (layers.Conv2DTranspose(3, 3, strides=2, padding="same"), (4, 5, 2)),
        (layers.Conv2DTranspose(3, 2, strides=3), (3, 4, 2)),
        (layers.Conv3DTranspose(2, 3, padding="same"), (3, 3, 4, 2)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (5, 6, 3)),
        (layers.SeparableConv2D(4, 3, depth_multiplier=2), (5, 6, 3)),
        (layers.Dense(4, activation="softmax"), (7,)),
        (layers.MaxPooling2D(2), (5, 6, 2)),
        (layers.MaxPooling2D(3, strides=2, padding="same"), (6, 7, 2)),
        (layers.AveragePooling1D(2), (7, 2)),
        (layers.MaxPooling3D(2), (4, 5, 4, 2)),
        (layers.GlobalAveragePooling2D(), (4, 5, 3)),
        (layers.GlobalMaxPooling1D(), (6, 3)),
        (layers.BatchNormalization(), (4, 5, 3)),
        (layers.BatchNormalization(scale=False, epsilon=0.1), (6,)),
        (layers.Flatten(), (3, 4, 2)),
        (layers.ZeroPadding2D(((1, 2), (0, 3))), (3, 4, 2)),
        (layers.ReLU(), (4, 3)),
        (layers.LeakyReLU(0.2), (4, 3)),
        (layers.ELU(0.7), (4, 3)),
        (layers.Softmax(), (4, 3)),
        (layers.Dropout(0.5), (4, 3)),
    ]
    cases += [
        (layers.Activation(name), (4, 3))
        for name in (
            "linear",
            "relu",
            "sigmoid",
            "tanh",
            "softmax",
            "elu",
            "selu",
            "softplus",
            "softsign",
            "swish",
            "gelu",
        )
    ]
    cases += [
        (layers.AveragePooling2D(3, strides=2, padding="same"), (6, 7, 2)),
        (layers.AveragePooling2D((2, 3), strides=1, padding="same"), (5, 6, 2)),
        (layers.AveragePooling2D(2, strides=3, padding="same"), (7, 8, 2)),
        (layers.AveragePooling1D(4, strides=3, padding="same"), (11, 2)),
        (layers.AveragePooling3D((1, 2, 3), padding="same"), (3, 5, 4, 2)),
    ]
    for number, (layer, shape) in enumerate(cases):
        layer.build((None, *shape))
        randomize(layer)
        if isinstance(layer, layers.BatchNormalization):
            weights = layer.get_weights()
            layer.set_weights([*weights[:-1], np.abs(weights[-1]) + 0.1])  # a variance
        input = RND.normal(size=(2, *shape)).astype(np.float32)
        kept[f"{number}.layer"] = np.array(
            json.dumps([type(layer).__name__, layer.get_config(), list(shape)], default=float)
        )
        kept[f"{number}.input"], kept[f"{number}.output"] = input, layer(input, training=False).numpy()
        for index, weight in enumerate(layer.get_weights()):
            kept[f"{number}.weight{index}"] = weight
    return kept


def deepface() -> tf.keras.Sequential:
    """The shape of DeepFace (Taigman 2014): shared, pooled, then three local layers and two dense."""
    return tf.keras.Sequential([
        layers.Input((26, 26, 3)),
        layers.Conv2D(4, 5, activation="relu", name="C1"),
        layers.MaxPooling2D(3, strides=2, padding="same", name="M2"),
        layers.Conv2D(4, 3, activation="relu", name="C3"),
        layers.LocallyConnected2D(3, 2, activation="relu", name="L4"),
        layers.LocallyConnected2D(3, 2, strides=2, activation="relu", implementation=2, name="L5"),
        layers.LocallyConnected2D(2, 2, activation="relu", implementation=3, name="L6"),
        layers.Flatten(name="F0"),
        layers.Dense(6, activation="relu", name="F7"),
        layers.Dropout(0.5, name="D0"),
        layers.Dense(3, activation="softmax", name="F8"),
    ])  # fmt: skip


def normalized() -> tf.keras.Sequential:
    return tf.keras.Sequential([
        layers.Input((12, 2)),
        layers.Conv1D(4, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.LocallyConnected1D(3, 3),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2),
    ])  # fmt: skip


def channels_first(flatten: str) -> tf.keras.Sequential:
    return tf.keras.Sequential([
        layers.Input((2, 9)),
        layers.LocallyConnected1D(3, 3, data_format="channels_first", activation="softmax"),
        layers.BatchNormalization(axis=1),
        layers.LocallyConnected1D(4, 2, data_format="channels_first", implementation=2),
        layers.Softmax(axis=1),
        layers.Flatten(data_format=flatten),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip


def main() -> None:
    np.savez_compressed(OUT / "keras_layers.npz", **layer_cases())
    kept = {}
    for name, model in (("deepface", deepface()), ("normalized", normalized())):
        for layer in model.layers:
            randomize(layer)
            if isinstance(layer, layers.BatchNormalization):
                weights = layer.get_weights()
                layer.set_weights([*weights[:-1], np.abs(weights[-1]) + 0.1])
        input = RND.normal(size=(2, *model.input_shape[1:])).astype(np.float32)
        kept[f"{name}.input"], kept[f"{name}.output"] = input, model(input, training=False).numpy()
        model.save(OUT / f"{name}.h5", include_optimizer=False)
        model.save(OUT / f"{name}.keras")
    for name in ("channels_last", "channels_first"):
        model = channels_first(name)
        for layer in model.layers:
            randomize(layer)
            if isinstance(layer, layers.BatchNormalization):
                weights = layer.get_weights()
                layer.set_weights([*weights[:-1], np.abs(weights[-1]) + 0.1])
        input = RND.normal(size=(2, 2, 9)).astype(np.float32)
        kept[f"first_{name}.input"], kept[f"first_{name}.output"] = input, model(input, training=False).numpy()
        model.save(OUT / f"first_{name}.h5", include_optimizer=False)
    np.savez_compressed(OUT / "keras_models.npz", **kept)
    functional = tf.keras.Input((4,))
    tf.keras.Model(functional, layers.Dense(2)(functional)).save(OUT / "functional.h5", include_optimizer=False)


if __name__ == "__main__":
    main()
