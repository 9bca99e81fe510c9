"""Convolutions with fewer multiplications, beside TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import layers
from pan_tf import networks
from pan_tf.layers import winograd

has_amx = winograd._has_amx.__wrapped__


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
@pytest.mark.parametrize("width", [3, 4, 5, 6, 7, 8, 18])
def test_it_is_a_convolution_of_any_width(width, padding):
    images, kernel = drawn(2, 6, width, 5, 4)
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


def test_sizes_need_not_be_known():
    images, kernel = drawn(1, 9, 14, 3, 2)
    any_size = tf.TensorSpec((None, None, None, 3))
    function = tf.function(lambda x: winograd.convolve(x, kernel.astype("float32"), 1))
    found = function.get_concrete_function(any_size)(tf.constant(images, tf.float32))
    np.testing.assert_allclose(found, plain(images, kernel, 1), atol=1e-5)


def asked(shape=(1, 32, 32, 128), filters=256, size=3, stride=1, dtype="float32"):
    images = tf.zeros(shape, dtype)
    kernel = tf.zeros((size, size, shape[-1], filters), dtype)
    return winograd.pays(images, kernel, (stride, stride))


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    """One that it pays on."""
    monkeypatch.setattr(winograd, "_has_amx", lambda: False)


def test_it_is_used_where_it_pays(monkeypatch):
    assert asked()
    assert not asked(size=5) and not asked(stride=2) and not asked(dtype="bfloat16")
    assert not asked(filters=64) and not asked((1, 32, 32, 64))
    assert not asked((1, 16, 16, 128))
    monkeypatch.setattr(winograd, "_has_amx", lambda: True)
    assert not asked()
    monkeypatch.setattr(winograd, "_has_amx", lambda: False)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind == "GPU"])
    assert not asked()


def test_a_cpu_is_known_by_its_flags(tmp_path, monkeypatch):
    for number, (text, expected) in enumerate(
        [("flags : fpu avx512f amx_bf16 amx_tile\n", True), ("flags : avx512f\n", False)]
    ):
        flags = tmp_path / str(number)
        flags.write_text(text)
        monkeypatch.setattr(winograd, "_CPU", flags)
        assert has_amx() == expected
    monkeypatch.setattr(winograd, "_CPU", tmp_path / "missing")
    assert not has_amx()


@pytest.mark.parametrize("kind", [layers.Conv2D, layers.SymmetricConv2D])
def test_a_layer_uses_it_in_training(kind, monkeypatch):
    calls, convolve = [], winograd.convolve
    monkeypatch.setattr(
        winograd, "convolve", lambda *given: calls.append(given) or convolve(*given)
    )
    layer = kind(128, 3, activation="relu", bias_initializer="ones")
    # Outputs of at most about 2, of whatever kernel is drawn.
    images = tf.random.stateless_uniform((1, 32, 32, 128), (0, 1), -0.5, 0.5)
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
    network = networks.cyclegan_transformer(num_blocks=2, width=0.5)
    images = tf.random.stateless_uniform((1, 128, 128, 3), (0, 1), -1.0, 1.0)
    expected = network(images)
    assert not calls
    np.testing.assert_allclose(network(images, training=True), expected, atol=1e-4)
    assert len(calls) == 4
