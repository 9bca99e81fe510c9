"""How far apart two images are in the features of a network that knows images.

LPIPS (Zhang et al., arXiv:1801.03924): features of each position are scaled to unit
length, and their squared distance counts, channel by channel as learnt from people's
judgements. The VGG distance is the same without what was learnt.
"""

import tensorflow as tf

from pan_tf import images
from pan_tf import networks

# The last layer of each of VGG-16's five blocks, as LPIPS has it.
LAYERS = (
    "block1_conv2",
    "block2_conv2",
    "block3_conv3",
    "block4_conv3",
    "block5_conv3",
)


def vgg_distance(weights):
    """The distance in VGG-16's features.

    Args:
        weights: `Weights` with "vgg16".

    Returns:
        (reference, prediction), uint8 `[B, H, W, C]`, 16 px a side or more -> float32
        `[B]`, at least 0, and 0 for equal images: the sum over `LAYERS` of the mean over
        positions of |a / |a| - b / |b||^2. Grey is taken as RGB.
    """
    network = networks.vgg_features(LAYERS, weights=weights["vgg16"])

    def features(pixels):
        rgb = images.to_float(images.with_channels(pixels, 3))
        return [tf.math.l2_normalize(f, axis=-1, epsilon=1e-10) for f in network(rgb)]

    def distance(reference, prediction):
        pairs = zip(features(reference), features(prediction), strict=True)
        squares = [tf.reduce_sum((a - b) ** 2, axis=-1) for a, b in pairs]
        return tf.add_n([tf.reduce_mean(square, axis=(1, 2)) for square in squares])

    return distance


# What LPIPS subtracts from RGB in [-1, 1], and divides by.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


def lpips(weights):
    """LPIPS, version 0.1, with AlexNet.

    Args:
        weights: `Weights` with "alexnet", torchvision's file, and "lpips_alex", the
            authors' file of the linear layers.

    Returns:
        (reference, prediction), uint8 `[B, H, W, C]`, 31 px a side or more -> float32
        `[B]`, at least 0, and 0 for equal images. Grey is taken as RGB.

    Raises:
        ValueError: naming the file, if one holds something else.
    """
    network = _named(weights["alexnet"], networks.alexnet_features)
    channels = [feature.shape[-1] for feature in network.outputs]
    linear = _named(weights["lpips_alex"], lambda path: _linear(path, channels))

    def features(pixels):
        rgb = images.to_float(images.with_channels(pixels, 3))
        found = network((rgb - _SHIFT) / _SCALE)
        lengths = [tf.norm(f, axis=-1, keepdims=True) + 1e-10 for f in found]
        return [f / length for f, length in zip(found, lengths, strict=True)]

    def distance(reference, prediction):
        if min(reference.shape[1:3]) < networks.ALEXNET_SMALLEST:
            raise ValueError(
                f"LPIPS takes images of {networks.ALEXNET_SMALLEST} px a side or more. "
                f"Received: {reference.shape[1]} x {reference.shape[2]}."
            )
        pairs = zip(linear, features(reference), features(prediction), strict=True)
        maps = [tf.linalg.matvec((a - b) ** 2, weight) for weight, a, b in pairs]
        return tf.add_n([tf.reduce_mean(each, axis=(1, 2)) for each in maps])

    return distance


def _linear(path, channels):
    """The weight of every channel of every feature."""
    found = networks.read_state_dict(path)
    names = [f"lin{number}.model.1.weight" for number in range(len(channels))]
    shapes = [found[name].shape if name in found else None for name in names]
    if shapes != [(1, count, 1, 1) for count in channels]:
        raise ValueError(f"it has {', '.join(found)}, and must have {', '.join(names)}")
    return [tf.constant(found[name].reshape(-1), tf.float32) for name in names]


def _named(path, read):
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used for LPIPS: {error}.") from None
