"""Images in the records of TensorFlow Datasets, read at random."""

import numpy as np
import tensorflow as tf

from pan_tf.data import preprocessing

_AT_ONCE = 1000  # Records that are parsed together.


def fingerprint(info):
    """What a prepared data set is: its name, version, and the size of every split."""
    checksums = [f"{s.name}:{s.num_examples}:{s.num_bytes}" for s in info.splits.values()]
    return f"{info.full_name} {' '.join(sorted(checksums))}"


def open_split(prepared, split):
    """The encoded records of a split, a sequence of bytes; `prepared` is its builder."""
    import tensorflow_datasets as tfds

    return prepared.as_data_source(
        split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )


def image_loader(records, key, places=None):
    """Graph function, int64 scalar -> uint8 `[H, W, 3]`.

    Args:
        records: as `open_split` gives.
        key: name of the image in a record.
        places: numbers of the records that there are; None for all.
    """
    load = record_loader(records, {key: tf.io.FixedLenFeature([], tf.string)}, places)
    return lambda index: preprocessing.decode(load(index)[key])


def record_loader(records, features, places=None):
    """Graph function, int64 scalar -> what a record holds: name -> parsed feature."""
    places = np.arange(len(records)) if places is None else places

    def load(index):
        # Python only fetches bytes; parsing and decoding stay in the graph.
        record = tf.numpy_function(
            lambda i: np.array(records[int(places[i])], object), [index], tf.string
        )
        return tf.io.parse_single_example(tf.ensure_shape(record, []), features)

    return load


def columns(records, keys):
    """Numbers of every record, one a key: int64 `[len(records), len(keys)]`, NumPy."""
    features = {key: tf.io.FixedLenFeature([], tf.int64) for key in keys}
    parts = []
    for first in range(0, len(records), _AT_ONCE):
        last = min(first + _AT_ONCE, len(records))
        parsed = tf.io.parse_example([records[i] for i in range(first, last)], features)
        parts.append(np.stack([parsed[key].numpy() for key in keys], axis=1))
    return np.concatenate(parts)
