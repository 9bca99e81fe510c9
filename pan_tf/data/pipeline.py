"""Splits -> batches, with tf.data.

The stream of training examples is a pure function of (seed, example number). Example
number n is the (n mod N)-th of a permutation of the N pairs that depends on the seed and
on the epoch n // N. Its crop and augmentation, and a source that is synthesized, depend
on the seed and on n. Iteration i, one minibatch of the global batch size B, is the
examples i * B to i * B + B - 1. So a run that is resumed at iteration i sees what the
straight run would have seen, whatever the number of replicas and of minibatches in a
round, and nothing is decoded to get there.

Without pairs, source and target of an example are drawn so from a list each, with crops
and augmentation of their own: which meet is another matter in every epoch.
"""

import os
import time

import tensorflow as tf

from pan_tf import tracing
from pan_tf.data.cache import Cache
from pan_tf.data.geometry import Geometry
from pan_tf.data.geometry import loaded_dtype
from pan_tf.data.split import evenly

_FOREVER = 2**62
_TARGETS = 2**40  # Beside the seed, where targets are drawn for themselves.


def training_dataset(
    split,
    *,
    geometry,
    augmentations,
    batch_size,
    minibatches,
    seed,
    first_iteration=0,
    workers=1,
    worker=0,
    replicas=1,
    cache=None,
):
    """The endless stream of rounds, from an iteration on.

    Args:
        split: `Split`.
        geometry: `Geometry`, or a `Size` to squash to.
        augmentations: names of `augment.AUGMENTATIONS`.
        batch_size: of one minibatch, over all replicas.
        minibatches: minibatches, hence iterations, in a round.
        seed: int.
        first_iteration: where to begin.
        workers: number of workers.
        worker: which of them this is.
        replicas: replicas on this worker.
        cache: `Cache` of decoded images, or None.

    Returns:
        `tf.data.Dataset` of `{"source", "target"}`, float32 `[batch_size / all replicas,
        minibatches, H, W, C]` in [-1, 1]. `replicas` successive
        elements, one a replica, are this worker's share of a round.
    """
    share = batch_size // workers
    per_round = share * minibatches

    def example_number(k):
        # Within a round the minibatch runs fastest: the first axis of an element, the
        # one that is split over replicas, must be the batch.
        step, place = k // per_round, k % per_round
        position, minibatch = place // minibatches, place % minibatches
        iteration = first_iteration + step * minibatches + minibatch
        return iteration * batch_size + worker * share + position

    make = example_maker(split, geometry, augmentations, seed, cache)

    def example(k):
        return make(example_number(k))

    rows = share // replicas

    def by_minibatch(images):
        return {
            k: tf.reshape(v, [rows, minibatches, *v.shape[1:]]) for k, v in images.items()
        }

    return (
        tf.data.Dataset.range(_FOREVER)
        .map(
            tracing.plain(example), num_parallel_calls=os.cpu_count(), deterministic=True
        )
        .batch(rows * minibatches, drop_remainder=True)
        .map(tracing.plain(by_minibatch))
        .prefetch(2 * replicas)
        .with_options(options())
    )


def options():
    """tf.data with numbers of threads that are given, not tuned.

    A tuner sleeps for up to a minute at a time, and what is asked to end waits for it:
    a process lived on for 8 to 105 seconds after its last line.
    """
    given = tf.data.Options()
    given.autotune.enabled = False
    return given


def example_maker(split, geometry, augmentations, seed, cache=None):
    """Graph function, number of an example -> `{"source", "target"}`.

    Args:
        split, geometry, augmentations, seed, cache: as of `training_dataset`.
    """
    geometry = Geometry.of(geometry)
    cache = Cache(0) if cache is None else cache

    def loader(load, specs, key):
        def loaded(index):
            return geometry.loaded(load(index), specs)

        planes = sum(spec.planes for spec in specs)
        return cache.over(loaded, loaded_dtype(specs), planes, key)

    def pair(n):
        own_seed = tf.stack([tf.constant(seed, tf.int64), n])
        loaded = load_pair(shuffled(n, len(split), seed))
        source, target = geometry.cropped(loaded, own_seed, augmentations, split.specs)
        if split.synthesize:
            source = split.synthesize(target, own_seed)
        return {"source": source, "target": target}

    def strangers(n):
        made = {}
        for name, (listed, load) in sides.items():
            own_seed = seed + _TARGETS * (name == "target")
            # Lists of one length must not be shuffled alike, else the same images would
            # meet for ever. The shuffle looks at a seed's lowest bits only.
            list_seed = ~seed if name == "target" else seed
            (made[name],) = geometry.cropped(
                load(shuffled(n, len(listed), list_seed)),
                tf.stack([tf.constant(own_seed, tf.int64), n]),
                augmentations,
                (listed.spec,),
                (name,),
            )
        return made

    if split.paired:
        load_pair = loader(split.load, split.specs, "pair")
        return pair
    both = (("source", split.source), ("target", split.target))
    sides = {
        name: (side, loader(lambda i, side=side: (side.load(i),), (side.spec,), name))
        for name, side in both
    }
    return strangers


def cost_of_example(make, count=4):
    """Seconds of all cores together that an example takes, nothing else running.

    Made eagerly, which adds a millisecond or two.

    Args:
        make: what `example_maker` gave.
        count: examples that are made, after a first one.

    Returns:
        (of an example that is new, of one that was made before).
    """
    numbers = [tf.constant(n, tf.int64) for n in range(count + 1)]
    make(numbers[0])
    seconds = []
    for _ in range(2):
        begin = time.process_time()
        for number in numbers[1:]:
            make(number)
        seconds.append((time.process_time() - begin) / count)
    return tuple(seconds)


def shuffled(n, count, seed):
    """Index of the n-th example of a list that is shuffled anew in every epoch.

    Args:
        n: int64 scalar, number of the example.
        count: length of the list.
        seed: int.
    """
    epoch, place = n // count, n % count
    order = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(place, order, count - 1)


def evaluation_dataset(split, *, geometry, batch_size, centre=False):
    """All examples once, in order, at training's scale and not augmented; the last batch
    may be smaller.

    Args:
        split: `Split`; without pairs, images of the same number come together, as many as
            both lists have. Or `Images`, which come alone.
        geometry: `Geometry`, or a `Size` to squash to.
        batch_size: images at a time; 1 where they differ in size.
        centre: whether to give the middle of each, `image_size` large, in place of all.

    Returns:
        `tf.data.Dataset` of `{"source", "target"}`, of `Images` of `{"image"}`, float32
        `[<= batch_size, H, W, C]` in [-1, 1].
    """
    geometry = Geometry.of(geometry)
    # Streaks and holes are made for the size of training.
    centre = centre or split.synthesize is not None
    view = geometry.centre if centre else geometry.whole
    batch_size = batch_size if centre or geometry.is_uniform else 1
    return (
        tf.data.Dataset.range(split.num_together)
        .map(
            tracing.plain(lambda index: split.example(index, view)),
            num_parallel_calls=os.cpu_count(),
            deterministic=True,
        )
        .batch(batch_size)
        .prefetch(1)
        .with_options(options())
    )


def spread(split, count, geometry, centre=False):
    """At most `count` examples, spread over a split; a batch of `evaluation_dataset`."""
    some = split.subset(evenly(split.num_together, count))
    (batch,) = evaluation_dataset(
        some, geometry=geometry, batch_size=len(some), centre=centre
    )
    return batch
