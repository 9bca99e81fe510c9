"""A margin that fits itself to the data.

How large P is depends on the images, and on the weights of its features: with a fixed
margin the hinge of Eq. (5) is idle on one data set, so that D plays no perceptual part,
and always active on another, so that all of D's features grow. Here the share of D's
updates in which it is active is fixed, and the margin follows.
"""

import keras
import tensorflow as tf

from pan_tf.layers.stochastic import kept

# The margin stays within this factor of what it began with. The bound is a fuse: P grows
# with D's weights, and a margin without one could drive both up for ever.
BOUND = 16.0
# What the margin's logarithm moves by in an update: quick to find P, slow to follow
# noise.
_GAIN = 0.02


class MarginController(keras.layers.Layer):
    """The margin below which P lies in a given share of D's updates.

    It begins at the first P, of whatever scale. From there it is a quantile by stochastic
    approximation (Robbins and Monro, 1951): after every minibatch of D's updates its
    logarithm moves by `0.02 * (activity - was the hinge active)`.
    The margin is a weight, hence in every checkpoint. P is that of the global batch, so
    that the margins of all replicas stay equal.

    Args:
        activity: the share, between 0 and 1.
        **kwargs: as `keras.layers.Layer`.

    Raises:
        ValueError: for another share.
    """

    def __init__(self, activity=0.5, **kwargs):
        if not 0.0 < activity < 1.0:
            raise ValueError(
                f"`activity` must be between 0 and 1. Received: activity={activity}."
            )
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.activity = activity
        self.built = True
        self.margin = kept(self, "margin", 0.0)
        self.first = kept(self, "first_distance", 0.0)

    def value(self, distance):
        """The margin, float32 scalar.

        Args:
            distance: P of this update, float32 scalar; the margin where there is none
                yet.
        """
        margin = tf.convert_to_tensor(self.margin)
        return tf.where(margin > 0.0, margin, tf.stop_gradient(distance))

    def follow(self, distance, active):
        """Moves the margin after an update of D.

        Args:
            distance: P of that update, float32 scalar.
            active: 1.0 where the hinge was active, 0.0 where not.
        """
        first = tf.convert_to_tensor(self.first)
        first = tf.where(first > 0.0, first, distance)
        moved = self.value(distance) * tf.exp(_GAIN * (self.activity - active))
        self.first.assign(first)
        self.margin.assign(tf.clip_by_value(moved, first / BOUND, first * BOUND))

    def weights_by_name(self):
        """name -> variable: what a checkpoint holds."""
        return {"margin": self.margin, "first_distance": self.first}

    def get_config(self):
        return {**super().get_config(), "activity": self.activity}
