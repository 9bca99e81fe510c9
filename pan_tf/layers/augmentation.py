"""What happens to images before a discriminator sees them, T's gradient included.

DiffAugment (Zhao et al., arXiv:2006.10738): with few images D learns them by heart. Where
it sees real and generated ones changed in the same manner it cannot, and T, through whose
outputs the gradient of the change runs, does not learn the changes themselves. Here a
source, its target and T's output are changed alike, so that pairs stay pairs, and so do
the hidden layers that a perceptual adversarial loss compares.
"""

import keras
import tensorflow as tf

from pan_tf.layers.stochastic import draw
from pan_tf.layers.stochastic import seed_of

# Largest shift, as a share of the side; and of brightness, in the unit of images.
_SHIFT, _BRIGHTNESS = 0.125, 0.5


def _brightness(images, drawn):
    return images + 2.0 * _BRIGHTNESS * (drawn[:, :1, None, None] - 0.5)


def _contrast(images, drawn):
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return (images - mean) * (drawn[:, :1, None, None] + 0.5) + mean


def _shift(images, drawn):
    for axis, equation in ((1, "bij,bjwc->biwc"), (2, "bij,bhjc->bhic")):
        side = images.shape[axis]
        most = round(_SHIFT * side)
        by = tf.floor(drawn[:, axis - 1] * (2 * most + 1)) - most
        places = tf.range(side)[None] - tf.cast(by, tf.int32)[:, None]
        # A product with a matrix of zeros and ones: what comes from outside is 0, and
        # unlike that of `gather` its gradient is quick on every device.
        images = tf.einsum(equation, tf.one_hot(places, side, dtype=images.dtype), images)
    return images


# Name -> (function of float32 images and of numbers in [0, 1) `[B, 2]`, whether it moves
# pixels, rather than changing their values).
D_AUGMENTATIONS = {
    "brightness": (_brightness, False),
    "contrast": (_contrast, False),
    "shift": (_shift, True),
}


@keras.saving.register_keras_serializable("pan_tf")
class DiscriminatorAugmentation(keras.layers.Layer):
    """Changes of images that are drawn once for an example, and differentiable.

    What is drawn is a function of a seed and of a count of draws, both of which are
    weights, hence in every checkpoint; two replicas draw what one does.

    Args:
        names: of `D_AUGMENTATIONS`, in order.
        as_labels: names of the images that are label maps: they are only moved.
        **kwargs: as `keras.layers.Layer`.

    Raises:
        ValueError: for another name.
    """

    def __init__(self, names, as_labels=(), **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if unknown := [name for name in names if name not in D_AUGMENTATIONS]:
            raise ValueError(
                f"`names` must be some of: {', '.join(D_AUGMENTATIONS)}. "
                f"Received: {', '.join(unknown)}."
            )
        self.names, self.as_labels = tuple(names), tuple(as_labels)
        self.built = True
        self.state = seed_of(self, "seed_and_draws")

    def draw(self, batch):
        """Numbers in [0, 1) for a minibatch: float32 `[B, len(names), 2]`.

        Args:
            batch: number of examples on this replica.
        """
        return draw(self.state, (batch, len(self.names), 2))

    def call(self, inputs, drawn=None, name="output"):
        """Changed images.

        Args:
            inputs: float `[B, H, W, C]` in [-1, 1].
            drawn: what `draw` gave; None to draw anew.
            name: which image of a `Translation` it is.

        Returns:
            The same shape in the layer's dtype, float32 by itself; values may lie beyond
            [-1, 1].
        """
        images = tf.cast(inputs, self.compute_dtype)
        drawn = self.draw(tf.shape(inputs)[0]) if drawn is None else drawn
        drawn = tf.cast(drawn, images.dtype)
        for i, augmentation in enumerate(self.names):
            change, moves = D_AUGMENTATIONS[augmentation]
            if moves or name not in self.as_labels:
                images = change(images, drawn[:, i])
        return images

    def get_config(self):
        own = {"names": self.names, "as_labels": self.as_labels}
        return {**super().get_config(), **own}
