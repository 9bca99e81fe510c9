import itertools

import numpy as np
import pytest
import tensorflow as tf

from pan_tf.data import Geometry
from pan_tf.data import Images
from pan_tf.data import Split
from pan_tf.data import evaluation_dataset
from pan_tf.data import training_dataset


def numbered(count, size=8):
    """Pairs of one colour: the pair's number."""

    def load(index):
        image = tf.fill((size, size, 3), tf.cast(index, tf.uint8))
        return image, image

    return Split.of_pairs("train", tuple(map(str, range(count))), load)


def stream(pairs, rounds, *, minibatches=1, batch_size=2, first_iteration=0, **more):
    """Source images of some rounds, `[rounds, batch, minibatches, 8, 8, 3]`."""
    geometry = Geometry("squash", 8, more.pop("load_size", 8))
    settings = {"geometry": geometry, "augmentations": (), "seed": 3} | more
    dataset = training_dataset(
        pairs,
        batch_size=batch_size,
        minibatches=minibatches,
        first_iteration=first_iteration,
        **settings,
    )
    return np.stack([b["source"] for b in itertools.islice(dataset, rounds)])


def numbers(batches):
    """The pairs' numbers: `[rounds, batch, minibatches]`."""
    return np.round((batches[..., 0, 0, 0] + 1) * 127.5).astype(int)


def test_every_epoch_is_another_permutation_of_all_pairs():
    order = numbers(stream(numbered(10), 15)).ravel()
    epochs = order.reshape(3, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_seed_decides_the_order():
    one, same = (numbers(stream(numbered(10), 5, seed=1)) for _ in range(2))
    other = numbers(stream(numbered(10), 5, seed=2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("first", [4, 12])
def test_resumed_stream_goes_on_where_the_straight_one_was(first):
    pairs = numbered(7, size=12)
    more = {"minibatches": 4, "augmentations": ("flip",), "load_size": 12}
    straight = stream(pairs, 5, **more)
    resumed = stream(pairs, 5 - first // 4, first_iteration=first, **more)
    assert np.array_equal(straight[first // 4 :], resumed)


def test_rounds_of_any_length_see_the_same_minibatches():
    one = numbers(stream(numbered(50), 8))  # [8, 2, 1]
    four = numbers(stream(numbered(50), 2, minibatches=4))  # [2, 2, 4]
    assert np.array_equal(one[..., 0].reshape(2, 4, 2), four.transpose(0, 2, 1))


def test_replicas_and_workers_share_out_the_global_batch():
    pairs = numbered(50)
    whole = numbers(stream(pairs, 3, minibatches=2, batch_size=4))
    shares = [
        numbers(
            stream(
                pairs,
                6,
                minibatches=2,
                batch_size=4,
                workers=2,
                worker=worker,
                replicas=2,
            )
        )
        for worker in range(2)
    ]
    for step in range(3):
        parts = [share[2 * step + r] for share in shares for r in range(2)]
        assert np.array_equal(np.concatenate(parts), whole[step])


def test_augmentation_differs_from_epoch_to_epoch():
    pairs = Split.of_pairs("train", ("x",), lambda i: (noise(), noise()))
    batches = stream(pairs, 4, load_size=12, batch_size=1)
    assert len({batch.tobytes() for batch in batches}) > 1


def noise():
    image = tf.random.stateless_uniform((12, 12, 3), (1, 2), 0, 256, tf.int32)
    return tf.cast(image, tf.uint8)


def test_evaluation_visits_each_pair_once_in_order_with_a_smaller_last_batch():
    dataset = evaluation_dataset(numbered(5), geometry=8, batch_size=2)
    batches = [b["source"].numpy() for b in dataset]
    assert [len(b) for b in batches] == [2, 2, 1]
    assert numbers(np.concatenate(batches)).tolist() == [0, 1, 2, 3, 4]


def test_seed_decides_the_crops():
    pairs = Split.of_pairs("train", ("x",), lambda i: (noise(), noise()))
    one, same, other = (
        stream(pairs, 4, load_size=12, batch_size=1, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_as_many_as_a_limit_are_spread_over_a_list():
    some = numbered(10).source.at_most(3)
    assert some.names == ("0", "3", "6")
    assert [int(some.load(i)[0, 0, 0]) for i in range(3)] == [0, 3, 6]


def test_some_images_have_their_own_sizes():
    sizes = np.array([(10, 20), (30, 40), (50, 60)])
    images = Images(tuple("abc"), lambda i: None, read_sizes=lambda i: sizes[i])
    assert images.subset([2, 0]).sizes().tolist() == [[50, 60], [10, 20]]
