import contextlib
import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf import tracing
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PixelLoss
from pan_tf.models import MinibatchCache
from pan_tf.models import UpdateSchedule
from pan_tf.models import translation
from tests.trained import eagerly
from tests.trained import shallow


def minibatch(seed=0, batch=2, size=64):
    random = np.random.default_rng(seed)
    shape = (batch, size, size, 3)
    return {
        name: tf.constant(random.uniform(-1, 1, shape).astype("float32"))
        for name in ("source", "target")
    }


def weights(network):
    # An average has no trainable variables; its variables begin with the same ones.
    return [v.numpy() for v in network.variables if "moving" not in v.path]


def moved(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.fixture(scope="module")
def model():
    from pan_tf.config import Config

    return recipes.build(Config(dataset="bluemarble", image_size=64, width=1 / 16))


@pytest.mark.parametrize("player", ["transformer", "discriminator"])
def test_an_update_moves_its_player_and_nobody_else(model, player):
    other = {"transformer": "discriminator", "discriminator": "transformer"}[player]
    mine, theirs = weights(getattr(model, player)), weights(getattr(model, other))
    model.update(player, MinibatchCache(minibatch()))
    assert all(moved(mine, weights(getattr(model, player))))
    assert not any(moved(theirs, weights(getattr(model, other))))


def test_discriminator_looks_at_real_and_generated_images_apart(model, monkeypatch):
    seen = []
    discriminator = model.discriminator

    def spy(inputs, training):
        seen.append(inputs["image"])
        return discriminator(inputs, training=training)

    monkeypatch.setattr(model, "discriminator", spy)
    batch = minibatch()
    (translation,) = model.discriminate("transformer", model.translate(batch))
    assert len(seen) == 2
    assert {len(images) for images in seen} == {2}
    assert any(images is batch["target"] for images in seen)
    assert any(images is translation.output for images in seen)


def test_every_update_of_a_round_has_its_own_minibatch(model, monkeypatch):
    updates = []

    def update(player, views):
        updates.append((player[0], float(views.minibatch["source"][0, 0, 0, 0])))
        return {"loss": tf.constant(float(len(updates)))}

    monkeypatch.setattr(model, "update", update)
    numbers = tf.reshape(tf.range(4.0), (1, 4, 1, 1, 1)) * tf.ones((2, 1, 64, 64, 3))
    logs = model.train_step({"source": numbers, "target": numbers})
    assert updates == [("d", 0.0), ("t", 1.0), ("t", 2.0), ("t", 3.0)]
    assert float(logs["loss"]) == 2.5


def test_a_reused_minibatch_serves_all_updates(model, monkeypatch):
    updates = []
    monkeypatch.setattr(
        model,
        "update",
        lambda player, views: updates.append(views.minibatch["source"].shape) or {},
    )
    monkeypatch.setattr(model, "schedule", UpdateSchedule(1, 3, reuse_minibatch=True))
    images = tf.zeros((2, 1, 64, 64, 3))
    model.train_step({"source": images, "target": images})
    assert updates == [(2, 64, 64, 3)] * 4


def test_discriminator_gets_no_perceptual_gradient_beyond_the_margin(toy):
    """Eq. 5: with theta 0 and P above m, D does not move."""
    model = recipes.build(toy(theta=0.0, margin=1e-6))
    before = weights(model.discriminator)
    logs = model.update("discriminator", MinibatchCache(minibatch()))
    assert float(logs["d_hinge_active"]) == 0.0
    assert not any(moved(before, weights(model.discriminator)))


def test_discriminator_widens_the_distance_below_the_margin(toy):
    model = recipes.build(toy(theta=0.0, margin=100.0))
    batch, name = minibatch(), "d_perceptual_adversarial"
    distances = [
        100.0 - float(model.update("discriminator", MinibatchCache(batch))[name])
        for _ in range(8)
    ]
    assert distances[-1] > distances[0]


def test_transformer_closes_the_distance(toy):
    model = recipes.build(toy(theta=0.0))
    batch = minibatch()
    distances = [
        float(
            model.update("transformer", MinibatchCache(batch))["t_perceptual_adversarial"]
        )
        for _ in range(8)
    ]
    assert distances[-1] < distances[0]


def floats(network):
    return [v.numpy() for v in network.variables if "float" in v.dtype]


def test_average_follows_the_transformer(toy):
    """The decay warms up: after one round (1 + 1) / (10 + 1)."""
    model = recipes.build(toy(ema=0.99))
    assert any("moving" in v.path for v in model.ema_transformer.variables)
    start = floats(model.ema_transformer)
    batch = {name: images[:, None] for name, images in minibatch().items()}
    batch = {name: tf.repeat(images, 4, axis=1) for name, images in batch.items()}
    model.train_step(batch)
    decay = 2 / 11
    for before, now, average in zip(
        start, floats(model.transformer), floats(model.ema_transformer), strict=True
    ):
        assert np.allclose(average, decay * before + (1 - decay) * now, atol=1e-6)


@pytest.mark.parametrize(("d_updates", "t_updates"), [(-1, 1), (1, 0)])
def test_illegal_schedules_are_refused(d_updates, t_updates):
    with pytest.raises(ValueError, match="A round must have"):
        UpdateSchedule(d_updates, t_updates)


def round_of(images, minibatches):
    """A batch for `train_step` with the same images in each minibatch."""
    return {k: tf.repeat(v[:, None], minibatches, axis=1) for k, v in images.items()}


def calls(monkeypatch, model):
    """Names of networks as they are called."""
    called = []
    for name in ("transformer", "discriminator"):
        network = getattr(model, name)

        def call(inputs, training, network=network, letter=name[0]):
            called.append(letter)
            return network(inputs, training=training)

        monkeypatch.setattr(model, name, call)
        # The spy has the weights of what it stands for.
        for attribute in ("trainable_variables", "variables"):
            setattr(call, attribute, getattr(network, attribute))
    monkeypatch.setattr(model, "ema_transformer", model.transformer)
    return called


@pytest.mark.parametrize(("reuse", "expected"), [(True, "tddddtdtd"), (False, "tdd" * 4)])
def test_a_reused_minibatch_is_looked_at_once_while_nothing_changes(
    toy, monkeypatch, reuse, expected
):
    """13 + 9 passes instead of 15 + 10: one T, two D; D's two views; then T and D."""
    model = recipes.build(toy(reuse_minibatch=reuse))
    called = calls(monkeypatch, model)
    model.train_step(round_of(minibatch(), model.schedule.minibatches))
    assert "".join(called) == expected


def test_what_a_reused_minibatch_shares_changes_no_update(toy):
    """Updates that share their passes are those that make each pass anew."""
    results = []
    for share in (True, False):
        model = recipes.build(toy(reuse_minibatch=True))
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
        images = minibatch()
        if share:
            logs = model.train_step(round_of(images, 1))
        else:
            every = [
                model.update(p, MinibatchCache(images)) for p in model.schedule.players
            ]
            logs = every[0] | {
                name: np.mean([float(update[name]) for update in every[1:]])
                for name in every[1]
            }
        results.append(
            (
                {name: float(value) for name, value in logs.items()},
                weights(model.transformer) + weights(model.discriminator),
            )
        )
    (logs, shared), (other_logs, separate) = results
    assert logs == pytest.approx(other_logs, rel=1e-6)
    for one, other in zip(shared, separate, strict=True):
        assert np.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_xla_is_asked_for_where_it_is_wanted(toy, monkeypatch, jit_compile):
    model = recipes.build(toy(recipe="l1", jit_compile=jit_compile))
    asked, function = [], tracing.function

    def spy(*args, **kwargs):
        asked.append(kwargs.get("jit_compile"))
        return function(*args, **kwargs)

    monkeypatch.setattr(tracing, "function", spy)
    model.make_train_function()
    assert (True in asked) == jit_compile


@pytest.mark.slow  # XLA's compiler takes half a GiB, which the process keeps.
def test_xla_computes_the_same_round(toy):
    """One update of T, from a D that stands still: a longer game is chaotic."""
    results = []
    for jit_compile in (False, True):
        model = recipes.build(toy(reuse_minibatch=True, t_updates=1))
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.0), jit_compile)
        model.make_train_function()
        # Op by op where it is not compiled, which spares a trace.
        with contextlib.nullcontext() if jit_compile else eagerly():
            logs = model.train_function(iter([round_of(minibatch(), 1)]))
        results.append(
            ({k: float(v) for k, v in logs.items()}, weights(model.transformer))
        )
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_copies_on_replicas_stay_equal(toy, two_replicas):
    """T, D and the average, over whole rounds, on a reused minibatch."""
    with two_replicas.scope(), shallow(depth=3):
        # Two updates a round: each is traced for each replica.
        model = recipes.build(
            toy(recipe="pan_plus", batch_size=4, reuse_minibatch=True, warm_up=0.0)
        )
    model.make_train_function()
    batch = round_of(minibatch(batch=4), model.schedule.minibatches)

    def share(context):
        replica = context.replica_id_in_sync_group
        return {name: tf.split(v, 2)[replica] for name, v in batch.items()}

    shared = two_replicas.experimental_distribute_values_from_function(share)
    start = weights(model.ema_transformer)
    for _ in range(2):
        model.train_function(iter([shared]))
    assert any(moved(start, weights(model.ema_transformer)))
    for network in (model.transformer, model.ema_transformer, model.discriminator):
        for variable in network.variables:
            one, other = two_replicas.experimental_local_results(variable.value)
            assert np.array_equal(one, other), variable.path


