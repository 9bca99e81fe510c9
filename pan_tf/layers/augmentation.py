"""What happens to images before a discriminator sees them, T's gradient included.

DiffAugment (Zhao et al., arXiv:2006.10738): with few images D learns them by heart. Where
it sees real and generated ones changed in the same manner it cannot, and T, through whose
outputs the gradient of the change runs, does not learn the changes themselves. Here a
source, its target and T's output are changed alike, so that pairs stay pairs, and so do
the hidden layers that a perceptual adversarial loss compares.

What D does not know by heart it would rather see as it is. Adaptive discriminator
augmentation (ADA; Karras et al., arXiv:2006.06676) finds out how much is needed: each
change of each example is made with a probability that follows how sure D is of targets.
"""

import keras
import tensorflow as tf

from pan_tf.layers.stochastic import draw
from pan_tf.layers.stochastic import draw_times
from pan_tf.layers.stochastic import kept
from pan_tf.layers.stochastic import seed_of

# Largest shift, as a share of the side; and of brightness, in the unit of images.
_SHIFT, _BRIGHTNESS = 0.125, 0.5
# Images in which the probability of ADA can go from 0 to 1. The authors have 500 000, a
# fiftieth of their trainings of 25 million; ours are a tenth of a training of minutes.
_ADA_IMAGES = 4000


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


# Name -> (function of float32 images and of numbers in [0, 1) `[B, 2]`, of which 0.5 is
# no change; whether it moves pixels, rather than changing their values).
D_AUGMENTATIONS = {
    "brightness": (_brightness, False),
    "contrast": (_contrast, False),
    "shift": (_shift, True),
}


@keras.saving.register_keras_serializable("pan_tf")
class DiscriminatorAugmentation(keras.layers.Layer):
    """Changes of images that are drawn once for an example, and differentiable.

    What is drawn is a function of a seed and of a count of draws, both of which are
    weights, hence in every checkpoint; two replicas draw what one does. So is the
    probability of an adaptive one.

    Args:
        names: of `D_AUGMENTATIONS`, in order.
        as_labels: names of the images that are label maps: they are only moved.
        ada_target: mean sign of D's logits on targets, above which the probability of a
            change grows, and below which it falls; it begins at 0. 0: every change is
            made, always.
        **kwargs: as `keras.layers.Layer`.

    Raises:
        ValueError: for another name, or a target that is negative, 1 or more.
    """

    def __init__(self, names, as_labels=(), ada_target=0.0, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if unknown := [name for name in names if name not in D_AUGMENTATIONS]:
            raise ValueError(
                f"`names` must be some of: {', '.join(D_AUGMENTATIONS)}. "
                f"Received: {', '.join(unknown)}."
            )
        if not 0.0 <= ada_target < 1.0:
            raise ValueError(
                f"`ada_target` must be in [0, 1). Received: ada_target={ada_target}."
            )
        self.names, self.as_labels = tuple(names), tuple(as_labels)
        self.ada_target, self.probability = ada_target, None
        self.built = True
        self.state = seed_of(self, "seed_and_draws")
        if ada_target:
            self.probability = kept(self, "probability", 0.0)

    def draw(self, batch, times=None):
        """Numbers in [0, 1) for a minibatch: float32 `[B, len(names), 2]`.

        Args:
            batch: number of examples on this replica.
            times: for so many minibatches, `[times, B, len(names), 2]`; None for one.
        """
        shape = batch, len(self.names), 2 if self.probability is None else 3
        if times is None:
            drawn = draw(self.state, shape)
        else:
            drawn = draw_times(self.state, times, shape)
        if self.probability is None:
            return drawn
        return tf.where(drawn[..., 2:] < self.probability, drawn[..., :2], 0.5)

    def follow(self, real_sign, batch):
        """Moves the probability after an update of D, if it is adaptive.

        Args:
            real_sign: mean sign of D's logits on the global batch's targets, in [-1, 1]:
                1 where D takes all of them for real, 0 where it guesses.
            batch: number of examples on this replica.

        Returns:
            name -> float32 scalar, for the logs.
        """
        if self.probability is None:
            return {}
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        step = tf.cast(batch * replicas, tf.float32) / _ADA_IMAGES
        moved = self.probability + step * tf.sign(real_sign - self.ada_target)
        self.probability.assign(tf.clip_by_value(moved, 0.0, 1.0))
        return {"d_augment_probability": tf.convert_to_tensor(self.probability)}

    def weights_by_name(self):
        """name -> variable: what a checkpoint holds beside the seed."""
        if self.probability is None:
            return {}
        return {"augmentation_probability": self.probability}

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
        return {**super().get_config(), **own, "ada_target": self.ada_target}
