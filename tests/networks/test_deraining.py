import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import networks
from tests.networks.counting import parameters


def convolutions(network):
    return [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]


@pytest.mark.parametrize(
    "build", [networks.deraining_transformer, networks.id_cgan_transformer]
)
def test_channels_are_id_cgans_and_no_pixel_is_reduced(build):
    network = build(64)
    found = [(layer.output.shape[1], layer.filters) for layer in convolutions(network)]
    channels = [64, 64, 64, 64, 32, 1, 32, 64, 64, 64, 64, 3]
    assert found == [(64, count) for count in channels]
    assert [layer.strides for layer in convolutions(network)] == [(1, 1)] * 12


def test_parameters_worked_out_by_hand():
    shapes = list(
        zip(
            (3, 64, 64, 64, 64, 32, 1, 32, 64, 64, 64, 64),
            (64, 64, 64, 64, 32, 1, 32, 64, 64, 64, 64, 3),
            strict=True,
        )
    )
    kernels = sum(9 * before * after for before, after in shapes)
    biases = sum(after for _, after in shapes)
    norms = 2 * sum(after for _, after in shapes[1:-1])
    assert parameters(networks.deraining_transformer()) == kernels + biases + norms
    assert parameters(networks.id_cgan_transformer()) == kernels + norms
    assert kernels + norms == 263_106


def test_initial_kernels_and_conventions_differ():
    pan, id_cgan = networks.deraining_transformer(), networks.id_cgan_transformer()
    for network, stddev, epsilon in ((pan, 0.05, 1e-4), (id_cgan, 0.02, 1e-5)):
        kernel = network.get_layer("layer_3").kernel.numpy()
        assert kernel.std() == pytest.approx(stddev, rel=0.05)
        assert network.get_layer("layer_3_norm").epsilon == epsilon


def test_skips_are_taken_before_or_after_the_activation():
    """What is added later is layer 4's normalized map, negative values whole or not."""
    for build, keeps_negative in (
        (networks.deraining_transformer, True),
        (networks.id_cgan_transformer, False),
    ):
        network = build(8, width=1 / 16)
        (four, _) = (x for x in network.layers if isinstance(x, layers.Add))
        skip = four.input[1]
        probe = tf.keras.Model(network.input, [skip])
        values = probe(np.random.default_rng(0).normal(size=(2, 8, 8, 3)))
        scale = network.get_layer("layer_4_norm").output
        raw = tf.keras.Model(network.input, scale)(
            np.random.default_rng(0).normal(size=(2, 8, 8, 3))
        )
        expected = raw if keeps_negative else tf.nn.leaky_relu(raw, 0.2)
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert np.min(raw) < 0
