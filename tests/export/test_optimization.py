"""The optimized T computes what the trained one does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.export import optimization
from pan_tf.export import optimized
from pan_tf.export.optimization import BlockConv2D
from pan_tf.export.optimization import PhaseConv2D
from pan_tf.layers import BatchNormalization
from pan_tf.layers import Conv2D
from pan_tf.layers import SymmetricConv2D


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 5)])
def test_phases_are_the_transposed_convolution(size):
    random = np.random.default_rng(0)
    plain = layers.Conv2DTranspose(
        3, 4, strides=2, padding="same", activation="tanh", bias_initializer="normal"
    )
    source = random.normal(size=(2, *size, 5)).astype(np.float32)
    expected = plain(source)
    phases = PhaseConv2D(plain.kernel.numpy(), plain.bias.numpy(), plain.activation)
    np.testing.assert_allclose(phases(source), expected, atol=1e-6)
    assert phases.compute_output_shape(source.shape) == expected.shape


# A layer that takes 256 channels, and its filters by block.
LARGE = {
    "same": (lambda: layers.Conv2D(320, 3, padding="same"), 5 * [64]),
    "same, strides": (
        lambda: layers.Conv2D(130, 4, strides=(2, 1), padding="same"),
        [64, 64, 2],
    ),
    "valid": (lambda: Conv2D(500, (2, 3), activation="relu"), [128, 128, 128, 116]),
    "symmetric": (
        lambda: SymmetricConv2D(128, 5, strides=2, use_bias=False),
        [64, 64],
    ),
    "phases": (
        lambda: layers.Conv2DTranspose(130, 4, strides=2, padding="same"),
        [256, 256, 8],
    ),
    "not large": (lambda: Conv2D(200, 3), [200]),
}


@pytest.mark.parametrize("constants", [0, 2**22])
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_kernel_is_a_constant_or_in_blocks(kind, constants, monkeypatch):
    monkeypatch.setattr(optimization, "_CONSTANTS", constants)
    image = keras.Input((None, None, 256))
    make, blocks = LARGE[kind]
    layer = make()
    model = keras.Model(image, layer(image))
    for variable in layer.variables:
        noise = tf.random.stateless_normal(variable.shape, (0, 1), stddev=0.02)
        variable.assign(noise)
    network = optimized(model)
    _, *kernels = network.variables
    assert [v.shape[3] for v in kernels] == ([] if constants else blocks)
    source = tf.random.stateless_normal((2, 9, 7, 256), (0, 2))
    expected = model(source).numpy()
    assert expected.std() > 0.1
    function = tf.function(
        network, input_signature=[tf.TensorSpec([None, *[None] * 2, 256])]
    )
    np.testing.assert_allclose(function(source), expected, atol=2e-5)
    assert network.compute_output_shape(source.shape) == expected.shape


def test_on_gpus_kernels_are_whole(monkeypatch):
    monkeypatch.setattr(optimization, "_CONSTANTS", 0)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind == "GPU"])
    image = keras.Input((None, None, 256))
    network = optimized(keras.Model(image, LARGE["same"][0]()(image)))
    assert [v.shape for v in network.variables] == [(320,), (3, 3, 256, 320)]


def test_the_smallest_kernels_are_constants():
    network = optimized(unsettled(Config()))
    blocks = [layer for layer in network.layers if isinstance(layer, BlockConv2D)]
    constants = [x for x in blocks if isinstance(x.blocks[0], tf.Tensor)]
    assert {x.name for x in blocks} == {f"layer_{n}" for n in range(1, 13)}
    others = {f"layer_{n}" for n in (5, 6, 7, 8, 9)}
    assert {x.name for x in constants} == {x.name for x in blocks} - others
    assert 2e6 < sum(int(tf.size(x.blocks[0])) for x in constants) <= 2.7e6


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(256, 3, dilation_rate=2),
        layers.Conv2D(256, 3, groups=2),
        layers.Conv2DTranspose(256, 3, strides=2),
    ],
)
def test_other_convolutions_stay_as_they_are(layer):
    image = keras.Input((None, None, 256))
    model = keras.Model(image, layer(image))
    network = optimized(model)
    assert type(network.layers[1]) is type(layer)
    source = tf.random.stateless_normal((1, 9, 9, 256), (0, 2))
    np.testing.assert_allclose(network(source), model(source), atol=1e-6)


def unsettled(config):
    """T of a recipe, with every weight and every statistic off its first value."""
    transformer = recipes.resolve(config).transformer(None)
    random = np.random.default_rng(1)
    for variable in transformer.variables:
        if variable.path.endswith("kernel"):
            noise = random.normal(scale=0.1, size=variable.shape)
            variable.assign(variable + noise.astype(np.float32))
        elif "float" in variable.dtype:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    return transformer


def norms(network):
    return [x for x in network.layers if isinstance(x, BatchNormalization)]


# One recipe of each T: many rows share theirs.
DISTINCT = {
    networks.original(row.transformer): name
    for name, row in sorted(recipes.RECIPES.items())
}


@pytest.mark.parametrize(
    ("recipe", "statistics"),
    [
        (name, statistics)
        for name, recipe in ((name, recipes.RECIPES[name]) for name in DISTINCT.values())
        # A T without batch normalization has none to choose from.
        for statistics in (("moving", "image") if recipe.bn_statistics else (None,))
    ],
)
def test_every_transformer_stays_the_same_function(recipe, statistics):
    config = Config(
        recipe=recipe,
        width=1 / 16,
        image_size=64,
        bn_statistics=statistics,
        # What a T for inpainting needs; others with pairs do not care.
        synthesize="hole" if recipes.RECIPES[recipe].paired else "none",
    )
    transformer = unsettled(config)
    before = [v.numpy() for v in transformer.variables]
    network = optimized(transformer)
    width = transformer.input_shape[2] or 128
    source = tf.random.stateless_uniform((2, 64, width, 3), (0, 1), -1, 1)
    expected = transformer(source, training=False).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(network(source, training=False), expected, atol=1e-5)
    for variable, value in zip(transformer.variables, before, strict=True):
        assert (variable.numpy() == value).all()


def test_normalization_by_moving_averages_is_folded_where_nobody_else_reads():
    of_table_2 = unsettled(Config(width=1 / 64))
    assert len(norms(of_table_2)) == 10 and not norms(optimized(of_table_2))
    # Its encoder's raw convolutions go to the skips as well.
    released = unsettled(Config(recipe="pan_official", image_size=64, width=1 / 64))
    kept = [norm.name for norm in norms(optimized(released))]
    assert kept == [f"layer_{n}_norm" for n in range(1, 6)]
    by_image = unsettled(Config(width=1 / 64, bn_statistics="image"))
    assert len(norms(optimized(by_image))) == 10


def test_a_convolution_with_an_activation_of_its_own_is_not_folded():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    model = keras.Model(image, BatchNormalization()(x))
    source = tf.random.stateless_uniform((1, 8, 8, 3), (0, 1), -1, 1)
    network = optimized(model)
    assert len(norms(network)) == 1
    np.testing.assert_allclose(network(source), model(source, training=False), atol=1e-6)
