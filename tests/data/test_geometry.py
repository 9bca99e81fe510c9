import numpy as np
import pytest
import tensorflow as tf

from pan_tf import images
from pan_tf.data import Geometry
from pan_tf.data import Images
from pan_tf.data import Split
from pan_tf.data import evaluation_dataset
from pan_tf.data.file_sizes import choose
from pan_tf.data.geometry import reflected_up
from pan_tf.size import Size


def coordinates(height, width):
    """uint8 `[H, W, 3]` whose colours are its coordinates."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, 0 * x], -1).astype(np.uint8)


def cropped(geometry, image, seed):
    group = (tf.constant(image), tf.constant(255 - image))
    source, target = geometry.jitter(group, tf.constant([1, seed], tf.int64), ())
    return images.to_uint8(source).numpy(), images.to_uint8(target).numpy()


def test_crop_takes_pixels_as_they_are_from_everywhere():
    image, corners = coordinates(40, 60), set()
    for seed in range(300):
        source, target = cropped(Geometry("crop", (16, 32)), image, seed)
        left, top = (int(value) for value in source[0, 0, :2])
        assert np.array_equal(source, image[top : top + 16, left : left + 32])
        assert np.array_equal(target, 255 - source)
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(25))
    assert {left for _, left in corners} == set(range(29))


def test_crop_reflects_smaller_images_up():
    source, target = cropped(Geometry("crop", 8), coordinates(3, 8), 0)
    assert source[:, 0, 1].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert np.array_equal(target, 255 - source)
    assert reflected_up(coordinates(1, 1), Size(3, 2)).shape == (3, 2, 3)


@pytest.mark.parametrize(
    ("load", "files", "expected"),
    [
        (286, (600, 900), (286, 429)),
        (286, (900, 600), (429, 286)),
        (286, (100, 100), (286, 286)),
        ((128, 512), (100, 100), (512, 512)),
        ((128, 512), (100, 900), (128, 1152)),
        (64, (333, 500), (64, 96)),
    ],
)
def test_scale_covers_the_load_size_with_the_images_aspect(load, files, expected):
    geometry = Geometry("scale", 64, load)
    assert geometry.measured_size(*files) == expected
    sides = map(int, geometry.measured_size(*map(tf.constant, files)))
    assert tuple(sides) == expected


def test_scale_crops_the_resized_image():
    image = np.repeat(coordinates(48, 96), 2, 0).repeat(2, 1)
    geometry = Geometry("scale", 32, 48)
    resized = images.resize(image, Size(48, 96)).numpy()
    seen = set()
    for seed in range(40):
        source, _ = cropped(geometry, image, seed)
        found = np.argwhere(
            (resized[:17, :65] == source[0, 0]).all(-1).astype(int)
        ).tolist()
        places = [
            (y, x)
            for y, x in found
            if np.array_equal(resized[y : y + 32, x : x + 32], source)
        ]
        assert places
        seen.update(map(tuple, places))
    assert len(seen) > 20


@pytest.mark.parametrize(
    ("mode", "size"), [("squash", (32, 32)), ("scale", (48, 72)), ("crop", (60, 90))]
)
def test_whole_images_are_measured_and_their_middles_shown(mode, size):
    image = coordinates(60, 90)
    split = Split.of_pairs("test", ("a",), lambda i: (image, 255 - image))
    geometry = Geometry(mode, 32, None if mode == "crop" else 48)
    (whole,) = evaluation_dataset(split, geometry=geometry, batch_size=4)
    assert whole["source"].shape == (1, *size, 3)
    (shown,) = evaluation_dataset(split, geometry=geometry, batch_size=4, centre=True)
    assert shown["source"].shape == (1, 32, 32, 3)
    if mode == "crop":
        middle = images.to_uint8(shown["source"][0]).numpy()
        assert np.array_equal(middle, image[14:46, 29:61])


def test_images_of_several_sizes_come_one_by_one():
    every = [coordinates(40 + 8 * i, 50) for i in range(3)]

    def load(index):
        image = tf.numpy_function(lambda i: every[i], [index], tf.uint8)
        image = tf.ensure_shape(image, (None, None, 3))
        return image, image

    split = Split.of_pairs("test", ("a", "b", "c"), load)
    batches = list(evaluation_dataset(split, geometry=Geometry("crop", 32), batch_size=8))
    assert [b["target"].shape[1] for b in batches] == [40, 48, 56]


def test_strangers_keep_their_own_aspect():
    source, target = coordinates(100, 200), coordinates(200, 100)
    sides = [Images(("a",), lambda i, x=x: tf.constant(x)) for x in (source, target)]
    split = Split("test", *sides)
    geometry = Geometry("scale", 32, 50)
    (batch,) = evaluation_dataset(split, geometry=geometry, batch_size=1, centre=True)
    wide = images.to_uint8(batch["source"][0]).numpy()
    high = images.to_uint8(batch["target"][0]).numpy()
    # Two pixels of the file in one, along both axes, of either.
    for shown in (wide, high):
        steps = [np.diff(shown[..., c].astype(int), axis=1 - c).mean() for c in (0, 1)]
        assert steps == pytest.approx([2, 2], abs=0.1)


@pytest.mark.parametrize(
    ("sizes", "mode"),
    [
        ([(256, 256)] * 3, "squash"),
        ([(256, 256), (270, 256)], "squash"),
        ([(256, 300)] * 3, "crop"),
        ([(600, 900)] * 3, "crop"),
        ([(600, 900), (500, 900)], "crop"),
        ([(600, 900), (300, 450)], "scale"),
        ([(256, 256), (512, 512)], "scale"),
        ([(200, 300)] * 3, "scale"),
        ([(2000, 3000)] * 3, "scale"),
    ],
)
def test_own_files_get_what_fits_them(sizes, mode):
    assert choose(sizes, Size(256, 256))[0] == mode


def test_files_of_the_aspect_that_is_trained_are_not_distorted():
    assert choose([(128, 256)] * 2, Size(64, 128))[0] == "squash"
    assert choose([(128, 256)] * 2, Size(128, 128))[0] == "crop"


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (
            Geometry("crop", 256),
            "images of 900x600, cropped to 256x256 at native resolution",
        ),
        (
            Geometry("squash", 256, 286),
            "images of 900x600, squashed to 286x286, cropped to 256x256 (scale 0.35)",
        ),
        (
            Geometry("scale", 256, 300),
            "images of 900x600, scaled, with their aspect, until the shorter side is "
            "300, then cropped to 256x256 (scale 0.5)",
        ),
        (
            Geometry("squash", "64x128", "72x144"),
            "images of 900x600, squashed to 144x72 (width x height), cropped to 128x64 "
            "(scale 0.12)",
        ),
    ],
)
def test_a_geometry_says_what_it_does_and_survives_json(geometry, said):
    geometry = geometry.with_files([(600, 900)] * 4)
    assert str(geometry) == said
    assert Geometry.from_json(geometry.to_json()) == geometry


def test_scales_are_those_of_the_files():
    geometry = Geometry("scale", 64, 100).with_files([(100, 200), (200, 200), (400, 800)])
    assert geometry.files.scale == (0.5, 0.25, 1.0)
    assert geometry.is_far(0.16) and geometry.is_far(1.51)
    assert not geometry.is_far(0.17) and not geometry.is_far(1.49)
    assert Geometry.from_json(geometry.to_json()) == geometry


def test_scales_are_those_of_all_files():
    sizes = [(100, 100)] * 3 + [(400, 400)]
    assert Geometry("squash", 100).with_files(sizes).files.scale == (1.0, 0.25, 1.0)
