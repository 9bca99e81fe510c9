"""Passes whose activations are computed again."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf import tracing
from pan_tf.config import Config
from pan_tf.models import MinibatchCache
from pan_tf.models.recomputation import Recomputed
from tests.trained import eagerly
from tests.trained import shallow


def minibatch():
    draw = np.random.default_rng(0)
    return {
        name: tf.constant(draw.uniform(-1, 1, (2, 64, 64, 3)).astype("float32"))
        for name in ("source", "target")
    }


def built(recipe, **changes):
    settings = {"batch_size": 2, "width": 1 / 16, "recompute": True, **changes}
    config = Config(dataset="bluemarble", image_size=64, recipe=recipe, **settings)
    with shallow():
        return recipes.build(config)


def after_an_update(model, player):
    """(Logs, gradients, all that is no weight) of an update."""

    @tracing.function
    def differentiate(images):
        cache = MinibatchCache(images)
        return model.differentiate(player, cache), cache.gradients

    logs, gradients = differentiate(minibatch())
    states = [v.numpy() for network in model.networks.values() for v in network.variables]
    return logs, [each.numpy() for each in gradients], states


@pytest.mark.parametrize(
    "changes",
    [
        # Nothing that the others do not have among them, beside its own networks.
        pytest.param({"recipe": "pan"}, marks=pytest.mark.slow),
        {"recipe": "pix2pix"},  # Averages, dropout, and a reused minibatch.
        {"recipe": "cyclegan"},  # Residual blocks, and networks that are passed twice.
        {"recipe": "pan_plus", "dtype_policy": "mixed_bfloat16"},
    ],
    ids=lambda changes: changes["recipe"],
)
def test_gradients_and_moving_averages_are_the_same(changes):
    """Traced where moving averages and dropout have a state, else op by op."""
    models = [built(**changes, recompute=recompute) for recompute in (False, True)]
    is_traced = changes["recipe"] in ("pan", "pix2pix")
    with contextlib.nullcontext() if is_traced else eagerly():
        for player in ("transformer", "discriminator"):
            check_same(*(after_an_update(model, player) for model in models))


def check_same(kept, again):
    assert kept[0].keys() == again[0].keys()
    for name, value in kept[0].items():
        assert float(again[0][name]) == float(value)
    for one, other in zip(kept[1], again[1], strict=True):
        # Gradients of a network's passes are added up in another order.
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())
    for one, other in zip(kept[2], again[2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_convolutions_are_computed_again():
    counts = []
    for recompute in (False, True):
        model = built("pix2pix", recompute=recompute)
        step = tracing.function(
            lambda batch, model=model: model.update("transformer", MinibatchCache(batch))
        )
        graph = step.get_concrete_function(minibatch()).graph
        counts.append(sum(op.type == "Conv2D" for op in graph.get_operations()))
    assert counts[1] > 1.5 * counts[0]


def test_a_layer_of_two_calls_makes_the_network_one_block():
    image = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 3, padding="same", activation="tanh")
    network = keras.Model(image, twice(twice(image)))
    images = tf.random.stateless_uniform((2, 8, 8, 3), (0, 1))
    gradients = []
    for call in (network, Recomputed(network, training=True)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call(images) ** 2)
        gradients.append(tape.gradient(loss, [network.trainable_variables[0].value])[0])
    np.testing.assert_array_equal(*gradients)
    assert np.abs(gradients[0]).max() > 0


def test_two_replicas_compute_again_what_one_does(two_replicas):
    straight = built("pan", recompute=False)
    with two_replicas.scope():
        mirrored = built("pan")
    for model in (straight, mirrored):
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))

    def share(context):
        replica = context.replica_id_in_sync_group
        return {k: tf.split(v, 2)[replica] for k, v in minibatch().items()}

    halves = two_replicas.experimental_distribute_values_from_function(share)
    straight.update("transformer", MinibatchCache(minibatch()))
    two_replicas.run(
        lambda images: mirrored.update("transformer", MinibatchCache(images)), (halves,)
    )
    for one, other in zip(straight.variables, mirrored.variables, strict=True):
        for replica in two_replicas.experimental_local_results(other.value):
            np.testing.assert_allclose(replica.numpy(), one.numpy(), atol=1e-5)
