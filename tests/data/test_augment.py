import numpy as np
import pytest
import tensorflow as tf

from pan_tf.config import Config
from pan_tf.data import Geometry
from pan_tf.data import augment
from pan_tf.data import pipeline
from pan_tf.data.split import Images
from pan_tf.data.split import Split
from pan_tf.images import ImageSpec
from pan_tf.size import Size


def turned(shape, seed):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(1, *shape, 1)
    seed = tf.constant([1, seed], tf.int64)
    after = augment.augment(pixels, seed, ("rot90",), {"source": ImageSpec(1)})
    return pixels[0, ..., 0], after[0, ..., 0].numpy()


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


def darker(images, seed, sides):
    """A row of one's own: half as bright a source, whatever belongs to it."""
    return augment.of_side(images, sides, "source", lambda pixels, spec: pixels // 2)


@pytest.mark.parametrize("paired", [True, False])
def test_one_side_alone_can_change_its_colours(paired, monkeypatch):
    monkeypatch.setitem(augment.AUGMENTATIONS, "darker", darker)
    # In memory both are of 16 bits, where they belong together.
    images = (
        tf.fill((8, 8, 1), tf.constant(40000, tf.uint16)),
        tf.fill((8, 8, 3), tf.constant(200, tf.uint8)),
    )
    sides = [
        Images(tuple("abcd"), lambda i, image=image: image, spec=spec)
        for image, spec in zip(images, (ImageSpec(1, 16), ImageSpec(3)), strict=True)
    ]
    split = Split("train", *sides, (lambda i: images) if paired else None)
    make = pipeline.example_maker(split, Size(8, 8), ("darker",), seed=1)
    example = make(tf.constant(0, tf.int64))
    np.testing.assert_allclose(example["source"], 20000 / 32767.5 - 1, atol=1e-6)
    np.testing.assert_allclose(example["target"], 200 / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda images: images[:, :32], r"uint8 of \(1, 32, 64, 3\)"),
        (lambda images: images / 255, r"float32 of \(1, 64, 64, 3\)"),
    ],
)
def test_what_changes_shape_or_dtype_is_named(change, what, monkeypatch):
    rows = {"odd": lambda images, seed, sides: change(images)}
    monkeypatch.setattr(augment, "AUGMENTATIONS", rows)
    images = tf.zeros((1, 64, 64, 3), tf.uint8)
    with pytest.raises(ValueError, match=rf"AUGMENTATIONS\['odd'\] must .*{what} for"):
        augment.augment(images, tf.constant([1, 2], tf.int64), ("odd",), {})