def test_two_terms_of_one_name_are_refused(toy, monkeypatch):
    """The model would train on one of them, and say nothing."""
    row = recipes.RECIPES["l1"]
    twice = dataclasses.replace(row, terms=(*row.terms, PixelLoss("l2")))
    monkeypatch.setitem(recipes.RECIPES, "l1", twice)
    with pytest.raises(ValueError, match="2 terms named 'pixel'"):
        recipes.build(toy(recipe="l1"))


def test_two_terms_of_a_kind_are_both_trained_on_and_watched(toy, monkeypatch):
    row = recipes.RECIPES["pan_literal"]
    second = PerceptualAdversarialLoss((1.0, 0.0, 0.0, 0.0), 0.5, name="shallow")
    both = dataclasses.replace(row, terms=(*row.terms, second))
    monkeypatch.setitem(recipes.RECIPES, "pan_literal", both)
    model = recipes.build(toy(recipe="pan_literal"))
    views = MinibatchCache(minibatch())
    logs = model.differentiate("discriminator", views)
    assert {"d_perceptual_adversarial", "d_shallow"} <= set(logs)
    assert {"d_hinge_active", "d_hinge_active_shallow"} <= set(logs)
    (translation,) = views.translations
    assert float(logs["d_shallow"]) == float(second.discriminator_loss(translation))


