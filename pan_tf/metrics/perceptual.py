"""How far apart two images are in the features of a network that knows images.

As LPIPS (Zhang et al., arXiv:1801.03924), without its learnt weights: features of each
position are scaled to unit length, and their squared distance counts.
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
        weights: file of VGG-16's convolutions, as `--vgg_weights`.

    Returns:
        (reference, prediction), uint8 `[B, H, W, C]`, 32 px a side or more -> float32
        `[B]`, at least 0, and 0 for equal images: the sum over `LAYERS` of the mean over
        positions of |a / |a| - b / |b||^2. Grey is taken as RGB.
    """
    network = networks.vgg_features(LAYERS, weights=weights)

    def features(pixels):
        rgb = images.to_float(images.with_channels(pixels, 3))
        return [tf.math.l2_normalize(f, axis=-1, epsilon=1e-10) for f in network(rgb)]

    def distance(reference, prediction):
        pairs = zip(features(reference), features(prediction), strict=True)
        squares = [tf.reduce_sum((a - b) ** 2, axis=-1) for a, b in pairs]
        return tf.add_n([tf.reduce_mean(square, axis=(1, 2)) for square in squares])

    return distance
