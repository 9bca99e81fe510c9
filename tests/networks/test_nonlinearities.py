"""What each network computes between its linear layers, counted in its graph.

A layer that drops its activation keeps its parameters, its shapes and its name: only the
graph, or numbers, can tell.
"""

import collections
import functools

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf import recipes
from pan_tf.networks import vgg

COUNTED = ("Relu", "LeakyRelu", "Tanh", "Sigmoid", "Elu", "Selu", "Softplus")


def counts(network):
    """Name of a non-linearity -> how often the graph of a call has it."""
    given = {
        tensor.name: tf.TensorSpec(
            [1, *(n or 64 for n in tensor.shape[1:])], tensor.dtype
        )
        for tensor in network.inputs
    }
    structure = tf.nest.map_structure(lambda t: given[t.name], network.input)
    call = tf.function(lambda x: network(x, training=True))
    graph = call.get_concrete_function(structure).graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    found = collections.Counter(node.op for node in nodes if node.op in COUNTED)
    return dict(found)


def transformer(name, **settings):
    return functools.partial(getattr(networks, name), **settings)


# From the papers' tables, the released code and the docstrings.
TRANSFORMERS = {
    # Table II: before layers 2 to 6 and after 6; after 7 to 11; after 12.
    "pan_transformer": (transformer("pan_transformer"), (6, 5)),
    # After all layers down but the innermost; there and after all layers up.
    "official_pan_transformer": (
        transformer("official_pan_transformer", depth=6),
        (5, 6),
    ),
    # After the layer at full resolution and all down; after all up.
    "resize_transformer": (transformer("resize_transformer", depth=6), (7, 6)),
    # Before all layers down but the first; before all layers up.
    "pix2pix_transformer": (transformer("pix2pix_transformer", depth=6), (5, 6)),
    # After layers 1 to 6; after 7 to 11.
    "deraining_transformer": (transformer("deraining_transformer"), (6, 5)),
    "id_cgan_transformer": (transformer("id_cgan_transformer"), (6, 5)),
    # Five halvings of 128 px and the bottleneck; four layers up before the last.
    "context_encoder_transformer": (
        transformer("context_encoder_transformer", image_size=128),
        (6, 4),
    ),
    "pan_inpainting_transformer": (
        transformer("pan_inpainting_transformer", image_size=128),
        (6, 4),
    ),
    # Three layers, one in each of nine blocks, two up.
    "cyclegan_transformer": (transformer("cyclegan_transformer"), (0, 14)),
    # 1 + M layers, one in each of N blocks, M up.
    "manipulation_transformer, faces": (transformer("manipulation_transformer"), (0, 14)),
    "manipulation_transformer, scenes": (
        transformer("manipulation_transformer", halvings=2, num_blocks=9),
        (0, 14),
    ),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_have_the_activations_that_their_tables_name(name):
    build, (leaky, relu) = TRANSFORMERS[name]
    expected = {"LeakyRelu": leaky, "Relu": relu, "Tanh": 1}
    assert counts(build(width=1 / 16)) == {k: n for k, n in expected.items() if n}


def test_every_transformer_of_the_table_is_counted():
    used = {
        networks.original(builder).__name__
        for recipe in recipes.RECIPES.values()
        for builder in recipe.transformers.values()
    }
    assert used <= {name.partition(",")[0] for name in TRANSFORMERS}


DISCRIMINATORS = {
    # Layers 1 to 9.
    "pan, Table I": (transformer("pan_discriminator"), {"LeakyRelu": 9}),
    "pan, tanh first": (
        transformer("pan_discriminator", first_activation="tanh"),
        {"LeakyRelu": 8, "Tanh": 1},
    ),
    "pan, released": (
        transformer(
            "pan_discriminator", first_activation="tanh", last_activation="linear"
        ),
        {"LeakyRelu": 7, "Tanh": 1},
    ),
    "patch": (transformer("patch_discriminator"), {"LeakyRelu": 4}),
    "context encoder": (
        transformer("context_encoder_discriminator"),
        {"LeakyRelu": 4},
    ),
    # Five stages from 128 px to 4, four features that join.
    "perceptual, released": (transformer("perceptual_discriminator"), {"LeakyRelu": 9}),
    # Five stages, a hidden layer in each of two heads (the head of 1 has none).
    "perceptual, equations": (
        transformer("perceptual_discriminator", form="equations"),
        {"LeakyRelu": 7},
    ),
    "perceptual, image": (
        transformer("perceptual_discriminator", sees="image"),
        {"LeakyRelu": 5},
    ),
    # And the 13 convolutions of VGG-19 up to relu5_1, which leak.
    "perceptual, own features": (
        transformer("perceptual_discriminator", sees="own_features"),
        {"LeakyRelu": 9 + 13},
    ),
    "separate": (transformer("separate_discriminators"), {"LeakyRelu": 8}),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_have_the_activations_that_their_tables_name(name):
    build, expected = DISCRIMINATORS[name]
    assert counts(build(128, width=1 / 16)) == expected


@pytest.mark.parametrize(
    ("name", "star", "expected"),
    [
        ("vgg19", False, {"Relu": 13}),
        ("vgg16", False, {"Relu": 11}),
        ("vgg19", True, {"LeakyRelu": 13}),
        ("vgg16", True, {"LeakyRelu": 11}),
    ],
)
def test_encoders_have_vggs_activations(name, star, expected):
    assert counts(vgg.vgg_encoder(name, star)) == expected


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_outputs_lie_in_their_range_whatever_the_weights(name, training):
    build, _ = TRANSFORMERS[name]
    network = build(width=1 / 16)
    random = np.random.default_rng(0)
    for variable in network.trainable_variables:
        fan_in = np.prod(variable.shape[:-1]) or 1.0
        variable.assign(random.normal(0.0, 2.0 * fan_in**-0.5, variable.shape))
    # Large, but nothing before it overflows where nothing is normalized.
    last = [layer for layer in network.layers if hasattr(layer, "kernel")][-1]
    last.kernel.assign(1000.0 * last.kernel)
    size = network.input_shape[1] or 64
    x = random.uniform(-1, 1, (2, size, size, 3)).astype("float32")
    output = np.array(network(x, training=training))
    assert output.dtype == np.float32 and np.isfinite(output).all()
    assert -1.0 <= output.min() and output.max() <= 1.0
    assert np.ptp(output) > 0.5  # Large weights: the range is used.