def test_the_average_begins_as_t_is(toy):
    model = recipes.build(toy(recipe="l1", ema=0.9))
    assert model.ema_transformer is not model.transformer
    for mean, own in zip(
        floats(model.ema_transformer), floats(model.transformer), strict=True
    ):
        assert np.array_equal(mean, own)


def test_the_average_keeps_no_more_than_its_decay(toy):
    """After 90 rounds the warm-up would keep 91 / 100."""
    model = recipes.build(toy(recipe="l1", ema=0.5))
    model.t_optimizer.iterations.assign(90 * model.schedule.t_updates)
    start = floats(model.ema_transformer)
    for variable in model.transformer.trainable_variables:
        variable.assign(variable + 1.0)
    model._update_emas()
    for before, now, average in zip(
        start, floats(model.transformer), floats(model.ema_transformer), strict=True
    ):
        assert np.allclose(average, 0.5 * before + 0.5 * now, atol=1e-6)


def test_outside_of_training_a_model_is_its_average(toy):
    model = recipes.build(toy(recipe="l1", ema=0.9))
    source = minibatch()["source"]
    for variable in model.transformer.trainable_variables:
        variable.assign(variable * 0.5)
    expected = model.ema_transformer(source, training=False)
    assert np.array_equal(model(source), expected)
    assert not np.array_equal(model.transformer(source, training=False), expected)


def test_waiting_for_data_adds_up_over_rounds(toy, monkeypatch):
    model = recipes.build(toy(recipe="l1"))
    seconds = iter([0.0, 1.0, 5.0, 7.5])
    clock = types.SimpleNamespace(perf_counter=lambda: next(seconds))
    monkeypatch.setattr(translation, "time", clock)
    monkeypatch.setattr(model, "train_step", lambda batch: {"t": tf.constant(0.0)})
    model.make_train_function()
    batches = iter([round_of(minibatch(), 1)] * 2)
    for waited in (1.0, 1.0 + 2.5):
        model.train_function(batches)
        assert model.data_wait == waited
