"""Decoded images in memory: what is read once need not be decoded in every epoch."""

import threading

import numpy as np
import tensorflow as tf

from pan_tf.memory import available_bytes

_SHARE, _MOST = 0.25, 4 * 2**30  # Of the memory that is free; bytes.


def budget(gib=None):
    """Bytes for decoded images: as asked for in GiB, or by the memory that is free."""
    if gib is not None:
        return int(gib * 2**30)
    return int(min(_MOST, _SHARE * (available_bytes() or 0)))


class Cache:
    """Arrays by number, until a budget is used up; what came first stays.

    With an order that is drawn anew in every epoch nothing is gained by throwing
    anything out.

    Args:
        limit: bytes.
    """

    def __init__(self, limit):
        self.limit, self.used = limit, 0
        self._kept, self._lock = {}, threading.Lock()

    def __len__(self):
        return len(self._kept)

    def over(self, load, dtype, channels, key):
        """A graph function that loads a number once: int64 -> `[H, W, channels]`.

        Args:
            load: graph function, likewise.
            dtype: of its result.
            channels: of its result.
            key: tells it from other functions over the same cache.
        """
        if not self.limit:
            return load
        nothing = np.zeros((0, 0, channels), dtype.as_numpy_dtype)

        def get(index):
            return self._kept.get((key, int(index)), nothing)

        def put(index, made):
            with self._lock:
                name = key, int(index)
                if name not in self._kept and self.used + made.nbytes <= self.limit:
                    self._kept[name] = np.array(made)
                    self.used += made.nbytes
            return np.bool_(True)

        def cached(index):
            kept = tf.numpy_function(get, [index], dtype)
            kept = tf.ensure_shape(kept, (None, None, channels))

            def make():
                made = load(index)
                done = tf.numpy_function(put, [index, made], tf.bool)
                with tf.control_dependencies([done]):
                    return tf.ensure_shape(tf.identity(made), (None, None, channels))

            return tf.cond(tf.size(kept) > 0, lambda: kept, make)

        return cached
