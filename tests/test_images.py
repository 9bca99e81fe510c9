import numpy as np
import tensorflow as tf

from pan_tf import images


def test_every_level_survives_the_round_trip():
    levels = tf.range(256, dtype=tf.int32)
    pixels = tf.cast(tf.reshape(levels, (1, 256, 1)), tf.uint8)
    assert np.array_equal(images.to_uint8(images.to_float(pixels)), pixels)


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
