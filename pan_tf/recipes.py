"""The table of systems, and `build`, which makes one of them.

The only file where networks, loss terms and topologies meet. A new system is a new row.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras

from pan_tf import networks
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.models import TranslationModel
from pan_tf.models import UpdateSchedule
from pan_tf.optimizers import Adam
from pan_tf.schedules import LinearDecay


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One row of one table of a paper.

    Attributes:
        transformer: (image size or None) -> T.
        discriminator: image size -> D.
        terms: what they are trained on.
        schedule: who is updated how often.
        learning_rate: Adam's, of T, and of D unless it has its own.
        d_learning_rate: D's own, or None.
        beta_1: Adam's first momentum.
        ema: share that the average of T keeps in a cycle; 0 for no average.
        statistics: what T's batch normalization uses outside of training: "moving"
            averages, or those of each "image" by itself, where a paper tests in training
            mode, one image at a time.
    """

    transformer: Callable
    discriminator: Callable
    terms: tuple
    schedule: UpdateSchedule
    learning_rate: float = 2e-4
    d_learning_rate: float | None = None
    beta_1: float = 0.5
    ema: float = 0.0
    statistics: str = "moving"


# How the released code has D's first layer; see `networks.pan_discriminator`.
_FIRST_LAYERS = {
    "leaky_relu": {"first_activation": "leaky_relu", "first_stddev": 0.02},
    "tanh": {"first_activation": "tanh", "first_stddev": 0.5},
}

RECIPES = {
    # PAN, Tables I and II, Eq. 2 to 6, in the reading that trained stably: what the
    # paper leaves open is settled by trials, docs/stability.md. Against `pan_literal`:
    # D's first layer and smoothed label as released, T's side of Eq. 2 without its flat
    # region, a margin and a D slow enough for D not to win, and an average of T to
    # translate with.
    "pan": Recipe(
        transformer=networks.pan_transformer,
        discriminator=functools.partial(
            networks.pan_discriminator, **_FIRST_LAYERS["tanh"]
        ),
        terms=(
            AdversarialLoss("non_saturating", real_label=0.9),
            PerceptualAdversarialLoss(margin=2.0),
        ),
        schedule=UpdateSchedule(d_updates=1, t_updates=3),
        d_learning_rate=2e-5,
        ema=0.995,
    ),
    # PAN as printed. The paper gives no value for the margin; 3.0 is that of the released
    # script.
    "pan_literal": Recipe(
        transformer=networks.pan_transformer,
        discriminator=networks.pan_discriminator,
        terms=(AdversarialLoss(), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=3),
    ),
    # PAN as its authors' released script trains it (facades).
    "pan_official": Recipe(
        transformer=networks.official_pan_transformer,
        discriminator=functools.partial(
            networks.pan_discriminator,
            **_FIRST_LAYERS["tanh"],
            last_activation="linear",
        ),
        terms=(AdversarialLoss(real_label=0.9), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=1),
    ),
}


def resolve(config):
    """The recipe with the configuration's own values in place.

    Args:
        config: `Config`; a setting that is None leaves the recipe's value.

    Returns:
        `Recipe`.
    """
    recipe = RECIPES[config.recipe]
    changes = {
        AdversarialLoss: {
            "weight": config.theta,
            "kind": config.adversarial,
            "real_label": config.real_label,
        },
        PerceptualAdversarialLoss: {"lambdas": config.lambdas, "margin": config.margin},
    }
    discriminator = recipe.discriminator
    if config.first_activation is not None:
        first_layer = _FIRST_LAYERS[config.first_activation]
        discriminator = functools.partial(discriminator, **first_layer)
    statistics = config.statistics or recipe.statistics
    return dataclasses.replace(
        recipe,
        transformer=_fitting(recipe.transformer, config, statistics),
        discriminator=functools.partial(discriminator, width=config.width),
        terms=tuple(_with(term, changes[type(term)]) for term in recipe.terms),
        schedule=_with(
            recipe.schedule,
            {
                "d_updates": config.d_updates,
                "t_updates": config.t_updates,
                "reuse_minibatch": config.reuse_minibatch,
            },
        ),
        **{
            name: value
            for name in ("learning_rate", "d_learning_rate", "ema", "statistics")
            if (value := getattr(config, name)) is not None
        },
    )


def build(config):
    """Makes the model and its optimizers; call it inside the strategy's scope.

    Sets the seeds of Keras, NumPy and Python, and Keras' dtype policy.

    Args:
        config: `Config`.

    Returns:
        A compiled `TranslationModel`.
    """
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    recipe = resolve(config)
    model = TranslationModel(
        recipe.transformer(None),
        recipe.discriminator(config.image_size),
        recipe.terms,
        recipe.schedule,
        average=recipe.transformer(None) if recipe.ema else None,
        average_decay=recipe.ema,
        name=config.recipe,
    )
    model.compile(
        t_optimizer=_optimizer(config, recipe, "t"),
        d_optimizer=_optimizer(config, recipe, "d"),
        jit_compile=config.jit_compile,
    )
    return model


def _with(row, changes):
    changes = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(row, **changes)


def _fitting(transformer, config, statistics):
    """T's builder at the configuration's width and size.

    Takes as many of the released network's eight layers as the image has room for.

    At 64 and 128 px six and seven, as pix2pix does; from 256 px on all eight where the
    size is a multiple of 256.
    """
    arguments = {"width": config.width, "statistics": statistics}
    if transformer is networks.official_pan_transformer:
        arguments["depth"] = max(n for n in (6, 7, 8) if config.image_size % 2**n == 0)
    return functools.partial(transformer, **arguments)


def _optimizer(config, recipe, player):
    learning_rate = recipe.learning_rate
    if player == "d" and recipe.d_learning_rate is not None:
        learning_rate = recipe.d_learning_rate
    if config.decay_start is not None:
        schedule = recipe.schedule
        updates = schedule.t_updates if player == "t" else schedule.d_updates
        # The flags count iterations, the optimizer its own steps.
        share = updates / schedule.minibatches
        learning_rate = LinearDecay(
            learning_rate, config.decay_start * share, config.iterations * share
        )
    optimizer = Adam(learning_rate, recipe.beta_1, epsilon=1e-8)
    if config.dtype_policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
