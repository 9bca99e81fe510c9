"""Images in the records of TensorFlow Datasets, read at random."""

import numpy as np
import tensorflow as tf

from pan_tf.data import preprocessing


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


def image_loader(records, key, places=None, channels=3):
    """Graph function, int64 scalar -> uint8 `[H, W, C]`.

    Args:
        records: as `open_split` gives.
        key: name of the image in a record.
        places: numbers of the records that there are; None for all.
        channels: of the images.
    """
    places = np.arange(len(records)) if places is None else places
    feature = {key: tf.io.FixedLenFeature([], tf.string)}

    def load(index):
        # Python only fetches bytes; parsing and decoding stay in the graph.
        record = tf.numpy_function(
            lambda i: np.array(records[int(places[i])], object), [index], tf.string
        )
        record = tf.ensure_shape(record, [])
        contents = tf.io.parse_single_example(record, feature)[key]
        return preprocessing.decode(contents, channels)

    return load


def columns(records, keys, at_once=1000):
    """Numbers of every record, one a key: int64 `[len(records), len(keys)]`, NumPy."""
    features = {key: tf.io.FixedLenFeature([], tf.int64) for key in keys}
    parts = []
    for first in range(0, len(records), at_once):
        last = min(first + at_once, len(records))
        parsed = tf.io.parse_example([records[i] for i in range(first, last)], features)
        parts.append(np.stack([parsed[key].numpy() for key in keys], axis=1))
    return np.concatenate(parts)
