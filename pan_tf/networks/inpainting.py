"""T of Context-Encoders, which PAN takes over: it invents the centre of an image.

An encoder down to 4 x 4, a bottleneck of 4000 channels, a decoder up to half of the
image's side. T cuts the hole itself, so that nothing that lies there can be seen, and
returns the whole image with the centre pasted in: float `[B, S, S, 3]` in [-1, 1] for
one S, float32 under every dtype policy. `images.central_mask` has the geometry.
"""

import keras
from keras import layers

from pan_tf.layers import CutHole
from pan_tf.layers import PasteCentre
from pan_tf.networks.blocks import conv4
from pan_tf.networks.blocks import deconv4
from pan_tf.networks.blocks import image_input
from pan_tf.networks.blocks import leaky
from pan_tf.networks.blocks import norm
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import symmetric_conv
from pan_tf.networks.blocks import torch_norm
from pan_tf.networks.declarations import transformer
from pan_tf.size import Size

_BOTTLENECK = 4000


def check_inpainting_size(image_size, **arguments):
    """Raises ValueError unless an image of that size can be halved to 4 x 4."""
    size = image_size and Size.of(image_size)
    side = size.height if size and size.is_square else 0
    if side < 64 or side & (side - 1):
        raise ValueError(
            "--image_size must be 64, 128, 256 or another power of 2 for inpainting. "
            f"Received: image_size={image_size}."
        )


_DECLARED = {
    "settings": {"bn_statistics": "statistics"},
    "check_size": check_inpainting_size,
    "fills_centre": True,
    "rgb_only": True,  # A hole has a colour of its own.
    # The innermost layer has one position, which a batch of one would normalize away.
    "min_batch": 2,
}


@transformer(**_DECLARED)
def context_encoder_transformer(
    image_size, width=1.0, statistics="moving", name="transformer"
):
    """T of Context-Encoders at 128 px; larger and smaller images get more or less layers.

    4x4 layers, no biases (the Torch code zeroes them in every step).

    Args:
        image_size: height and width in pixels, a power of 2 from 64 up.
        width: multiplies the number of channels; 1 as published.
        statistics: of `layers.BatchNormalization`, outside of training.
        name: name of the model.

    Returns:
        A functional `keras.Model` for images of that size.

    Raises:
        ValueError: if the size is not one.
    """

    def encode(x, number, filters):
        return conv4(x, number, filters, use_bias=False)

    return _build(image_size, width, statistics, name, encode, torch_norm, use_bias=False)


@transformer(**_DECLARED)
def pan_inpainting_transformer(
    image_size, width=1.0, statistics="moving", name="transformer"
):
    """T of PAN's released inpainting model: against Context-Encoders', an encoder of 3x3
    layers, biases, and Lasagne's conventions.

    Args, Returns, Raises: as `context_encoder_transformer`.
    """

    def encode(x, number, filters):
        return symmetric_conv(x, number, filters, 2)

    return _build(image_size, width, statistics, name, encode, norm)


def _build(image_size, width, statistics, name, encode, normalize, **kwargs):
    check_inpainting_size(image_size)
    depth = Size.of(image_size).height.bit_length() - 3  # Halvings down to 4 x 4.
    image = image_input(image_size, 3)
    known = x = CutHole(name="hole")(image)
    filters = (64, 64, 128, 256, *[512] * (depth - 4))[: depth - 1]
    for number, count in enumerate(scaled((*filters, 512), width), start=1):
        x = encode(x, number, count)
        if number > 1:
            x = normalize(x, number, statistics)
        x = leaky(x)
    number = depth + 1
    (bottleneck,) = scaled((_BOTTLENECK,), width)
    x = conv4(x, number, bottleneck, stride=1, padding=0, **kwargs)
    x = leaky(normalize(x, number, statistics))
    # 4 x 4, then doublings up to half of the image's side, the last of them to colours.
    filters = (512, 256, 128, *[64] * (depth - 4))[: depth - 1]
    for i, count in enumerate(scaled(filters, width)):
        number += 1
        stride, padding = (1, "valid") if i == 0 else (2, "same")
        x = deconv4(x, number, count, stride=stride, padding=padding, **kwargs)
        x = layers.ReLU()(normalize(x, number, statistics))
    x = deconv4(x, number + 1, 3, activation="tanh", dtype="float32", **kwargs)
    return keras.Model(image, PasteCentre(dtype="float32")([known, x]), name=name)
