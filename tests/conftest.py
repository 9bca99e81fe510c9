"""Two logical CPU devices, toy sizes, and what several tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import distribution
from pan_tf.config import Config


def pytest_configure(config):
    # Before any operation runs. One of them is used unless a test makes a strategy.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def float32_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas():
    """MirroredStrategy over two logical CPU devices, the only one of the process."""
    strategy = distribution.make_strategy()
    assert strategy.num_replicas_in_sync == 2
    return strategy


@pytest.fixture
def toy():
    """A configuration that is quick on a CPU; keyword arguments change it."""

    def make(**changes):
        settings = {"image_size": 64, "width": 1 / 16, "batch_size": 2, "iterations": 4}
        return Config(**{"dataset": "bluemarble", **settings, **changes})

    return make


@pytest.fixture
def pair_folder(tmp_path):
    """Makes D/train and D/val with side-by-side pairs; returns D."""

    def make(train=6, val=2, size=72, folder="pairs"):
        random = np.random.default_rng(0)
        for split, count in (("train", train), ("val", val)):
            if not count:
                continue
            place = tmp_path / folder / split
            place.mkdir(parents=True)
            for i in range(count):
                pixels = smooth_noise(random, size, 2 * size)
                Image.fromarray(pixels).save(place / f"{i:03d}.png")
        return tmp_path / folder

    return make


def smooth_noise(random, height, width):
    """uint8 `[height, width, 3]`, blocks of 8 x 8 pixels of one colour."""
    blocks = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
