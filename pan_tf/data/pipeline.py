"""Pairs -> batches, with tf.data.

The stream of training examples is a pure function of (seed, example number). Example
number n is the (n mod N)-th of a permutation of the N pairs that depends on the seed and
on the epoch n // N; its crop and flip, and a source that is synthesized, depend on the
seed and on n. Iteration i, one minibatch of the global batch size B, is the examples
i * B to i * B + B - 1. So a run that is resumed at iteration i sees what the straight run
would have seen, whatever the number of replicas and of minibatches in a cycle, and
nothing is decoded to get there.
"""

import tensorflow as tf

from pan_tf.data import preprocessing

_FOREVER = 2**62
_HELD_OUT = -1  # In place of a seed, where none is to matter.


def training_dataset(
    pairs,
    *,
    image_size,
    load_size,
    flip,
    batch_size,
    minibatches,
    seed,
    first_iteration=0,
    workers=1,
    worker=0,
    replicas=1,
):
    """The endless stream of cycles, from an iteration on.

    Args:
        pairs: `PairSet`.
        image_size: pixels a side.
        load_size: pixels a side before the random crop.
        flip: whether to mirror half of the pairs.
        batch_size: of one minibatch, over all replicas.
        minibatches: minibatches, hence iterations, in a cycle.
        seed: int.
        first_iteration: where to begin.
        workers: number of workers.
        worker: which of them this is.
        replicas: replicas on this worker.

    Returns:
        `tf.data.Dataset` of `{"source", "target"}`, float32 `[batch_size / all replicas,
        minibatches, image_size, image_size, 3]` in [-1, 1]. `replicas` successive
        elements, one a replica, are this worker's share of a cycle.
    """
    share = batch_size // workers
    cycle = share * minibatches

    def example_number(k):
        # Within a cycle the minibatch runs fastest: the first axis of an element, the
        # one that is split over replicas, must be the batch.
        step, place = k // cycle, k % cycle
        position, minibatch = place // minibatches, place % minibatches
        iteration = first_iteration + step * minibatches + minibatch
        return iteration * batch_size + worker * share + position

    def example(k):
        n = example_number(k)
        epoch, place = n // len(pairs), n % len(pairs)
        index = tf.random.experimental.index_shuffle(
            place, tf.stack([tf.constant(seed, tf.int64), epoch]), len(pairs) - 1
        )
        source, target = preprocessing.jitter(
            *pairs.load(index),
            seed=tf.stack([tf.constant(seed, tf.int64), n]),
            image_size=image_size,
            load_size=load_size,
            flip=flip,
        )
        if pairs.synthesize:
            source = pairs.synthesize(target, tf.stack([tf.constant(seed, tf.int64), n]))
        return {"source": source, "target": target}

    return (
        tf.data.Dataset.range(_FOREVER)
        .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(minibatches, drop_remainder=True)
        .batch(share // replicas, drop_remainder=True)
        .prefetch(2 * replicas)
    )


def evaluation_dataset(pairs, *, image_size, batch_size):
    """All pairs once, in order, resized and not augmented; the last batch may be smaller.

    Returns:
        `tf.data.Dataset` of `{"source", "target"}`, float32
        `[<= batch_size, image_size, image_size, 3]` in [-1, 1].
    """

    def example(index):
        source, target = preprocessing.plain(*pairs.load(index), image_size)
        if pairs.synthesize:
            # Not a number of training; of its place among all pairs of the split.
            seed = tf.stack([tf.constant(_HELD_OUT, tf.int64), pairs.number(index)])
            source = pairs.synthesize(target, seed)
        return {"source": source, "target": target}

    return (
        tf.data.Dataset.range(len(pairs))
        .map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size)
        .prefetch(1)
    )
