"""Transformation networks T with skip connections (U-Nets), image -> image.

Input and output are float `[B, H, W, C]` in [-1, 1]; the output is float32 under every
dtype policy. Height and width must be multiples of 2 ** number of halvings.
"""

import keras
from keras import layers

from pan_tf.layers import Dropout
from pan_tf.networks.blocks import conv4
from pan_tf.networks.blocks import deconv4
from pan_tf.networks.blocks import image_input
from pan_tf.networks.blocks import leaky
from pan_tf.networks.blocks import norm
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import symmetric_conv
from pan_tf.networks.blocks import torch_norm
from pan_tf.networks.declarations import multiple_of
from pan_tf.networks.declarations import transformer

# Encoder of Table II, then what the deeper networks append.
_FILTERS = (64, 128, 256, 512, 512, 512, 512, 512)
_DECLARED = {
    "settings": {"bn_statistics": "statistics"},
    "check_size": multiple_of(64, "T halves the image six times"),
}


def _deepest(image_size):
    """As many layers down, up to eight, as the image has room for."""
    fits = (n for n in (6, 7, 8) if all(side % 2**n == 0 for side in image_size))
    return {"depth": max(fits, default=6)}


@transformer(**_DECLARED)
def pan_transformer(
    image_size=None,
    width=1.0,
    statistics="moving",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of the PAN paper, Table II: six layers down, six up.

    Skip connections leave the encoder after batch normalization and before the leaky
    ReLU, as the order of words in Table II has it. Layer 1 has neither batch
    normalization nor a skip. 16 831 875 parameters.

    Args:
        image_size: pixels a side, or (height, width), multiples of 64; None for any.
        width: multiplies the number of channels; 1 as in Table II.
        statistics: of `layers.BatchNormalization`, outside of training.
        source_channels, target_channels: of the images.
        name: name of the model.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    first, *rest = scaled(_FILTERS[:6], width)
    x = symmetric_conv(image, 1, first, 2)
    encoded = []
    for number, filters in enumerate(rest, start=2):
        x = norm(symmetric_conv(leaky(x), number, filters, 2), number, statistics)
        encoded.append(x)
    x = leaky(x)
    decoder = zip(scaled((512, 256, 128, 64), width), encoded[-2::-1], strict=True)
    for number, (filters, skip) in enumerate(decoder, start=7):
        x = norm(deconv4(x, number, filters), number, statistics)
        x = layers.ReLU()(layers.Concatenate()([x, skip]))
    x = layers.ReLU()(norm(deconv4(x, 11, first), 11, statistics))
    x = deconv4(x, 12, target_channels, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)


@transformer(**_DECLARED, arguments_at=_deepest)
def official_pan_transformer(
    image_size=None,
    depth=8,
    width=1.0,
    statistics="moving",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T that the script released with PAN trains: up to eight layers down and up.

    Against Table II: batch normalization on layer 1, whose kernel starts at N(0, 0.05);
    skips from every layer, taken from the raw convolution, before normalization; an
    innermost layer without normalization. 45 873 987 parameters at depth 8.

    Args:
        image_size: as of `pan_transformer`, but multiples of 2 ** depth.
        depth: number of encoder layers, 3 to 8; the released network has 8.
        width, statistics, source_channels, target_channels, name: as there.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    *outer, innermost = scaled(_FILTERS[:depth], width)
    x, encoded = image, []
    for number, filters in enumerate(outer, start=1):
        raw = symmetric_conv(x, number, filters, 2, 0.05 if number == 1 else 0.02)
        encoded.append(raw)
        x = leaky(norm(raw, number, statistics))
    x = layers.ReLU()(symmetric_conv(x, depth, innermost, 2))
    for number, skip in enumerate(reversed(encoded), start=depth + 1):
        x = norm(deconv4(x, number, skip.shape[-1]), number, statistics)
        x = layers.ReLU()(layers.Concatenate()([x, skip]))
    x = deconv4(x, 2 * depth, target_channels, activation="tanh", dtype="float32")
    return keras.Model(image, x, name=name)


@transformer(**_DECLARED, arguments_at=_deepest)
def pix2pix_transformer(
    image_size=None,
    depth=8,
    width=1.0,
    statistics="image",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of pix2pix: a U-Net of up to eight 4x4 layers down and up, with dropout.

    Skips leave the encoder after normalization. Neither the first and the innermost
    encoder layer nor the last decoder layer is normalized. Half of the values of the
    first `depth - 5` decoder layers are dropped in training; pix2pix drops them at test
    time too, as its only noise, which would make translation a matter of chance.
    Without biases but the last layer's, as in the authors' PyTorch code: 54 413 955
    parameters at depth 8.

    Args:
        image_size: as of `pan_transformer`, but multiples of 2 ** depth.
        depth: number of encoder layers, 3 to 8; the published network has 8.
        statistics: as there; pix2pix tests with those of the one image.
        width, source_channels, target_channels, name: as there.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    *outer, innermost = scaled(_FILTERS[:depth], width)
    x, encoded = image, []
    for number, filters in enumerate(outer, start=1):
        x = conv4(leaky(x) if encoded else x, number, filters, use_bias=False)
        if encoded:
            x = torch_norm(x, number, statistics)
        encoded.append(x)
    x = conv4(leaky(x), depth, innermost, use_bias=False)
    for number, skip in enumerate(reversed(encoded), start=depth + 1):
        x = deconv4(layers.ReLU()(x), number, skip.shape[-1], use_bias=False)
        x = torch_norm(x, number, statistics)
        if number <= 2 * depth - 5:
            x = Dropout(0.5, name=f"layer_{number}_dropout")(x)
        x = layers.Concatenate()([x, skip])
    x = deconv4(
        layers.ReLU()(x), 2 * depth, target_channels, activation="tanh", dtype="float32"
    )
    return keras.Model(image, x, name=name)


@transformer(
    **_DECLARED,
    arguments_at=lambda image_size: {"depth": min(_deepest(image_size)["depth"], 7)},
)
def resize_transformer(
    image_size=None,
    depth=7,
    num_resized=2,
    width=1.0,
    statistics="moving",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """A U-Net with skips at every resolution, the full one too, and resize convolutions.

    Against the T that the script released with PAN trains: a convolution at full
    resolution begins it, whose skip carries edges as sharp as the source's; and the
    outermost decoder layers enlarge before a 3x3 convolution. A strided transposed
    convolution has other weights for even pixels than for odd ones, which shows as a
    checkerboard (Odena et al., Distill 2016); a grid of the inner layers is smoothed by
    the outer ones. 35 086 275 parameters at depth 7.

    Args:
        image_size: as of `pan_transformer`, but multiples of 2 ** depth.
        depth: number of halvings, 3 to 8.
        num_resized: decoder layers, the outermost ones, that enlarge before they
            convolve.
        width, statistics, source_channels, target_channels, name: as there.

    Returns:
        A functional `keras.Model`.
    """
    image = image_input(image_size, source_channels)
    full, *down = scaled((32, *_FILTERS[:depth]), width)
    x = leaky(symmetric_conv(image, 1, full, 1))
    encoded = [x]
    for number, filters in enumerate(down, start=2):
        x = leaky(norm(symmetric_conv(x, number, filters, 2), number, statistics))
        encoded.append(x)
    *skips, x = encoded
    for number, skip in enumerate(reversed(skips), start=depth + 2):
        filters = skip.shape[-1]
        if number > 2 * depth + 1 - num_resized:
            x = layers.Concatenate()([layers.UpSampling2D(2)(x), skip])
            x = norm(symmetric_conv(x, number, filters, 1), number, statistics)
            x = layers.ReLU()(x)
        else:
            x = layers.ReLU()(norm(deconv4(x, number, filters), number, statistics))
            x = layers.Concatenate()([x, skip])
    x = symmetric_conv(
        x, 2 * depth + 2, target_channels, 1, activation="tanh", dtype="float32"
    )
    return keras.Model(image, x, name=name)
