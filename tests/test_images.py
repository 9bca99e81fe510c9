import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import images
from pan_tf.images import ImageSpec


def test_every_level_survives_the_round_trip():
    levels = tf.range(256, dtype=tf.int32)
    pixels = tf.cast(tf.reshape(levels, (1, 256, 1)), tf.uint8)
    assert np.array_equal(images.to_uint8(images.to_float(pixels)), pixels)


@pytest.mark.parametrize(
    "kind, low, high", [("float32", 0, 1), ("uint16", 0, 4095), ("int16", -50, 200)]
)
def test_8_bits_are_no_values_of_another_range(kind, low, high):
    spec = ImageSpec(1, 16, low=low, high=high, kind=kind)
    spec.fit(np.ones((2, 2, 1), kind))
    for pixels in (np.ones((2, 2, 1), np.uint8), np.ones((2, 2, 1), bool)):
        with pytest.raises(ValueError, match=f"is of 8 bits, which .*{kind} from {low}"):
            spec.fit(pixels)


def test_whole_numbers_up_to_255_may_be_of_8_bits():
    spec = ImageSpec(1, 8, low=0, high=100, kind="uint16")
    values = np.array([[[0], [50], [200]]], np.uint8)
    assert spec.fit(values).ravel().tolist() == [0, 128, 255]
    assert (spec.fit(values) == spec.fit(values.astype(np.uint16))).all()


def test_ends_of_the_range():
    pixels = tf.constant([0, 255], tf.uint8)
    assert images.to_float(pixels).numpy().tolist() == [-1.0, 1.0]


def test_to_uint8_rounds_and_clips():
    values = tf.constant([-1.2, 1.2, (127.6 / 127.5) - 1.0])
    assert images.to_uint8(values).numpy().tolist() == [0, 255, 128]


def test_grid_puts_one_example_in_a_row_between_white_lines():
    black, grey = np.zeros((3, 8, 6, 3), np.uint8), np.full((3, 8, 6, 3), 100, np.uint8)
    grid = images.grid(black, grey, gap=2)
    assert grid.shape == (3 * 10 - 2, 2 * 8 - 2, 3)
    assert grid[0, 0, 0] == 0 and grid[0, 6, 0] == 255 and grid[0, 8, 0] == 100


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(),
        ImageSpec(labels=3, channels=3),
        ImageSpec(1, 16, low=0.0, high=4095.0, kind="uint16"),
        ImageSpec(4, 16, low=-1.0, high=0.0, kind="float32", has_alpha=True),
    ],
)
def test_a_spec_comes_back_whole_from_json(spec):
    found = ImageSpec.from_json(json.loads(json.dumps(spec.to_json())))
    # Ranges and kinds do not make two specs differ.
    assert dataclasses.asdict(found) == dataclasses.asdict(spec)
