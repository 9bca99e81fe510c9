"""Cutting, blending and scoring, with a T that can be worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import images
from pan_tf import networks
from pan_tf.data import Geometry
from pan_tf.images import RGB
from pan_tf.inference import Tiling
from pan_tf.inference import WholeImages
from pan_tf.inference import seam_score
from pan_tf.inference.scale import Scale
from pan_tf.inference.tiles import translate_tiles
from pan_tf.networks import ReceptiveField

FIELD = networks.ReceptiveField(multiple=64, radius=189)


def test_the_halo_is_the_receptive_field_where_half_of_the_tile_is_left():
    assert Tiling.of(1024, FIELD) == Tiling(1024, 192, 64)
    assert Tiling.of(512, FIELD) == Tiling(512, 128, 64)
    assert Tiling.of(1024, networks.ReceptiveField(64, 0)).halo == 0


@pytest.mark.parametrize("tile_size", [192, 300])
def test_a_tile_without_room_for_a_halo_is_refused(tile_size):
    with pytest.raises(ValueError, match="a multiple of 64, at least 256"):
        Tiling.of(tile_size, FIELD)


def test_starts_are_multiples_and_the_last_tile_ends_with_the_image():
    tiling = Tiling(512, 128, 64)
    assert tiling.starts(512) == [0]
    assert tiling.starts(513) == [0, 64]
    assert tiling.starts(1000) == [0, 256, 512]
    assert tiling.borders(1000) == [384, 640]
    assert tiling.count(1000, 513) == 6


@pytest.mark.parametrize("size", [1, 500, 513, 1000, 4096])
@pytest.mark.parametrize(
    "tiling",
    [Tiling(512, 128, 64), Tiling(1024, 12, 1), Tiling(64, 12, 1), Tiling(16, 4, 1)],
    ids=lambda tiling: f"{tiling.tile_size}-{tiling.halo}",
)
def test_windows_add_up_to_one_and_vanish_before_a_tile_ends(tiling, size):
    total = np.zeros(size)
    for start, weights in tiling.windows(size):
        total[start : start + len(weights)] += weights
        assert start == 0 or weights[0] < 0.01
        assert start + len(weights) == size or weights[-1] < 0.01 or len(weights) < 17
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_tiles_of_a_local_function_give_the_whole():
    random = np.random.default_rng(0)
    source = random.integers(0, 256, (700, 900, 3), np.uint8)
    seen = []

    def negative(tile):
        seen.append(tile.shape)
        return -tile

    tiling = Tiling(256, 64, 64)
    output = translate_tiles(negative, source, tiling)
    assert (output == 255 - source).all()
    assert len(seen) == tiling.count(700, 900)


@pytest.mark.parametrize(("tile_size", "levels"), [(16, 10), (64, 1), (1024, 1)])
def test_tiles_of_a_network_with_a_small_field_are_the_whole(tile_size, levels):
    """As the T of `restore`, whose halo is narrower than the usual ramp."""
    field = networks.ReceptiveField(multiple=1, radius=4)
    source = np.random.default_rng(0).integers(0, 256, (1100, 90, 3), np.uint8)

    def blurred(tile):  # Of 9 x 9 pixels, the border's repeated.
        tile = tf.pad(tile, [[0, 0], [4, 4], [4, 4], [0, 0]], "SYMMETRIC")
        return tf.nn.avg_pool2d(tile, 9, 1, "VALID")

    tiled = translate_tiles(blurred, source, Tiling.of(tile_size, field))
    whole = images.to_uint8(blurred(images.to_float(source[None])))[0].numpy()
    assert np.abs(tiled.astype(int) - whole).max() <= levels


def test_a_tile_counts_most_in_its_middle():
    source = np.zeros((64, 600, 3), np.uint8)
    levels = iter([-1.0, 1.0, -1.0, 1.0])
    tiling = Tiling(256, 64, 64)
    output = translate_tiles(lambda t: tf.zeros_like(t) + next(levels), source, tiling)
    row = output[0, :, 0].astype(int)
    for start, level in zip(tiling.starts(600), (0, 255, 0, 255), strict=True):
        assert row[min(start + 128, 599)] == level
    assert np.abs(np.diff(row)).max() < 20  # From 0 to 255 over 32 pixels.


def test_seam_score_is_the_gradient_at_borders_against_elsewhere():
    tiling = Tiling(512, 128, 64)
    rows = np.arange(1000)
    ramp = np.repeat((rows % 256).astype(np.uint8)[:, None, None], 3, -1)
    ramp[rows >= 384] = 255 - ramp[rows >= 384]  # No jump: 127 -> 126 ... by hand below.
    change = np.abs(np.diff(ramp[:, 0, 0].astype(int)))
    at = np.isin(rows[1:], [384, 640])
    expected = change[at].mean() / change[~at].mean()
    assert seam_score(ramp, tiling) == pytest.approx(expected)


def test_seam_score_of_one_tile_or_of_a_flat_image_is_none():
    tiling = Tiling(512, 128, 64)
    assert seam_score(np.zeros((500, 500, 3), np.uint8), tiling) is None
    assert seam_score(np.zeros((1000, 1000, 3), np.uint8), tiling) is None


def test_a_cut_without_halo_shows_in_the_score():
    random = np.random.default_rng(0)
    pixels = random.integers(100, 110, (1000, 1000, 3), np.uint8)
    tiling = Tiling(512, 128, 64)
    assert seam_score(pixels, tiling) == pytest.approx(1, abs=0.1)
    pixels[384:640] += 50
    pixels[:, 384:640] += 50
    assert seam_score(pixels, tiling) > 5


def limited(pixels, multiple=64):
    """A T that takes no more than some pixels."""
    return WholeImages(None, ReceptiveField(multiple, 30), RGB, RGB, "m", limit=pixels)


def test_an_image_beyond_a_limit_is_cut_into_tiles_within_it():
    whole = limited(300**2)
    assert whole.tiling(256, 320) is None  # 81 920 of 90 000.
    assert whole.tiling(257, 300).tile_size == 256  # Rounded up it is 320 x 320.
    assert limited(600**2).tiling(1000, 1000).tile_size == 576
    with pytest.raises(ValueError, match="--tile_size must be at most 300"):
        whole.tiling(1000, 1000, tile_size=320)


def test_tiles_of_a_t_of_a_large_multiple_have_room_for_their_halo():
    whole = limited(2**40, multiple=512)
    assert whole.tiling(4096, 4096).tile_size == 2048


def test_an_image_of_as_many_pixels_as_are_taken_whole_is_not_cut():
    whole = limited(2**40)
    assert whole.tiling(1024, 2048) is None
    assert whole.tiling(1024, 2049).tile_size == 1024  # Rounded up to 2112.


@pytest.mark.parametrize(
    ("scale", "size", "seen"),
    [("0.5", (5, 1), (3, 1)), (0.1, (3, 100), (1, 10)), (2, (3, 4), (6, 8))],
)
def test_a_number_scales_both_sides_which_keep_a_pixel(scale, size, seen):
    found = Scale.of(scale).seen_size(Geometry("squash", 64), *size)
    assert found == seen
    of_tensors = Scale.of(scale).seen_size(None, *map(tf.constant, size))
    assert tuple(map(int, of_tensors)) == seen


def test_where_no_geometry_is_known_images_are_seen_as_they_are():
    assert Scale("auto").seen_size(None, 5, 7) == (5, 7)
    assert Scale("native").seen_size(Geometry("squash", 64), 5, 7) == (5, 7)
    assert Scale("auto").seen_size(Geometry("squash", 64), 5, 7) == (64, 64)


@pytest.mark.parametrize("value", [0, -1, "nan", 1e-4, 2e3, "", None, True, "half"])
def test_what_is_no_scale_is_refused(value):
    with pytest.raises(ValueError, match="must be auto, native, or a number"):
        Scale.of(value)
