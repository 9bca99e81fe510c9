"""Convolutions as products of matrices, beside TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import layers
from pan_tf import networks
from pan_tf.layers import im2col
from pan_tf.layers.im2col import Ways
from pan_tf.layers.im2col import Window

WINDOWS = (
    Window((3, 3), (1, 1), ((1, 1), (1, 1))),
    Window((3, 3), (2, 2), ((1, 1), (1, 1))),
    Window((3, 3), (2, 2), ((0, 1), (0, 1))),
    Window((4, 4), (2, 2), ((1, 1), (1, 1))),
    Window((5, 4), (2, 3), ((0, 2), (1, 0))),
    Window((2, 3), (1, 3), ((0, 0), (0, 0))),
    Window((1, 1), (1, 1), ((0, 0), (0, 0))),
)
BOTH = Ways(True, True)


def around(window):
    return [[0, 0], *map(list, window.padding), [0, 0]]


def plain(images, kernel, window):
    return tf.nn.conv2d(tf.pad(images, around(window)), kernel, window.strides, "VALID")


def transposed(images, kernel, window, sizes):
    """The gradient of `plain` for its images, times `images`."""
    zeros = tf.zeros((images.shape[0], *sizes, kernel.shape[2]), images.dtype)
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        output = plain(zeros, kernel, window)
    return tape.gradient(output, zeros, images)


def with_gradients(convolution, images, kernel, dtype):
    """Output, gradient for the images and for the kernel, as float64."""
    given = tf.cast(images, dtype), tf.cast(kernel, dtype)
    with tf.GradientTape() as tape:
        tape.watch(given)
        output = convolution(*given)
    upstream = np.random.default_rng(1).normal(size=output.shape)
    gradients = tape.gradient(output, given, tf.cast(upstream, dtype))
    return [tf.cast(each, tf.float64).numpy() for each in (output, *gradients)]


def drawn(*shapes):
    draw = np.random.default_rng(0)
    return [draw.normal(size=shape) for shape in shapes]


def check(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("ways", [BOTH, Ways(False, True), Ways()])
@pytest.mark.parametrize("sizes", [(6, 8), (9, 7)])
@pytest.mark.parametrize("window", WINDOWS)
def test_it_is_a_convolution(window, sizes, ways):
    images, kernel = drawn((2, *sizes, 3), (*window.size, 3, 5))
    expected = with_gradients(lambda x, w: plain(x, w, window), images, kernel, "float64")
    assert expected[0].shape[1:3] == window.outputs(sizes)
    check(
        with_gradients(
            lambda x, w: im2col.convolve(x, w, window, ways), images, kernel, "float32"
        ),
        expected,
    )


@pytest.mark.parametrize("ways", [BOTH, Ways(False, True), Ways()])
@pytest.mark.parametrize("sizes", [(6, 8), (9, 7)])
@pytest.mark.parametrize("window", WINDOWS)
def test_it_is_a_transposed_convolution(window, sizes, ways):
    images, kernel = drawn((2, *window.outputs(sizes), 5), (*window.size, 3, 5))
    expected = with_gradients(
        lambda x, w: transposed(x, w, window, sizes), images, kernel, "float64"
    )
    check(
        with_gradients(
            lambda x, w: im2col.convolve_transposed(x, w, window, sizes, ways),
            images,
            kernel,
            "float32",
        ),
        expected,
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (5, 2)])
def test_a_window_is_what_tensorflow_pads(size, strides, padding):
    for sizes in ((8, 8), (7, 9)):
        images, kernel = drawn((1, *sizes, 2), (*size, 2, 2))
        window = im2col.window(kernel, strides, padding, sizes)
        expected = tf.nn.conv2d(images, kernel, strides, padding.upper())
        np.testing.assert_allclose(plain(images, kernel, window), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_loses_no_more_than_tensorflows_own(dtype):
    window = WINDOWS[1]
    images, kernel = drawn((4, 8, 8, 128), (3, 3, 128, 256))
    kernel *= 1152**-0.5
    # What is lost is what sums lose, not what numbers lose that are given.
    images, kernel = (
        tf.cast(tf.cast(x, dtype), tf.float64).numpy() for x in (images, kernel)
    )
    exact = with_gradients(lambda x, w: plain(x, w, window), images, kernel, "float64")
    own = with_gradients(lambda x, w: plain(x, w, window), images, kernel, dtype)
    found = with_gradients(
        lambda x, w: im2col.convolve(x, w, window, BOTH), images, kernel, dtype
    )
    for one, tensorflows, true in zip(found, own, exact, strict=True):
        error = np.sqrt(np.mean((one - true) ** 2))
        assert error < 1.5 * np.sqrt(np.mean((tensorflows - true) ** 2))
        assert error < 0.01 * true.std()


def asked(outputs=(4, 8, 8), channels=512, filters=512, **given):
    size, strides = given.get("size", 3), given.get("strides", (2, 2))
    kernel = tf.zeros((size, size, channels, filters), "bfloat16")
    return im2col.pays(outputs, kernel, strides, given.get("dtype", "float32"))


def test_it_is_used_where_it_pays(monkeypatch):
    assert asked() == BOTH
    assert asked((4, 8, 9)) == Ways() and asked((4, 8, 9), filters=1024) == BOTH
    assert asked((4, 16, 16), dtype="bfloat16") == Ways(False, True)
    assert asked((4, 16, 17), dtype="bfloat16") == Ways()
    assert asked(channels=64) == asked(filters=64) == Ways()
    assert asked((1, 8, 8), 128, 256) == Ways() and asked((1, 8, 8), 128) == BOTH
    assert asked((None, 8, 8)) == asked((4, None, 8)) == Ways()
    assert asked(size=1) == Ways() and asked(size=1, strides=(1, 1)) == BOTH
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind == "GPU"])
    assert asked() == Ways()


@pytest.fixture
def products(monkeypatch):
    """Names of the functions that compute convolutions as products."""
    found = []

    def watched(name, real):
        def spy(images, kernel, window, *given):
            if any(given[-1]):
                found.append(name)
            return real(images, kernel, window, *given)

        return spy

    for name in ("convolve", "convolve_transposed"):
        monkeypatch.setattr(im2col, name, watched(name, getattr(im2col, name)))
    return found


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(512, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2D(512, 3, bias_initializer="ones"),
        layers.SymmetricConv2D(512, 3, strides=2, bias_initializer="ones"),
        layers.SymmetricConv2D(512, 3, use_bias=False),
        layers.SymmetricConv2D(512, (3, 5), strides=(2, 1)),
        layers.Conv2DTranspose(512, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(512, 3, strides=2, bias_initializer="ones"),
    ],
    ids=lambda layer: layer.name,
)
@pytest.mark.parametrize("sizes", [(6, 6), (5, 7)])
def test_a_layer_uses_it_in_training(layer, sizes, products):
    # Outputs of at most about 2, of whatever kernel is drawn.
    images = tf.random.stateless_uniform((1, *sizes, 128), (0, 1), -0.5, 0.5)
    outside = layer(images)
    assert not products
    trained = layer(images, training=True)
    assert len(products) == 1 and trained.shape == outside.shape
    np.testing.assert_allclose(trained, outside, atol=1e-5)


def test_a_layer_of_any_size_does_without(products):
    layer = layers.Conv2D(512, 4, strides=2, padding="same")
    layer.build((None, None, None, 128))
    function = tf.function(lambda x: layer(x, training=True))
    of_any_size = tf.TensorSpec((None, None, None, 128))
    function.get_concrete_function(of_any_size)
    assert not products


def test_a_u_net_uses_it_both_ways(products):
    network = networks.pix2pix_transformer(image_size=32, depth=5, width=0.5)
    images = tf.random.stateless_uniform((1, 32, 32, 3), (0, 1), -1.0, 1.0)
    network(images, training=True)
    # 256 channels both ways, and 512 of which a skip brings half.
    assert products == ["convolve"] + ["convolve_transposed"] * 2
