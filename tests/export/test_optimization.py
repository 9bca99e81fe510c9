"""The optimized T computes what the trained one does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.export import optimized
from pan_tf.export.optimization import PhaseConv2D
from pan_tf.layers import BatchNormalization


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
