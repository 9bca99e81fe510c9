import math

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks


def test_table_i():
    network = networks.pan_discriminator(256)
    count = sum(math.prod(v.shape) for v in network.trainable_variables)
    assert count == 7_050_249
    logits, features = network.output["logits"], network.output["features"]
    assert [tuple(z.shape) for z in logits] == [(None, 1)]
    assert [(f.shape[1], f.shape[3]) for f in features] == [
        (256, 64),
        (64, 256),
        (32, 512),
        (16, 512),
    ]


def test_features_are_taken_after_the_activation():
    network = networks.pan_discriminator(64, first_activation="tanh", width=1 / 16)
    image = tf.random.stateless_uniform((2, 64, 64, 3), (0, 0), -1, 1)
    features = network({"source": image, "image": image}, training=True)["features"]
    assert np.abs(features[0]).max() < 1.0  # tanh
    for feature in features[1:]:  # A leaky ReLU keeps a fifth of what is negative.
        x = np.array(feature)
        assert x.min() < 0 and -x[x < 0].mean() < 0.4 * x[x > 0].mean()


def test_source_is_ignored():
    network = networks.pan_discriminator(64, width=1 / 16)
    image = tf.random.stateless_uniform((1, 64, 64, 3), (0, 0), -1, 1)
    one = network({"source": image, "image": image})["logits"][0]
    other = network({"source": -image, "image": image})["logits"][0]
    assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_sizes(size):
    network = networks.pan_discriminator(size, width=1 / 64)
    assert network.output["features"][3].shape[1] == size // 16


@pytest.mark.parametrize(("stddev", "expected"), [(0.02, 0.02), (0.5, 0.5)])
def test_first_kernel_starts_as_wide_as_asked(stddev, expected):
    network = networks.pan_discriminator(64, first_stddev=stddev)
    kernel = network.get_layer("layer_1").kernel
    assert np.std(kernel) == pytest.approx(expected, rel=0.1)
