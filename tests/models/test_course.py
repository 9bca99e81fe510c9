"""What changes in a training: T alone, D fading in, T alone again; rates that end."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.losses import AdversarialLoss
from pan_tf.models import Course
from pan_tf.models import UpdateSchedule
from tests.models.test_translation import minibatch
from tests.models.test_translation import round_of
from tests.models.test_translation import weights
from tests.trained import shallow


def test_terms_with_d_grow_linearly_once_t_is_no_longer_alone():
    course = Course(alone=0.5, fade=0.2, iterations=1000)
    shares = [float(course.d_share(i)) for i in (0, 500, 550, 600, 700, 1000)]
    np.testing.assert_allclose(shares, [0.0, 0.0, 0.25, 0.5, 1.0, 1.0], rtol=1e-6)
    assert float(Course(alone=0.5, iterations=1000).d_share(tf.constant(500))) == 1.0


@pytest.mark.parametrize(
    ("schedule", "at_500", "at_700", "at_900"),
    [
        # 500 updates of T alone; then each other minibatch is D's; then T is alone again.
        (UpdateSchedule(1, 1), (500, 0), (600, 100), (800, 100)),
        (UpdateSchedule(1, 3), (500, 0), (650, 50), (850, 50)),
        (UpdateSchedule(1, 1, reuse_minibatch=True), (500, 0), (700, 200), (900, 200)),
    ],
)
def test_updates_are_counted_through_all_parts(schedule, at_500, at_700, at_900):
    course = Course(alone=0.5, settle=0.3, iterations=1000)
    for player, place in (("transformer", 0), ("discriminator", 1)):
        updates = course.updates(player, schedule)
        found = updates(500), updates(700), updates(900)
        assert found == (at_500[place], at_700[place], at_900[place])


def test_t_is_alone_at_both_ends():
    course = Course(alone=0.2, settle=0.1, iterations=100)
    assert [i for i in range(100) if not course.is_alone(i)] == list(range(20, 90))
    assert not any(map(Course(iterations=100).is_alone, range(100)))


@pytest.mark.parametrize(
    "shares",
    [
        {"alone": 0.6, "fade": 0.4},
        {"alone": 0.5, "settle": 0.5},
        {"alone": -0.1},
        {"decay": 1.5},
    ],
)
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(ValueError, match=r"must be (below 1|in \[0, 1\])"):
        Course(**shares)


@pytest.fixture
def model(toy):
    return recipes.build(toy(recipe="pan_plus", iterations=16, warm_up=0.45, settle=0.2))


def play(model, rounds):
    """Logs of rounds, by the function that `fit` uses."""
    model.make_train_function()
    batch = round_of(minibatch(), model.schedule.minibatches)
    iterator = iter([batch] * rounds)
    return [model.train_function(iterator) for _ in range(rounds)]


@pytest.fixture(scope="module")
def played():
    """What is to be seen before the first and after each of the eight rounds of a run.

    Four of T alone, three with D, one of T alone; traced once for all tests.
    """
    settings = {"image_size": 64, "width": 1 / 16, "batch_size": 2, "iterations": 16}
    with shallow(depth=3):
        model = recipes.build(
            Config(recipe="pan_plus", warm_up=0.45, settle=0.2, **settings)
        )
    assert model.ema_decay > 0.9

    def seen(log):
        rates = {}
        for name in "td":
            optimizer = getattr(model, f"{name}_optimizer")
            step, schedule = int(optimizer.iterations), optimizer._learning_rate
            rates[name] = step, float(schedule(step)), float(schedule(max(step - 1, 0)))
        return {
            "log": log,
            "t": weights(model.transformer),
            "d": weights(model.discriminator),
            "network": [v.numpy() for v in model.transformer.variables],
            "average": [v.numpy() for v in model.ema_transformer.variables],
            "rates": rates,
        }

    return [seen(None)] + [seen(play(model, 1)[0]) for _ in range(8)]


def test_t_is_trained_alone_at_first_and_d_untouched(played):
    # 8 of 16 iterations, the first multiple of 2 beyond 7.
    for each in played[1:5]:
        assert set(each["log"]) >= {"t_pixel"}
        assert not any(name.startswith("d_") for name in each["log"])
    assert played[4]["rates"]["t"][0] == 8  # Both minibatches of a round are T's.
    assert played[4]["rates"]["d"][0] == 0
    assert all(map(np.array_equal, played[0]["d"], played[4]["d"]))
    assert not all(map(np.array_equal, played[0]["t"], played[4]["t"]))
    later = played[5]["log"]
    assert {"d_adversarial", "t_adversarial", "t_pixel", "d_margin"} <= set(later)


def test_t_is_trained_alone_at_the_end_and_d_left_as_it_is(played):
    # From iteration 13 on, hence from round 14.
    assert played[7]["rates"]["d"][0] == 3
    log = played[8]["log"]
    assert "t_pixel" in log and not any(name.startswith("d_") for name in log)
    assert played[8]["rates"]["t"][0] == 8 + 3 + 2
    assert all(map(np.array_equal, played[7]["d"], played[8]["d"]))


def test_rates_end_at_zero_with_the_last_update(played):
    # D's, too, at the end of its own updates.
    for name in "td":
        _, rate, before = played[8]["rates"][name]
        assert rate == pytest.approx(0.0, abs=1e-12) and before > 0.0


def test_a_rate_that_would_fall_only_after_the_last_update_stays(toy):
    settings = {"warm_up": 0.0, "fade": 0.0, "settle": 0.5, "decay_start": 12}
    model = recipes.build(toy(recipe="pan_plus", iterations=16, **settings))
    schedule = model.d_optimizer._learning_rate
    assert [float(schedule(step)) for step in range(4)] == pytest.approx([2e-4] * 4)


def test_what_fades_in_weighs_its_share_in_ts_loss(model):
    batch = round_of(minibatch(), model.schedule.minibatches)
    values = {}
    for share in (0.25, 1.0):
        images = {name: each[:, 0] for name, each in batch.items()}
        translations = model.discriminate("transformer", model.translate(images))
        terms = [
            (term, tf.constant(share) if term.d_inputs("transformer") else None)
            for term in model.terms
        ]
        losses = model.losses_of("transformer", translations, terms)
        values[share] = {name: float(v) for name, v in losses.items()}
    for name in ("t_adversarial", "t_perceptual_adversarial"):
        assert values[0.25][name] == pytest.approx(0.25 * values[1.0][name])
    assert values[0.25]["t_pixel"] == values[1.0]["t_pixel"]


def test_a_flag_lays_out_another_course(toy):
    given = toy(recipe="pan_plus", warm_up=0.25, fade=0.0, settle=0.5)
    course = recipes.resolve(given).course
    assert (course.alone, course.fade, course.alone_until) == (0.25, 0.0, 1)
    assert (course.settle, course.settles_from) == (0.5, 2)
    assert recipes.resolve(toy(recipe="pan_plus", decay_start=2)).course.decay == 0.0


def test_a_warm_up_without_a_loss_that_has_no_d_is_refused(toy):
    for settings in (
        {"recipe": "pan"},
        {"recipe": "pan", "pixel_weight": 0.0},
        {"recipe": "pan_plus", "pixel_weight": 0.0},
    ):
        with pytest.raises(ValueError, match="try a larger --pixel_weight"):
            recipes.resolve(toy(warm_up=0.5, **settings))
    with pytest.raises(ValueError, match="try no --warm_up"):
        recipes.resolve(toy(recipe="dcgan", warm_up=0.5))
    assert recipes.resolve(toy(recipe="pan", warm_up=0.5, pixel_weight=10)).course
    with pytest.raises(ValueError, match=r"^--settle trains T .* try a larger --pixel"):
        recipes.resolve(toy(recipe="pan", settle=0.5))


def test_a_warm_up_without_a_d_is_refused(toy):
    with pytest.raises(ValueError, match="has no use for --warm_up"):
        recipes.resolve(toy(recipe="l1", warm_up=0.5))


def test_systems_written_before_there_were_courses_are_still_what_they_were(toy):
    """No field of later rows is in the JSON of a row that does not use it."""
    written = recipes.resolve(toy(recipe="pan")).to_json()
    assert {"course", "d_augment", "ada_target"}.isdisjoint(written)
    assert all("activity" not in term for term in written["terms"])
    written = recipes.resolve(toy(recipe="l1_plus")).to_json()
    assert "settle" not in written["course"]
    plus = recipes.resolve(toy(recipe="pan_plus"))
    assert recipes.System.from_json(plus.to_json()) == plus


def test_d_sees_source_and_target_changed_alike_and_anew_in_every_update(
    toy, monkeypatch
):
    settings = {"warm_up": 0.0, "fade": 0.0, "d_augment": ("shift", "contrast")}
    model = recipes.build(toy(recipe="pan_plus", **settings))
    seen, discriminator = [], model.discriminator

    def spy(inputs, training):
        seen.append({name: image.numpy() for name, image in inputs.items()})
        return discriminator(inputs, training=training)

    spy.trainable_variables = discriminator.trainable_variables
    spy.variables = discriminator.variables
    monkeypatch.setattr(model, "discriminator", spy)
    image = minibatch()["source"]
    batch = round_of({"source": image, "target": image}, 2)
    model.train_step(batch)
    # D's update, then T's: each looks at the output and at the target.
    of_targets = [s for s in seen if np.array_equal(s["source"], s["image"])]
    assert len(seen) == 4 and len(of_targets) == 2
    one, other = (s["source"] for s in of_targets)
    assert not np.array_equal(one, other) and not np.array_equal(one, image)
    outputs = [s for s in seen if not np.array_equal(s["source"], s["image"])]
    assert {s["source"].tobytes() for s in outputs} == {one.tobytes(), other.tobytes()}


def test_what_d_is_shown_goes_on_where_it_was(toy):
    model = recipes.build(toy(recipe="pan_plus", d_augment=("shift",)))
    (state,) = (v for v in model.saved_parts()["seeds"] if "draws" in v.path)
    before = int(state.numpy()[1])
    model.train_step(round_of(minibatch(), 2))
    assert int(state.numpy()[1]) == before + 2  # A minibatch each.


def test_augmentation_adapts_to_how_sure_d_is_and_a_checkpoint_holds_it(toy):
    settings = {"warm_up": 0.0, "fade": 0.0, "d_augment": ("shift",), "ada_target": 0.6}
    model = recipes.build(toy(recipe="pan_plus", **settings))
    probability = model.saved_parts()["augmentation_probability"]
    last = model.discriminator.layers[-1]
    images = minibatch()
    for sign in (1.0, -1.0):  # D takes every place for real, then none.
        last.kernel.assign(tf.zeros_like(last.kernel))
        last.bias.assign([50.0 * sign])
        probability.assign(0.5)
        logs = model.train_step(round_of(images, 2))
        expected = 0.5 + sign * len(images["source"]) / 4000
        assert float(logs["d_real_sign"]) == sign
        assert float(logs["d_augment_probability"]) == pytest.approx(expected)
        assert float(probability) == pytest.approx(expected)


def test_augmentation_follows_one_term(toy, monkeypatch):
    row = recipes.RECIPES["pan_plus"]
    second = AdversarialLoss("non_saturating", name="second")
    row = dataclasses.replace(row, terms=(*row.terms, second))
    monkeypatch.setitem(recipes.RECIPES, "pan_plus", row)
    settings = {"warm_up": 0.0, "fade": 0.0, "d_augment": ("shift",), "ada_target": 0.6}
    model = recipes.build(toy(recipe="pan_plus", **settings))
    probability = model.saved_parts()["augmentation_probability"]
    probability.assign(0.5)
    images = minibatch()
    logs = model.train_step(round_of(images, 2))
    assert "d_real_sign_second" in logs
    moved = abs(float(probability) - 0.5)
    assert moved == pytest.approx(len(images["source"]) / 4000, rel=1e-3)


def test_what_cannot_be_adapted_is_refused(toy):
    with pytest.raises(ValueError, match="it needs --d_augment"):
        recipes.resolve(toy(recipe="pan", ada_target=0.6))
    with pytest.raises(ValueError, match="it needs an adversarial loss"):
        recipes.resolve(
            toy(recipe="pan", theta=0.0, d_augment=("shift",), ada_target=0.6)
        )
    with pytest.raises(ValueError, match="has no use for --ada_target"):
        recipes.resolve(toy(recipe="l1", ada_target=0.6))
    # A row's own target goes with its augmentations.
    assert recipes.resolve(toy(recipe="pan_plus", d_augment=("none",))).ada_target == 0.0


def test_rounds_are_counted_through_all_parts():
    """Two updates of T a round while it is alone, else one; what averages warm up by."""
    course = Course(alone=0.5, settle=0.25, iterations=40)
    schedule = UpdateSchedule(1, 1)
    updates = [2 * r for r in range(11)] + [20 + r for r in range(1, 6)]
    updates += [25 + 2 * r for r in range(1, 6)]
    found = [float(course.rounds(tf.constant(float(n)), schedule)) for n in updates]
    assert found == list(range(21))


def test_the_average_is_drawn_towards_t_through_both_parts(played):
    """In round r by (1 + r) / (10 + r) of what it was, whoever took part."""
    for rounds in range(1, 9):
        before, after = played[rounds - 1], played[rounds]
        kept = (1 + rounds) / (10 + rounds)
        for old, mean, own in zip(
            before["average"], after["average"], after["network"], strict=True
        ):
            expected = own + kept * (old - own)
            np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-6)


def test_a_round_weighs_terms_with_d_by_the_share_of_its_iteration(toy, monkeypatch):
    """4 of the 8 iterations of a fade over half of 16."""
    settings = {"warm_up": 0.0, "fade": 0.5, "settle": 0.0}
    model = recipes.build(toy(recipe="pan_plus", iterations=16, **settings))
    seen = []

    def update(player, cache):
        seen.append({term.name: share for term, share in cache.terms})
        return {}

    monkeypatch.setattr(model, "update", update)
    batch = round_of(minibatch(), model.schedule.minibatches)
    model.train_step(batch, tf.constant(4, tf.int64))
    for shares in seen:
        assert shares["pixel"] is None
        assert float(shares["adversarial"]) == pytest.approx(0.5)
        assert float(shares["perceptual_adversarial"]) == pytest.approx(0.5)
    assert len(seen) == len(model.schedule.players)


def test_what_fades_in_for_t_is_ds_whole_loss_from_the_beginning(model):
    images = {name: each[:, 0] for name, each in round_of(minibatch(), 1).items()}
    translations = model.discriminate("discriminator", model.translate(images))
    faded = [(term, tf.constant(0.25)) for term in model.terms]
    losses = model.losses_of("discriminator", translations, faded)
    whole = model.losses_of("discriminator", translations)
    assert {k: float(v) for k, v in losses.items()} == {
        k: float(v) for k, v in whole.items()
    }
