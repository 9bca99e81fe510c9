import itertools

import numpy as np
import pytest
import tensorflow as tf

from pan_tf.data import Geometry
from pan_tf.data import Images
from pan_tf.data import Split
from pan_tf.data import cache
from pan_tf.data import cost_of_example
from pan_tf.data import example_maker
from pan_tf.data import training_dataset

COUNT, SIDE = 5, 24


class Counted:
    """Noise by number, and how often each was loaded."""

    def __init__(self):
        random = np.random.default_rng(0)
        self.pixels = random.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
        self.loaded = [0] * COUNT

    def __call__(self, index):
        def load(i):
            self.loaded[int(i)] += 1
            return self.pixels[int(i)]

        image = tf.numpy_function(load, [index], tf.uint8)
        return tf.ensure_shape(image, (SIDE, SIDE, 3))


def split_of(load, paired):
    names = tuple(map(str, range(COUNT)))
    if paired:
        return Split.of_pairs("train", names, lambda i: (load(i), 255 - load(i)))
    return Split("train", Images(names, load), Images(names, load))


def stream(split, kept):
    dataset = training_dataset(
        split,
        geometry=Geometry("scale", 16, 20),
        augmentations=("flip",),
        batch_size=2,
        minibatches=1,
        seed=3,
        cache=kept,
    )
    return [b["source"].numpy() for b in itertools.islice(dataset, 12)]


@pytest.mark.parametrize("paired", [True, False])
def test_a_cache_changes_nothing_but_how_often_files_are_read(paired):
    plain, read_once = Counted(), Counted()
    expected = stream(split_of(plain, paired), None)
    kept = cache.Cache(2**20)
    found = stream(split_of(read_once, paired), kept)
    np.testing.assert_array_equal(found, expected)
    assert len(kept) == (COUNT if paired else 2 * COUNT)
    # What is fetched ahead may read an image that is being read already.
    assert max(read_once.loaded) < max(plain.loaded)
    again = sum(read_once.loaded)
    np.testing.assert_array_equal(stream(split_of(read_once, paired), kept), expected)
    assert sum(read_once.loaded) == again


def test_no_more_is_kept_than_there_is_room_for():
    load = Counted()
    image = 20 * 20 * 6
    kept = cache.Cache(3 * image + 1)
    stream(split_of(load, paired=True), kept)
    assert len(kept) == 3 and kept.used == 3 * image


def test_the_budget_is_what_is_asked_for_or_a_part_of_what_is_free(monkeypatch):
    monkeypatch.setattr(cache, "available_bytes", lambda: 8 * 2**30)
    assert cache.budget() == 2 * 2**30 and cache.budget(0.5) == 2**29
    assert cache.budget(0) == 0
    monkeypatch.setattr(cache, "available_bytes", lambda: 64 * 2**30)
    assert cache.budget() == 4 * 2**30
    monkeypatch.setattr(cache, "available_bytes", lambda: None)
    assert cache.budget() == 0


def test_what_an_example_costs_is_told_new_and_again(monkeypatch):
    spent = itertools.count()
    monkeypatch.setattr("time.process_time", lambda: float(next(spent)))
    load, kept = Counted(), cache.Cache(2**20)
    split = split_of(load, paired=True)
    make = example_maker(split, Geometry("squash", 16), (), 3, kept)
    assert cost_of_example(make) == (0.25, 0.25)
    # Of each pair both sides were loaded, once.
    assert load.loaded == [2] * COUNT
