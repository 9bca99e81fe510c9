"""Gradients over several minibatches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf import tracing
from pan_tf.layers import DiscriminatorAugmentation
from pan_tf.layers import Dropout
from pan_tf.layers import ImagePool
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import PixelLoss
from pan_tf.models import TranslationModel
from pan_tf.models import UpdateSchedule

SHAPE = 8, 8, 3


def conv(filters, **kwargs):
    return keras.layers.Conv2D(filters, 3, padding="same", **kwargs)


def game(dropout=0.0, pool=None, **schedule):
    """A T and a D without batch normalization, and plain gradient descent."""
    keras.utils.set_random_seed(3)
    source, image = keras.Input(SHAPE), keras.Input(SHAPE)
    kept = Dropout(dropout)(conv(3, activation="tanh")(source))
    transformer = keras.Model(source, kept)
    hidden = conv(4, activation="relu")(keras.layers.Concatenate()([source, image]))
    outputs = {"logits": [conv(1)(hidden)], "features": [hidden]}
    discriminator = keras.Model({"source": source, "image": image}, outputs)
    model = TranslationModel(
        transformer,
        discriminator,
        [AdversarialLoss(pooled=pool is not None), PixelLoss("l1", weight=3.0)],
        UpdateSchedule(**schedule),
        image_pool=pool,
    )
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return model


def minibatches(count, batch):
    draw = np.random.default_rng(5)
    return {
        name: draw.uniform(-1, 1, (batch, count, *SHAPE)).astype("float32")
        for name in ("source", "target")
    }


def side_by_side(batch, times):
    """Minibatches one after the other -> larger ones, of the same images."""

    def join(images):
        size, count = images.shape[:2]
        found = images.reshape(size, count // times, times, *SHAPE)
        return np.moveaxis(found, 2, 0).reshape(times * size, count // times, *SHAPE)

    return {name: join(images) for name, images in batch.items()}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "schedule",
    [
        {"d_updates": 1, "t_updates": 2},
        {"d_updates": 2, "t_updates": 1, "reuse_minibatch": True},
        {"d_updates": 1, "t_updates": 2, "reuse_minibatch": True, "t_first": True},
    ],
)
def test_gradients_of_several_minibatches_are_those_of_a_large_one(schedule, compiled):
    several, large = game(**schedule, accumulate=3), game(**schedule)
    assert several.schedule.minibatches == 3 * large.schedule.minibatches
    batch = minibatches(several.schedule.minibatches, batch=2)
    start = [v.numpy() for v in large.trainable_variables]
    logs = []
    for model, given in ((several, batch), (large, side_by_side(batch, 3))):
        step = tracing.function(model.train_step) if compiled else model.train_step
        found = step({k: tf.constant(v) for k, v in given.items()})
        logs.append({name: float(value) for name, value in found.items()})
    for before, one, other in zip(
        start, several.trainable_variables, large.trainable_variables, strict=True
    ):
        assert np.abs(one.numpy() - before).max() > 1e-3
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=2e-6)
    for name in ("t_adversarial", "d_adversarial", "t_pixel"):
        assert logs[0][name] == pytest.approx(logs[1][name], abs=1e-5)


def test_the_loop_does_what_passes_of_their_own_do():
    """What passes write beside their gradients included: pools, counts of draws."""
    schedule = {"d_updates": 2, "t_updates": 1, "reuse_minibatch": True}
    looped, apart = (
        game(0.5, ImagePool(SHAPE, 4), **schedule, accumulate=3) for _ in range(2)
    )
    apart.image_pool.draws.assign(looped.image_pool.draws)
    step = tracing.function(looped.train_step)
    for _ in range(2):
        batch = minibatches(looped.schedule.minibatches, batch=2)
        logs, others = step(batch), apart.train_step(batch)
        assert logs.keys() == others.keys()
        for name, value in logs.items():
            assert float(value) == pytest.approx(float(others[name]), abs=1e-6)
    states = [
        [*model.variables, *model.image_pool.variables] for model in (looped, apart)
    ]
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    assert int(looped.image_pool.count) == 2 * 2 * 3 * 2  # D's updates, each of 6.


def nodes(model):
    """Operations in the graph of a round, those of its functions included."""
    batch = minibatches(model.schedule.minibatches, batch=2)
    step = tracing.function(model.train_step).get_concrete_function(batch)
    found = step.graph.as_graph_def()
    return len(found.node) + sum(len(each.node_def) for each in found.library.function)


def test_the_graph_grows_by_no_passes():
    sizes = []
    for count in (2, 10):
        model = game(t_updates=2, accumulate=count)
        model.augmentation = DiscriminatorAugmentation(("brightness",))
        sizes.append(nodes(model))
    few, many = sizes
    assert few == many


def test_alone_t_has_as_many_updates_as_a_round_has():
    schedule = UpdateSchedule(1, 3, accumulate=2)
    assert schedule.minibatches == 8
    assert schedule.players_alone == ("transformer",) * 4


def test_accumulation_is_of_the_system_and_at_one_not_written_down(toy):
    one, two = recipes.resolve(toy()), recipes.resolve(toy(accumulate=2))
    assert two.schedule.minibatches == 2 * one.schedule.minibatches
    assert two.to_json()["schedule"]["accumulate"] == 2
    assert "accumulate" not in one.to_json()["schedule"]


def test_the_loop_shows_d_the_images_as_they_were_drawn():
    """D judges what T made before its update, changed as T's pass changed it."""
    looped, apart = (
        game(t_first=True, reuse_minibatch=True, accumulate=2) for _ in range(2)
    )
    for model in (looped, apart):
        model.augmentation = DiscriminatorAugmentation(("brightness",))
        model.augmentation.state.assign([7, 0])
    batch = minibatches(2, batch=2)
    logs, others = tracing.function(looped.train_step)(batch), apart.train_step(batch)
    for name in ("t_adversarial", "d_adversarial"):
        assert float(logs[name]) == pytest.approx(float(others[name]), abs=1e-6)
