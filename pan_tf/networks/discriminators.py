"""Discriminators D: `{"source", "image"}` -> `{"logits", "features"}`.

The contract is the same for all: `source` is what T was given (an unconditional D
ignores it), `image` is a target or an output of T, both float `[B, H, W, 3]` in [-1, 1].
`logits` lists one map per output scale, before any sigmoid; `features` lists the hidden
layers that a perceptual adversarial loss compares, shallow to deep.
"""

import keras
from keras import layers

from pan_tf.layers import BatchNormalization
from pan_tf.layers import LeakyReLU
from pan_tf.layers import SymmetricConv2D

# Layers 2 to 8 of Table I: filters, stride.
_TABLE_I = ((128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2))
_FEATURE_LAYERS = (4, 6, 8)  # And layer 1.


def _scaled(filters, width):
    return max(1, round(filters * width))


def _conv(x, number, filters, stride, stddev=0.02):
    return SymmetricConv2D(
        filters,
        3,
        strides=stride,
        kernel_initializer=keras.initializers.RandomNormal(stddev=stddev),
        name=f"layer_{number}",
    )(x)


def _leaky(x):
    return LeakyReLU(0.2)(x)


def pan_discriminator(
    image_size,
    first_activation="leaky_relu",
    first_stddev=0.02,
    last_activation="leaky_relu",
    width=1.0,
    name="discriminator",
):
    """D of the PAN paper, Table I, unconditional, with features d_1 to d_4.

    The features are layers 1, 4, 6 and 8 after their activation. The dense layer at the
    end fixes the image size. 7 050 249 parameters at 256 px.

    Args:
        image_size: height and width in pixels, a multiple of 32.
        first_activation: "leaky_relu" (Table I) or "tanh" (the released code).
        first_stddev: of layer 1's initial kernel; 0.5 in the released code. Layer 1 has
            no normalization, and layer 2's cancels its scale: under a leaky ReLU, D can
            reach any margin by scaling layer 1 alone; tanh bounds it.
        last_activation: of layer 9; "leaky_relu" (Table I) or "linear" (released code).
        width: multiplies the number of channels of layers 1 to 8; 1 as in Table I.
        name: name of the model.

    Returns:
        A functional `keras.Model` with one logit `[B, 1]` and four features.
    """
    activations = {
        "leaky_relu": _leaky,
        "tanh": layers.Activation("tanh"),
        "linear": lambda x: x,
    }
    source = keras.Input((image_size, image_size, 3), name="source")
    image = keras.Input((image_size, image_size, 3), name="image")
    x = activations[first_activation](
        _conv(image, 1, _scaled(64, width), 1, first_stddev)
    )
    features = [x]
    for number, (filters, stride) in enumerate(_TABLE_I, start=2):
        x = _conv(x, number, _scaled(filters, width), stride)
        x = _leaky(BatchNormalization(name=f"layer_{number}_norm")(x))
        if number in _FEATURE_LAYERS:
            features.append(x)
    x = activations[last_activation](_conv(x, 9, 8, 2))
    init = keras.initializers.RandomNormal(stddev=0.02)
    dense = layers.Dense(1, kernel_initializer=init, name="layer_10")
    logit = dense(layers.Flatten()(x))
    return keras.Model(
        {"source": source, "image": image},
        {"logits": [logit], "features": features},
        name=name,
    )
