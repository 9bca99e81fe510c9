"""Transformers for unpaired sets, against the counts of the papers' code."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf.layers import InstanceNormalization
from pan_tf.networks import resnet
from tests.networks.counting import parameters


def test_cyclegan():
    network = networks.cyclegan_transformer()
    assert parameters(network) == 11_378_179
    norms = [
        layer for layer in network.layers if isinstance(layer, InstanceNormalization)
    ]
    assert len(norms) == 23  # All 24 layers but the last.
    assert all(not norm.weights for norm in norms)


@pytest.mark.parametrize(
    ("halvings", "blocks", "count", "smallest"),
    [(3, 7, 9_647_456, (32, 256)), (2, 9, 2_993_888, (64, 128))],
)
def test_manipulation(halvings, blocks, count, smallest):
    network = networks.manipulation_transformer(256, halvings, blocks)
    assert parameters(network) == count
    last_block = [
        layer for layer in network.layers if isinstance(layer, keras.layers.Add)
    ]
    assert len(last_block) == blocks
    assert last_block[-1].output.shape[2:] == smallest
    assert network.output_shape == (None, 256, 256, 3)


def test_upsampling_is_the_transpose_of_symmetric_stride_two():
    """As Torch's with padding 1 and output padding 1: <conv(x), y> = <x, deconv(y)>."""
    x, y = keras.Input((8, 8, 2)), keras.Input((4, 4, 3))
    down = keras.Model(x, networks.blocks.symmetric_conv(x, 1, 3, 2, use_bias=False))
    up = keras.Model(y, resnet._doubled(y, 1, 2))
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 3)).astype("float32")
    down.set_weights([kernel])
    up.set_weights([kernel, np.zeros(2)])
    image = tf.random.stateless_normal((1, 8, 8, 2), (0, 0))
    small = tf.random.stateless_normal((1, 4, 4, 3), (0, 1))
    one = float(tf.reduce_sum(down(image) * small))
    assert one == pytest.approx(float(tf.reduce_sum(image * up(small))), rel=1e-4)


def test_biases_start_as_torch_has_them():
    network = networks.manipulation_transformer(64)
    bias = network.get_layer("layer_2").bias  # 4 x 4 x 32 inputs.
    limit = (16 * 32) ** -0.5
    assert 0.8 * limit < np.abs(bias).max() <= limit
    assert not network.get_layer("layer_1").use_bias


def test_how_far_they_look():
    field = networks.receptive_field(networks.cyclegan_transformer())
    assert field.radius == np.inf
    assert field.multiple == 8  # 2 x 2 at its narrowest: a single pixel has no mirror.
    field = networks.receptive_field(networks.manipulation_transformer(halvings=2))
    assert field.multiple == 4 and 60 < field.radius < 150


def test_biases_of_every_kind_of_layer_start_as_torch_has_them():
    network = networks.manipulation_transformer(64)
    for number, fan_in in ((2, 16 * 32), (5, 9 * 256), (19, 16 * 128)):
        bias, limit = network.get_layer(f"layer_{number}").bias, fan_in**-0.5
        assert 0.8 * limit < np.abs(bias).max() <= limit
