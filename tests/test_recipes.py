import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.schedules import LinearDecay


def first_feature(recipe):
    """d_1 of an image of ones."""
    image = tf.ones((1, 64, 64, 3))
    return recipe.discriminator(64)({"source": image, "image": image})["features"][0]


def test_pan_is_the_reading_that_trains_stably(toy):
    """docs/stability.md."""
    recipe = recipes.resolve(toy())
    assert recipe.terms == (
        AdversarialLoss("non_saturating", real_label=0.9),
        PerceptualAdversarialLoss(lambdas=(5.0, 1.5, 1.5, 1.0), margin=2.0),
    )
    assert recipe.schedule == recipes.resolve(toy(recipe="pan_literal")).schedule
    assert (recipe.learning_rate, recipe.d_learning_rate) == (2e-4, 2e-5)
    assert recipe.ema == 0.995
    assert 0.9 < np.abs(first_feature(recipe)).max() < 1.0  # tanh, of a wide kernel.


def test_pan_literal_is_the_paper(toy):
    recipe = recipes.resolve(toy(recipe="pan_literal"))
    assert recipe.terms == (
        AdversarialLoss("saturating", real_label=1.0, weight=1.0),
        PerceptualAdversarialLoss(lambdas=(5.0, 1.5, 1.5, 1.0), margin=3.0),
    )
    schedule = recipe.schedule
    assert schedule.players == ("discriminator",) + ("transformer",) * 3
    assert schedule.minibatches == 4
    assert (recipe.learning_rate, recipe.beta_1) == (2e-4, 0.5)
    assert recipe.d_learning_rate is None and recipe.ema == 0.0


def test_pan_official_is_the_released_script(toy):
    recipe = recipes.resolve(toy(recipe="pan_official"))
    assert recipe.terms[0] == AdversarialLoss("saturating", real_label=0.9)
    assert recipe.schedule.players == ("discriminator", "transformer")
    assert 0.9 < np.abs(first_feature(recipe)).max() < 1.0  # tanh, of a wide kernel.


def test_flags_replace_the_recipes_values(toy):
    recipe = recipes.resolve(
        toy(
            theta=0.5,
            lambdas=(0.0, 0.0, 0.0, 1.0),
            margin=2.0,
            adversarial="non_saturating",
            real_label=0.9,
            t_updates=2,
            reuse_minibatch=True,
            learning_rate=1e-3,
            d_learning_rate=1e-4,
            ema=0.0,
        )
    )
    assert recipe.terms == (
        AdversarialLoss("non_saturating", real_label=0.9, weight=0.5),
        PerceptualAdversarialLoss(lambdas=(0.0, 0.0, 0.0, 1.0), margin=2.0),
    )
    assert recipe.schedule.players == ("discriminator",) + ("transformer",) * 2
    assert recipe.schedule.minibatches == 1
    assert (recipe.learning_rate, recipe.d_learning_rate) == (1e-3, 1e-4)
    assert recipe.ema == 0.0


def test_adam_is_the_papers(toy):
    model = recipes.build(toy(recipe="pan_literal"))
    for optimizer in (model.t_optimizer, model.d_optimizer):
        config = optimizer.get_config()
        assert config["learning_rate"] == pytest.approx(2e-4)
        assert (config["beta_1"], config["beta_2"]) == (0.5, 0.999)
        assert config["epsilon"] == 1e-8


def test_decay_counts_each_players_own_steps(toy):
    model = recipes.build(toy(iterations=400, decay_start=200))
    t_schedule, d_schedule = (
        optimizer._learning_rate for optimizer in (model.t_optimizer, model.d_optimizer)
    )
    assert isinstance(t_schedule, LinearDecay)
    assert (t_schedule.decay_start, t_schedule.decay_end) == (150, 300)
    assert (d_schedule.decay_start, d_schedule.decay_end) == (50, 100)


def test_an_average_of_zero_is_none(toy):
    model = recipes.build(toy(ema=0.0))
    assert model.deployed is model.transformer
    assert recipes.build(toy()).deployed is not model.transformer


def test_the_discriminator_may_have_its_own_learning_rate(toy):
    model = recipes.build(toy(d_learning_rate=5e-5))
    assert float(model.t_optimizer.learning_rate) == pytest.approx(2e-4)
    assert float(model.d_optimizer.learning_rate) == pytest.approx(5e-5)
