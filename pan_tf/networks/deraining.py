"""T of ID-CGAN, which PAN takes over to remove rain and snow: no pixel is ever reduced.

Twelve 3x3 layers of stride 1 (the six "deconvolutions" of stride 1 are convolutions with
their kernels turned), two skips that add. Input and output are float `[B, H, W, C]` in
[-1, 1], of any size; the output is float32 under every dtype policy.
"""

import keras
from keras import layers

from pan_tf.networks.blocks import image_input
from pan_tf.networks.blocks import leaky
from pan_tf.networks.blocks import norm
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import symmetric_conv
from pan_tf.networks.blocks import torch_norm
from pan_tf.networks.declarations import transformer

_ENCODER = (64, 64, 64, 64, 32)
_DECODER = (32, 64, 64, 64, 64)
_SKIPS = {8: 4, 10: 2}  # Decoder layer -> encoder layer that is added to it.
_DECLARED = {
    "settings": {"bn_statistics": "statistics"},
    "revision": 2,
    "earlier": {1: "had no tanh at its end, so that its outputs had no bounds"},
}


@transformer(**_DECLARED)
def deraining_transformer(
    image_size=None,
    width=1.0,
    statistics="moving",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of PAN's de-raining, as its released code builds it.

    Layer 6 has a single channel. Skips are taken after batch normalization and before
    the leaky ReLU; kernels start at N(0, 0.05).

    Args:
        image_size: pixels a side, or (height, width); None for any.
        width: multiplies the number of channels; 1 as published.
        statistics: of `layers.BatchNormalization`, outside of training.
        source_channels, target_channels: of the images.
        name: name of the model.

    Returns:
        A functional `keras.Model`.
    """
    channels = source_channels, target_channels
    return _build(image_size, width, statistics, channels, name, norm, 0.05, "before")


@transformer(**_DECLARED)
def id_cgan_transformer(
    image_size=None,
    width=1.0,
    statistics="image",
    source_channels=3,
    target_channels=3,
    name="transformer",
):
    """T of ID-CGAN, as its released code builds it.

    Against `deraining_transformer`: skips are taken after the leaky ReLU, which the
    Torch code applies in place; there are no biases (it zeroes them in every step); its
    conventions are Torch's, and its kernels start at N(0, 0.02).

    Args:
        image_size, width, source_channels, target_channels, name: as of
            `deraining_transformer`.
        statistics: as there; ID-CGAN tests with those of the one image.

    Returns:
        A functional `keras.Model`.
    """
    return _build(
        image_size,
        width,
        statistics,
        (source_channels, target_channels),
        name,
        torch_norm,
        0.02,
        "after",
        use_bias=False,
    )


def _build(
    image_size,
    width,
    statistics,
    channels,
    name,
    normalize,
    stddev,
    skip_activation,
    **kwargs,
):
    source_channels, target_channels = channels
    image = image_input(image_size, source_channels)
    x, skips = image, {}
    for number, filters in enumerate((*scaled(_ENCODER, width), 1), start=1):
        x = symmetric_conv(x, number, filters, 1, stddev, **kwargs)
        if number > 1:
            x = normalize(x, number, statistics)
        skips[number], x = x, leaky(x)
        if skip_activation == "after":
            skips[number] = x
    for number, filters in enumerate(scaled(_DECODER, width), start=7):
        x = symmetric_conv(x, number, filters, 1, stddev, **kwargs)
        x = normalize(x, number, statistics)
        if number in _SKIPS:
            x = layers.Add()([x, skips[_SKIPS[number]]])
        x = layers.ReLU()(x)
    kwargs |= {"activation": "tanh", "dtype": "float32"}
    x = symmetric_conv(x, 12, target_channels, 1, stddev, **kwargs)
    return keras.Model(image, x, name=name)
