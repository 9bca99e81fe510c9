"""The few layers that transformers and discriminators are put together from.

Conventions of two families: PAN's released code is Lasagne (a bias everywhere, batch
normalization with epsilon 1e-4), the other systems are Torch (no bias before batch
normalization, epsilon 1e-5, scales that start at N(1, 0.02)).
"""

import keras
from keras import layers

from pan_tf.layers import BatchNormalization
from pan_tf.layers import Conv2D
from pan_tf.layers import Conv2DTranspose
from pan_tf.layers import LeakyReLU
from pan_tf.layers import SymmetricConv2D
from pan_tf.size import Size


def image_input(image_size, channels, name="source"):
    """A network's input: pixels a side, or (height, width), or None for any."""
    height, width = (None, None) if image_size is None else Size.of(image_size)
    return keras.Input((height, width, channels), name=name)


def scaled(filters, width):
    """Numbers of channels times `width`, at least 1 each."""
    return [max(1, round(number * width)) for number in filters]


def normal(stddev=0.02, mean=0.0):
    """Initializer of kernels, N(0, 0.02) unless a paper says otherwise."""
    return keras.initializers.RandomNormal(mean, stddev)


def torch_bias(fan_in):
    """Torch's own initializer of biases, U(-1, 1) / sqrt(fan_in).

    Args:
        fan_in: inputs of an output: kernel height x width x channels.
    """
    limit = fan_in**-0.5
    return keras.initializers.RandomUniform(-limit, limit)


def leaky(x):
    """Leaky ReLU of slope 0.2."""
    return LeakyReLU(0.2)(x)


def symmetric_conv(x, number, filters, stride, stddev=0.02, **kwargs):
    """3x3 convolution with a pixel of zeros on every side, `layer_<number>`."""
    return SymmetricConv2D(
        filters,
        3,
        strides=stride,
        kernel_initializer=normal(stddev),
        name=f"layer_{number}",
        **kwargs,
    )(x)


def conv4(x, number, filters, stride=2, padding=1, **kwargs):
    """4x4 convolution with `padding` zeros on every side, as Torch counts them.

    With stride 2, one pixel is what "same" puts around an image of even size; with
    stride 1 "same" would pad unevenly, and the map would not shrink.
    """
    is_same = stride == 2 and padding == 1
    if padding and not is_same:
        x = layers.ZeroPadding2D(padding)(x)
    # The others keep Keras' layer, and the rounding of results that are published.
    kind = Conv2D if is_same else layers.Conv2D
    return kind(
        filters,
        4,
        strides=stride,
        padding="same" if is_same else "valid",
        kernel_initializer=normal(),
        name=f"layer_{number}",
        **kwargs,
    )(x)


def deconv4(x, number, filters, stride=2, padding="same", **kwargs):
    """4x4 transposed convolution; of stride 2 it doubles height and width."""
    return Conv2DTranspose(
        filters,
        4,
        strides=stride,
        padding=padding,
        kernel_initializer=normal(),
        name=f"layer_{number}",
        **kwargs,
    )(x)


def norm(x, number, statistics="moving"):
    """Batch normalization as Lasagne has it, `layer_<number>_norm`."""
    return BatchNormalization(statistics=statistics, name=f"layer_{number}_norm")(x)


def torch_norm(x, number, statistics="moving"):
    """Batch normalization as Torch has it, `layer_<number>_norm`."""
    return BatchNormalization(
        epsilon=1e-5,
        statistics=statistics,
        gamma_initializer=normal(mean=1.0),
        name=f"layer_{number}_norm",
    )(x)
