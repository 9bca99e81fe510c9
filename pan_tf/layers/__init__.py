"""Layers that Keras does not have, or not as the original implementations had them.

Images are NHWC. Every layer here computes the same function on one replica and on
many: a batch split over replicas gives the result of the whole batch.
"""

from pan_tf.layers.augmentation import D_AUGMENTATIONS
from pan_tf.layers.augmentation import DiscriminatorAugmentation
from pan_tf.layers.convolution import Conv2D
from pan_tf.layers.convolution import Conv2DTranspose
from pan_tf.layers.convolution import Cropping2D
from pan_tf.layers.convolution import LeakyReLU
from pan_tf.layers.convolution import ReflectionPadding2D
from pan_tf.layers.convolution import SymmetricAveragePooling2D
from pan_tf.layers.convolution import SymmetricConv2D
from pan_tf.layers.convolution import leaky_relu
from pan_tf.layers.hole import CutHole
from pan_tf.layers.hole import PasteCentre
from pan_tf.layers.normalization import BatchNormalization
from pan_tf.layers.normalization import InstanceNormalization
from pan_tf.layers.normalization import plane_means
from pan_tf.layers.stochastic import Dropout
from pan_tf.layers.stochastic import ImagePool

__all__ = [
    "D_AUGMENTATIONS",
    "BatchNormalization",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "CutHole",
    "DiscriminatorAugmentation",
    "Dropout",
    "ImagePool",
    "InstanceNormalization",
    "LeakyReLU",
    "PasteCentre",
    "ReflectionPadding2D",
    "SymmetricAveragePooling2D",
    "SymmetricConv2D",
    "leaky_relu",
    "plane_means",
]
