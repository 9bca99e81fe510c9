"""Networks that no original's code gives numbers for, beside slow NumPy twins."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import layers
from pan_tf import networks
from pan_tf.networks import vgg
from tests.networks import twins


def images(size, batch=2, channels=3):
    random = np.random.default_rng(size)
    return random.uniform(-1, 1, (batch, size, size, channels)).astype("float32")


def with_telling_weights(network):
    """Not the initial ones: biases, scales and offsets that would be missed."""
    random = np.random.default_rng(1)
    for layer in network.layers:
        for variable in layer.weights:
            spread = 0.2 if len(variable.shape) < 2 else 1.2 * fan_in(variable) ** -0.5
            base = 1.0 if variable.name in ("gamma", "moving_variance") else 0.0
            variable.assign(base + spread * random.normal(size=variable.shape))
    return network, twins.Weights(network)


def fan_in(kernel):
    return int(np.prod(kernel.shape[:-1]))


def assert_close(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


def test_table_ii():
    network, weights = with_telling_weights(networks.pan_transformer(width=1 / 16))
    x = images(64)
    assert_close(network(x, training=True), twins.pan_transformer(weights, x))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("first", ["leaky_relu", "tanh"])
def test_table_i(conditional, first):
    network, weights = with_telling_weights(
        networks.pan_discriminator(
            64, first_activation=first, conditional=conditional, width=1 / 16
        )
    )
    source, image = images(64), images(64)[::-1]
    seen = network({"source": source, "image": image}, training=True)
    given = np.concatenate([source, image], -1) if conditional else image
    activation = twins.leaky if first == "leaky_relu" else np.tanh
    logit, features = twins.pan_discriminator(weights, given, activation)
    assert_close(seen["logits"][0], logit)
    assert len(seen["features"]) == 4
    for found, expected in zip(seen["features"], features, strict=True):
        assert_close(found, expected)


def test_perceptual_discriminator_by_the_equations(monkeypatch):
    monkeypatch.setattr(vgg, "CHANNELS", (2, 3, 4, 5, 6))
    network, weights = with_telling_weights(
        networks.perceptual_discriminator(
            128, filters=4, most=8, heads=(8, 4), form="equations"
        )
    )
    maps = [images(128 // 2**i, channels=2 + i) for i in range(5)]
    found = network({"source": images(128), "image": maps})["logits"]
    expected = twins.perceptual_discriminator(weights, maps, (8, 4))
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


def test_trunk_that_sees_the_image():
    network, weights = with_telling_weights(
        networks.perceptual_discriminator(64, sees="image", filters=4, most=8)
    )
    x = images(64)
    found = network({"source": x, "image": x})["logits"]
    expected = twins.image_discriminator(weights, x, 4, (8, 4, 1))
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


def test_trunk_on_features_of_its_own():
    """The encoder in D is VGG*, and D's trunk is the released one on its features."""
    network = networks.perceptual_discriminator(
        32, sees="own_features", filters=4, most=8, heads=(8,)
    )
    (encoder,) = [n for n in network.layers if isinstance(n, keras.Model)]
    x = tf.constant(images(32))
    features = vgg.vgg_encoder("vgg19", star=True)
    features.set_weights(encoder.get_weights())
    trunk = networks.perceptual_discriminator(32, filters=4, most=8, heads=(8,))
    for layer in trunk.layers:
        if layer.weights:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    (alone,) = trunk({"source": x, "image": features(x)})["logits"]
    (together,) = network({"source": x, "image": x})["logits"]
    assert_close(together.numpy(), alone.numpy())


def test_separate_discriminators():
    network, weights = with_telling_weights(
        networks.separate_discriminators(64, width=1 / 16)
    )
    x = images(64)
    found = network({"source": x, "image": x})["logits"]
    expected = twins.separate_discriminators(weights, x)
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("size", [8, 7])
def test_average_pooling_is_torchs_at_odd_sizes_too(size):
    x = images(size)
    layer = layers.SymmetricAveragePooling2D()
    assert_close(layer(x), twins.averages(x))
    assert layer.compute_output_shape(x.shape) == layer(x).shape


@pytest.mark.parametrize("star", [False, True])
@pytest.mark.parametrize(
    ("name", "blocks"), [("vgg19", (2, 2, 4, 4)), ("vgg16", (2, 2, 3, 3))]
)
def test_vgg(name, blocks, star):
    keras.utils.set_random_seed(0)
    network = vgg.vgg_encoder(name, star)
    x = images(32, batch=1)
    # As in the published system, whose weights were trained on images in deviations.
    scale = 1.0 / (255.0 * (0.229 + 0.224 + 0.225) / 3.0)
    expected = twins.vgg(twins.Weights(network), x, blocks, star)
    for found, feature in zip(network(x), expected, strict=True):
        assert_close(found, feature * scale)


def test_vgg_features_are_the_encoders_in_levels():
    keras.utils.set_random_seed(0)
    network = vgg.vgg_features("block2_conv1", vgg="vgg16")
    encoder = vgg.vgg_encoder("vgg16")
    for layer in network.layers:
        if layer.weights:
            encoder.get_layer(layer.name).set_weights(layer.get_weights())
    x = images(32, batch=1)
    expected = encoder(x)[1].numpy() * 255.0 * (0.229 + 0.224 + 0.225) / 3.0
    assert_close(network(tf.constant(x)), expected)
