"""Transformation networks T with residual blocks, image -> image, for unpaired sets.

Input and output are float `[B, H, W, C]` in [-1, 1]; the output is float32 under every
dtype policy.
"""

import keras
from keras import layers

from pan_tf.layers import Conv2D
from pan_tf.layers import Conv2DTranspose
from pan_tf.layers import Cropping2D
from pan_tf.layers import InstanceNormalization
from pan_tf.layers import ReflectionPadding2D
from pan_tf.networks.blocks import conv4
from pan_tf.networks.blocks import deconv4
from pan_tf.networks.blocks import image_input
from pan_tf.networks.blocks import normal
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import symmetric_conv
from pan_tf.networks.blocks import torch_bias
from pan_tf.networks.declarations import multiple_of
from pan_tf.networks.declarations import transformer


@transformer(check_size=multiple_of(4, "T halves the image twice"))
def cyclegan_transformer(
    image_size=None,
    num_blocks=9,
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of CycleGAN as the authors' PyTorch code has it by default.

    7x7, two 3x3 layers of stride 2, residual blocks, two transposed convolutions, 7x7.
    Borders are mirrored in the 7x7 layers and in the blocks; instance normalization
    without scale and offset after all layers but the last; a bias everywhere.
    11 378 179 parameters.

    Args:
        image_size: pixels a side, or (height, width), multiples of 4; None for any.
        num_blocks: residual blocks.
        width: multiplies the number of channels; 1 as published.
        source_channels, target_channels: of the images.
        name: name of the model.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    first, second, third = scaled((64, 128, 256), width)
    x = _normal_relu(_mirrored(image, 1, first, 7))
    x = _normal_relu(symmetric_conv(x, 2, second, 2))
    x = _normal_relu(symmetric_conv(x, 3, third, 2))
    for number in range(4, 4 + 2 * num_blocks, 2):
        residual = _normal_relu(_mirrored(x, number, third, 3))
        residual = InstanceNormalization()(_mirrored(residual, number + 1, third, 3))
        x = layers.Add()([x, residual])
    last = 4 + 2 * num_blocks
    x = _normal_relu(_doubled(x, last, second))
    x = _normal_relu(_doubled(x, last + 1, first))
    x = _mirrored(x, last + 2, target_channels, 7, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)


def _normal_relu(x):
    return layers.ReLU()(InstanceNormalization()(x))


def _mirrored(x, number, filters, size, **kwargs):
    """Convolution of an image that is mirrored at its border, `layer_<number>`."""
    x = ReflectionPadding2D(size // 2)(x)
    return Conv2D(
        filters, size, kernel_initializer=normal(), name=f"layer_{number}", **kwargs
    )(x)


def _doubled(x, number, filters):
    """Torch's 3x3 transposed convolution of stride 2, padding 1 and output padding 1.

    What undoes `symmetric_conv`; Keras' "same" would shift the image by a pixel.
    """
    x = Conv2DTranspose(
        filters,
        3,
        strides=2,
        padding="valid",
        kernel_initializer=normal(),
        name=f"layer_{number}",
    )(x)
    return Cropping2D(((1, 0), (1, 0)))(x)


def _check_halvings(image_size, halvings=3, **arguments):
    multiple_of(2**halvings, f"T halves the image {halvings} times")(image_size)


@transformer(
    check_size=_check_halvings,
    revision=2,
    earlier={1: "had no ReLU in its residual blocks"},
)
def manipulation_transformer(
    image_size=None,
    halvings=3,
    num_blocks=7,
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of the Perceptual Discriminators paper, as its released code trains it.

    M layers of stride 2, N residual blocks without an activation at their end, M
    transposed convolutions, between two 7x7 layers without biases; borders are zeros and
    nothing is normalized. 9 647 456 parameters with M = 3 and N = 7 (CelebA-HQ),
    2 993 888 with M = 2 and N = 9 (monet2photo).

    Args:
        image_size: as of `cyclegan_transformer`, but multiples of 2 ** halvings.
        halvings: M.
        num_blocks: N.
        width, source_channels, target_channels, name: as there.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    first, *counts = scaled([32 * 2**i for i in range(halvings + 1)], width)
    x = _seven(image, 1, first, activation="relu")
    number, before = 2, first
    for count in counts:
        x = conv4(x, number, count, bias_initializer=torch_bias(16 * before))
        x = layers.ReLU()(x)
        number, before = number + 1, count
    for _ in range(num_blocks):
        residual = _three(x, number, before, activation="relu")
        residual = _three(residual, number + 1, before)
        x = layers.Add()([x, residual])
        number += 2
    for count in [*counts[-2::-1], first]:
        # Torch counts the outputs of a transposed convolution as what goes in.
        x = deconv4(x, number, count, bias_initializer=torch_bias(16 * count))
        x = layers.ReLU()(x)
        number += 1
    x = _seven(x, number, target_channels, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)


def _seven(x, number, filters, **kwargs):
    return layers.Conv2D(
        filters,
        7,
        padding="same",
        use_bias=False,
        kernel_initializer=normal(),
        name=f"layer_{number}",
        **kwargs,
    )(x)


def _three(x, number, filters, **kwargs):
    bias = torch_bias(9 * filters)
    return symmetric_conv(x, number, filters, 1, bias_initializer=bias, **kwargs)
