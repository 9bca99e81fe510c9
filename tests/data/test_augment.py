import numpy as np
import pytest
import tensorflow as tf

from pan_tf.config import Config
from pan_tf.data import Geometry
from pan_tf.data import augment


def turned(shape, seed):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(1, *shape, 1)
    seed = tf.constant([1, seed], tf.int64)
    return pixels[0, ..., 0], augment.augment(pixels, seed, ("rot90",))[0, ..., 0].numpy()


@pytest.mark.parametrize(("shape", "turns"), [((4, 4), {0, 1, 2, 3}), ((4, 6), {0, 2})])
def test_rot90_turns_by_what_the_shape_allows(shape, turns):
    seen = set()
    for seed in range(40):
        before, after = turned(shape, seed)
        fits = [k for k in range(4) if np.array_equal(np.rot90(before, k), after)]
        seen.update(fits)
        assert len(fits) == 1
    assert seen == turns


def test_pairs_are_turned_together_and_draws_do_not_follow_the_flip():
    image = tf.reshape(tf.range(48, dtype=tf.int32), (4, 4, 3))
    image, seen = tf.cast(image, tf.uint8), set()
    for seed in range(60):
        names = ("flip", "rot90")
        source, target = Geometry("squash", 4).jitter(
            (image, 255 - image), tf.constant([3, seed], tf.int64), names
        )
        np.testing.assert_allclose(source, -target, atol=1e-6)
        seen.add(source.numpy().tobytes())
    assert len(seen) == 8  # All symmetries of a square.


def test_a_run_names_its_augmentations():
    assert Config(augment=("rot90",)).to_flagfile().count("--augment=rot90") == 1
    with pytest.raises(ValueError, match="--augment must be one of: rot90"):
        Config(augment=("rot80",))
