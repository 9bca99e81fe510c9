"""Transformation networks T with skip connections (U-Nets), image -> image.

Input and output are float `[B, H, W, 3]` in [-1, 1]; the output is float32 under every
dtype policy. Height and width must be multiples of 2 ** number of encoder layers.
"""

import keras
from keras import layers

from pan_tf.layers import BatchNormalization
from pan_tf.layers import LeakyReLU
from pan_tf.layers import SymmetricConv2D

# Encoder of Table II, then what the released 8-layer variant appends.
_FILTERS = (64, 128, 256, 512, 512, 512, 512, 512)


def _scaled(filters, width):
    return [max(1, round(number * width)) for number in filters]


def _init(stddev=0.02):
    return keras.initializers.RandomNormal(stddev=stddev)


def _encode(x, number, filters, stddev=0.02):
    return SymmetricConv2D(
        filters,
        3,
        strides=2,
        kernel_initializer=_init(stddev),
        name=f"layer_{number}",
    )(x)


def _decode(x, number, filters, **kwargs):
    return layers.Conv2DTranspose(
        filters,
        4,
        strides=2,
        padding="same",
        kernel_initializer=_init(),
        name=f"layer_{number}",
        **kwargs,
    )(x)


def _leaky(x):
    return LeakyReLU(0.2)(x)


def _norm(x, number, statistics):
    return BatchNormalization(statistics=statistics, name=f"layer_{number}_norm")(x)


def pan_transformer(image_size=None, width=1.0, statistics="moving", name="transformer"):
    """T of the PAN paper, Table II: six layers down, six up.

    Skip connections leave the encoder after batch normalization and before the leaky
    ReLU, as the order of words in Table II has it. Layer 1 has neither batch
    normalization nor a skip. 16 831 875 parameters.

    Args:
        image_size: height and width in pixels, a multiple of 64; None for any.
        width: multiplies the number of channels; 1 as in Table II.
        statistics: of `layers.BatchNormalization`, outside of training.
        name: name of the model.

    Returns:
        A functional `keras.Model`.
    """
    image = keras.Input((image_size, image_size, 3), name="source")
    first, *rest = _scaled(_FILTERS[:6], width)
    x = _encode(image, 1, first)
    encoded = []
    for number, filters in enumerate(rest, start=2):
        x = _norm(_encode(_leaky(x), number, filters), number, statistics)
        encoded.append(x)
    x = _leaky(x)
    decoder = zip(_scaled((512, 256, 128, 64), width), encoded[-2::-1], strict=True)
    for number, (filters, skip) in enumerate(decoder, start=7):
        x = _norm(_decode(x, number, filters), number, statistics)
        x = layers.ReLU()(layers.Concatenate()([x, skip]))
    x = layers.ReLU()(_norm(_decode(x, 11, first), 11, statistics))
    x = _decode(x, 12, 3, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)


def official_pan_transformer(
    image_size=None, depth=8, width=1.0, statistics="moving", name="transformer"
):
    """T that the script released with PAN trains: up to eight layers down and up.

    Against Table II: batch normalization on layer 1, whose kernel starts at N(0, 0.05);
    skips from every layer, taken from the raw convolution, before normalization; an
    innermost layer without normalization. 45 873 987 parameters at depth 8.

    Args:
        image_size: height and width in pixels, a multiple of 2 ** depth; None for any.
        depth: number of encoder layers, 3 to 8; the released network has 8.
        width: multiplies the number of channels; 1 as released.
        statistics: of `layers.BatchNormalization`, outside of training.
        name: name of the model.

    Returns:
        A functional `keras.Model`.
    """
    image = keras.Input((image_size, image_size, 3), name="source")
    *outer, innermost = _scaled(_FILTERS[:depth], width)
    x, encoded = image, []
    for number, filters in enumerate(outer, start=1):
        raw = _encode(x, number, filters, stddev=0.05 if number == 1 else 0.02)
        encoded.append(raw)
        x = _leaky(_norm(raw, number, statistics))
    x = layers.ReLU()(_encode(x, depth, innermost))
    for number, skip in enumerate(reversed(encoded), start=depth + 1):
        x = _norm(_decode(x, number, skip.shape[-1]), number, statistics)
        x = layers.ReLU()(layers.Concatenate()([x, skip]))
    x = _decode(x, 2 * depth, 3, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)
