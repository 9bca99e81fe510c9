"""A margin that fits itself to the data.

How large P is depends on the images: with a fixed margin the hinge of Eq. (5) is idle on
one data set, so that D plays no perceptual part, and always active on another, so that
all of D's features grow. Here the share of D's updates in which it is active is fixed,
and the margin follows.
"""

import math

import keras
import tensorflow as tf

# The margin begins here, and stays within this factor of it. The bound is a fuse: P
# grows with D's weights, and a margin without one could drive both up for ever.
BEGIN, BOUND = 2.0, 8.0
# Of the logarithm of the margin, in an update: quick to find P, slow to follow noise.
_GAIN = 0.02


class MarginController(keras.layers.Layer):
    """The margin below which P lies in a given share of D's updates.

    A quantile by stochastic approximation (Robbins and Monro, 1951): after every update
    of D the logarithm of the margin moves by `0.02 * (activity - was the hinge active)`.
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
        self.margin = self.add_weight(
            name="margin",
            shape=(),
            initializer=keras.initializers.Constant(BEGIN),
            trainable=False,
            aggregation="only_first_replica",
        )

    def value(self):
        """The margin, float32 scalar."""
        return tf.convert_to_tensor(self.margin)

    def follow(self, active):
        """Moves the margin after an update of D.

        Args:
            active: 1.0 where the hinge was active, 0.0 where not.
        """
        by = _GAIN * (self.activity - active)
        moved = tf.math.log(tf.convert_to_tensor(self.margin)) + by
        low, high = math.log(BEGIN / BOUND), math.log(BEGIN * BOUND)
        self.margin.assign(tf.exp(tf.clip_by_value(moved, low, high)))

    def get_config(self):
        return {**super().get_config(), "activity": self.activity}
