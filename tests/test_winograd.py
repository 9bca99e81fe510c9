"""Convolutions with fewer multiplications, beside TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import layers
from pan_tf import networks
from pan_tf.layers import winograd


def drawn(batch, height, width, channels, filters):
    """Images, and a kernel that gives outputs of about their size."""
    draw = np.random.default_rng(0)
    images = draw.normal(size=(batch, height, width, channels))
    kernel = draw.normal(0, (9 * channels) ** -0.5, (3, 3, channels, filters))
    return images, kernel


def plain(images, kernel, padding):
    around = [[0, 0], [padding] * 2, [padding] * 2, [0, 0]]
    return tf.nn.conv2d(tf.pad(images, around), kernel, 1, "VALID")


def with_gradients(convolve, images, kernel, padding, dtype):
    """Output, gradient for the images and for the kernel."""
    given = tf.constant(images, dtype), tf.constant(kernel, dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = convolve(*given, padding)
    upstream = np.random.default_rng(1).normal(size=output.shape)
    gradients = tape.gradient(output, given, tf.constant(upstream, dtype))
    return [each.numpy() for each in (output, *gradients)]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("height", [3, 4, 5, 6, 7, 8, 18])
def test_it_is_a_convolution_of_any_height(height, padding):
    images, kernel = drawn(2, height, 7, 5, 4)
    expected = with_gradients(plain, images, kernel, padding, "float64")
    found = with_gradients(winograd.convolve, images, kernel, padding, "float32")
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())


def test_float32_loses_next_to_nothing():
    """Errors are at most a few times those of TensorFlow's own."""
    images, kernel = drawn(2, 32, 32, 128, 128)
    exact = with_gradients(plain, images, kernel, 1, "float64")
    own = with_gradients(plain, images, kernel, 1, "float32")
    found = with_gradients(winograd.convolve, images, kernel, 1, "float32")
    for one, tensorflows, true in zip(found, own, exact, strict=True):
        error = np.abs(one - true).max() / true.std()
        assert error < 2e-5
        assert error < 5 * np.abs(tensorflows - true).max() / true.std()


def asked(shape=(1, 32, 32, 256), filters=256, size=3, stride=1, dtype="float32"):
    images = tf.keras.Input(shape[1:], shape[0], dtype=dtype)
    kernel = tf.zeros((size, size, shape[-1], filters), dtype)
    return winograd.pays(images, kernel, (stride, stride))


def test_it_is_used_where_it_pays(monkeypatch):
    assert asked()
    assert not asked(size=5) and not asked(stride=2) and not asked(dtype="bfloat16")
    assert not asked(filters=128) and not asked((1, 32, 32, 128))
    assert not asked((1, 8, 16, 256)) and not asked((2, 128, 128, 256))
    assert not asked((None, 32, 32, 256)) and not asked((1, None, 32, 256))
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind == "GPU"])
    assert not asked()


@pytest.mark.parametrize("kind", [layers.Conv2D, layers.SymmetricConv2D])
def test_a_layer_uses_it_in_training(kind, monkeypatch):
    calls, convolve = [], winograd.convolve
    monkeypatch.setattr(
        winograd, "convolve", lambda *given: calls.append(given) or convolve(*given)
    )
    layer = kind(256, 3, activation="relu", bias_initializer="ones")
    # Outputs of at most about 2, of whatever kernel is drawn.
    images = tf.random.stateless_uniform((1, 16, 16, 256), (0, 1), -0.5, 0.5)
    outside = layer(images)
    assert not calls
    trained = layer(images, training=True)
    assert len(calls) == 1 and trained.shape == outside.shape
    np.testing.assert_allclose(trained, outside, atol=1e-5)


def test_residual_blocks_use_it(monkeypatch):
    calls, convolve = [], winograd.convolve
    monkeypatch.setattr(
        winograd, "convolve", lambda *given: calls.append(given) or convolve(*given)
    )
    network = networks.cyclegan_transformer(num_blocks=2)
    images = tf.random.stateless_uniform((1, 64, 64, 3), (0, 1), -1.0, 1.0)
    expected = network(images)
    assert not calls
    np.testing.assert_allclose(network(images, training=True), expected, atol=1e-4)
    assert len(calls) == 4
