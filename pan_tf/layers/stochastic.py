"""Layers that draw at random: their state is in weights, hence in every checkpoint."""

import random

import keras
import tensorflow as tf


def kept(layer, name, value, shape=(), dtype=None):
    """A weight of a layer that it changes by itself, equally on all replicas.

    Args:
        layer: `keras.layers.Layer`, being made.
        name: of the weight.
        value: what it begins with: a number, or numbers of the shape.
        shape: of the weight.
        dtype: of the weight; None: the layer's.
    """
    return layer.add_weight(
        name=name,
        shape=shape,
        dtype=dtype,
        initializer=lambda shape, dtype: tf.broadcast_to(tf.cast(value, dtype), shape),
        trainable=False,
        aggregation="only_first_replica",
    )


def seed_of(layer, name):
    """A weight of a layer: the seed of what it draws, and a count of draws.

    Args:
        layer: `keras.layers.Layer`, being made.
        name: of the weight, "seed" in it: it is saved with a model's others.
    """
    # Python's generator, as Keras' own initializers: `set_random_seed` seeds it.
    return kept(layer, name, [random.getrandbits(31), 0], (2,), "int64")


def draw(state, shape):
    """Numbers in [0, 1), drawn for the global batch, of which a replica gets its share.

    Args:
        state: weight of `seed_of`; its count goes up.
        shape: int `[rank]`, of this replica's share, the batch first.

    Returns:
        float32 of that shape.
    """
    drawn = _drawn(tf.convert_to_tensor(state), shape)
    state.assign_add([0, 1])
    return drawn


def draw_times(state, count, shape):
    """What `count` calls of `draw` give, in one loop: float32 `[count, *shape]`."""
    seed = tf.convert_to_tensor(state)
    drawn = tf.map_fn(
        lambda number: _drawn(seed + tf.stack([0, number]), shape),
        tf.range(count, dtype=seed.dtype),
        fn_output_signature=tf.float32,
    )
    state.assign_add([0, count])
    return drawn


def _drawn(seed, shape):
    replicas, replica = 1, 0
    context = tf.distribute.get_replica_context()
    if context is not None:
        replicas = context.num_replicas_in_sync
        replica = context.replica_id_in_sync_group
    shape = tf.convert_to_tensor(shape)
    everywhere = tf.concat([[shape[0] * replicas], shape[1:]], 0)
    drawn = tf.random.stateless_uniform(everywhere, seed)
    return drawn[replica * shape[0] : (replica + 1) * shape[0]]


@keras.saving.register_keras_serializable("pan_tf")
class Dropout(keras.layers.Layer):
    """Dropout that is the same on one replica and on many, and resumes to the bit.

    Keras' layer draws on every replica for itself. Here the mask of the whole global
    batch is a function of a seed and a count of calls, both of which are weights, hence
    in every checkpoint; a replica takes its share of it.

    Args:
        rate: share of the values that training sets to 0, below 1; the others grow to
            make up.
        **kwargs: as `keras.layers.Layer`.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"`rate` must be in [0, 1). Received: rate={rate}.")
        self.rate = rate
        self.built = True
        self.state = seed_of(self, "seed_and_calls")

    def call(self, inputs, training=None):
        if not training or self.rate == 0.0:
            return inputs
        drawn = draw(self.state, tf.shape(inputs))
        mask = tf.cast(drawn >= self.rate, inputs.dtype)
        return inputs * mask / (1.0 - self.rate)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("pan_tf")
class ImagePool(keras.layers.Layer):
    """CycleGAN's pool: generated images of the past, for D to be reminded of.

    Image by image: while it is not full, an image is stored and returned; then, with
    probability one half, it takes the place of a random stored one, which is returned,
    and otherwise it is returned itself. Images, their number and the seed are weights,
    hence in every checkpoint, and equal on all replicas: each sees the whole global
    batch, in order.

    Args:
        image_shape: (height, width, channels).
        capacity: images that are stored, at least one.
        **kwargs: as `keras.layers.Layer`.

    Raises:
        ValueError: if nothing is to be stored.
    """

    def __init__(self, image_shape, capacity=50, **kwargs):
        if capacity < 1:
            raise ValueError(
                f"`capacity` must be at least 1. Received: capacity={capacity}."
            )
        # Whatever the dtype policy: what was generated is to come back as it was.
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.image_shape, self.capacity = tuple(image_shape), capacity
        self.built = True
        self.draws = kept(self, "seed", random.getrandbits(31), dtype="int64")
        self.count = kept(self, "count", 0, dtype="int64")  # Images seen so far.
        self.images = kept(self, "images", 0.0, (capacity, *self.image_shape))

    def call(self, inputs):
        """float32 `[B, *image_shape]` -> as many, each new or of the past."""
        context = tf.distribute.get_replica_context()
        everywhere, replica = inputs, 0
        if context is not None and context.num_replicas_in_sync > 1:
            everywhere = context.all_gather(inputs, axis=0)
            replica = context.replica_id_in_sync_group
        share = tf.shape(inputs)[0]
        count, stored = tf.identity(self.count.value), tf.identity(self.images.value)
        slots = self._slots(count, tf.shape(everywhere)[0])
        returned, stored = self._exchange(everywhere, stored, slots, count)
        self.images.assign(stored)
        self.count.assign(count + tf.cast(tf.shape(everywhere)[0], tf.int64))
        return returned[replica * share : (replica + 1) * share]

    def _slots(self, count, batch):
        """Where each image of the batch goes: int64 `[batch]`; -1 for nowhere."""
        numbers = count + tf.range(tf.cast(batch, tf.int64))
        seed = tf.stack([tf.convert_to_tensor(self.draws), count])
        drawn = tf.random.stateless_uniform((2, batch), seed)
        place = tf.cast(drawn[0] * self.capacity, tf.int64)
        exchanged = tf.where(drawn[1] < 0.5, place, -1)
        return tf.where(numbers < self.capacity, numbers, exchanged)

    def _exchange(self, new, stored, slots, count):
        """(what is returned, what is stored then): one image after the other, at once."""
        number = tf.range(tf.shape(new)[0])
        # What lies at an image's slot when its turn comes: an earlier one of the batch
        # that went there, or what was there before.
        went_there = (slots[:, None] == slots[None]) & (number[:, None] > number[None])
        earlier = tf.reduce_max(tf.where(went_there, number[None], -1), axis=1)
        shape = (-1,) + (1,) * len(self.image_shape)
        found = tf.where(
            tf.reshape(earlier >= 0, shape),
            tf.gather(new, tf.maximum(earlier, 0)),
            tf.gather(stored, tf.maximum(slots, 0)),
        )
        is_first = tf.cast(number, tf.int64) + count < self.capacity
        is_itself = is_first | (slots < 0)
        returned = tf.where(tf.reshape(is_itself, shape), new, found)
        # The last of several that went to one slot stays.
        later = tf.reduce_any(
            (slots[:, None] == slots[None]) & (number[:, None] < number[None]), axis=1
        )
        stays = tf.where((slots >= 0) & ~later)
        stored = tf.tensor_scatter_nd_update(
            stored, tf.gather_nd(slots, stays)[:, None], tf.gather_nd(new, stays)
        )
        return returned, stored

    def get_config(self):
        config = {"image_shape": self.image_shape, "capacity": self.capacity}
        return {**super().get_config(), **config}
