"""The table of systems, and `build`, which makes one of them.

The only file where networks, loss terms and topologies meet. A new system is a new row.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras

from pan_tf import networks
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import CentreLoss
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PerceptualLoss
from pan_tf.losses import PixelLoss
from pan_tf.models import TranslationModel
from pan_tf.models import UpdateSchedule
from pan_tf.optimizers import Adam
from pan_tf.schedules import LinearDecay


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One row of one table of a paper.

    Attributes:
        transformers: kind of T -> (image size or None) -> T. A task asks for a kind, the
            row says which T of that kind is its own.
        discriminator: image size -> D; None if no term looks at one.
        terms: what they are trained on.
        schedule: who is updated how often.
        kind: of T, unless the configuration says.
        batch_size: images in a minibatch, over all replicas.
        learning_rate: Adam's, of T, and of D unless it has its own.
        d_learning_rate: D's own, or None.
        beta_1: Adam's first momentum.
        ema: share that the average of T keeps in a cycle; 0 for no average.
        statistics: what T's batch normalization uses outside of training: "moving"
            averages, or those of each "image" by itself, where a paper tests in training
            mode, one image at a time.
    """

    transformers: dict
    discriminator: Callable | None
    terms: tuple
    schedule: UpdateSchedule
    kind: str = "unet"
    batch_size: int = 4
    learning_rate: float = 2e-4
    d_learning_rate: float | None = None
    beta_1: float = 0.5
    ema: float = 0.0
    statistics: str = "moving"

    @property
    def transformer(self):
        """(image size or None) -> T."""
        return self.transformers[self.kind]


# How the released code has D's first layer; see `networks.pan_discriminator`.
_FIRST_LAYERS = {
    "leaky_relu": {"first_activation": "leaky_relu", "first_stddev": 0.02},
    "tanh": {"first_activation": "tanh", "first_stddev": 0.5},
}

# T of Table II, of PAN's de-raining, and, as the paper has it, of Context-Encoders.
_PAN_TRANSFORMERS = {
    "unet": networks.pan_transformer,
    "deraining": networks.deraining_transformer,
    "inpainting": networks.context_encoder_transformer,
}
# Those of the systems that Table III compares: one T for all of them, ID-CGAN's.
_ID_CGAN_TRANSFORMERS = {
    **_PAN_TRANSFORMERS,
    "deraining": networks.id_cgan_transformer,
}
_TANH_DISCRIMINATOR = functools.partial(
    networks.pan_discriminator, **_FIRST_LAYERS["tanh"]
)
# One minibatch for an update of D and one of T, as all systems but PAN have it.
_SHARED_MINIBATCH = UpdateSchedule(d_updates=1, t_updates=1, reuse_minibatch=True)

# PAN, Tables I and II, Eq. 2 to 6, in the reading that trained stably: what the paper
# leaves open is settled by trials, docs/stability.md. Against `pan_literal`: D's first
# layer and smoothed label as released, T's side of Eq. 2 without its flat region, a
# margin and a D slow enough for D not to win, and an average of T to translate with.
_PAN = Recipe(
    transformers=_PAN_TRANSFORMERS,
    discriminator=_TANH_DISCRIMINATOR,
    terms=(
        AdversarialLoss("non_saturating", real_label=0.9),
        PerceptualAdversarialLoss(margin=2.0),
    ),
    schedule=UpdateSchedule(d_updates=1, t_updates=3),
    d_learning_rate=2e-5,
    ema=0.995,
)

# ID-CGAN as its released code trains it; its switches give the rows of Table III.
_ID_CGAN = Recipe(
    transformers=_ID_CGAN_TRANSFORMERS,
    discriminator=functools.partial(networks.patch_discriminator, filters=48),
    terms=(
        AdversarialLoss("non_saturating"),
        PixelLoss("l2", weight=150.0),
        # As coded: what the name calls L2 is a mean absolute difference, and VGG is
        # given BGR in [-1, 1], which it was never trained on.
        PerceptualLoss("block2_conv2", "l1", preprocessing="none", weight=150.0),
    ),
    schedule=_SHARED_MINIBATCH,
    kind="deraining",
    batch_size=7,
    statistics="image",
)
_ADVERSARIAL, _PIXEL, _PERCEPTUAL = _ID_CGAN.terms

RECIPES = {
    # PAN, and two other readings of it.
    "pan": _PAN,
    # `pan` with a pixel loss beside it, at the weight that the released script has an
    # option for: the single change that moved its curve most, docs/results.md.
    "pan_fast": dataclasses.replace(
        _PAN, terms=(*_PAN.terms, PixelLoss("l1", weight=25.0))
    ),
    # As printed. The paper gives no value for the margin; 3.0 is that of the released
    # script.
    "pan_literal": Recipe(
        transformers=_PAN_TRANSFORMERS,
        discriminator=networks.pan_discriminator,
        terms=(AdversarialLoss(), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=3),
    ),
    # As its authors' released script trains it (facades).
    "pan_official": Recipe(
        transformers={
            **_PAN_TRANSFORMERS,
            "unet": networks.official_pan_transformer,
            "inpainting": networks.pan_inpainting_transformer,
        },
        discriminator=functools.partial(_TANH_DISCRIMINATOR, last_activation="linear"),
        terms=(AdversarialLoss(real_label=0.9), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=1),
    ),
    # Table III, "PA Loss + cGAN": `pan`, but D judges an image with its source.
    "pan_cgan": dataclasses.replace(
        _PAN,
        discriminator=functools.partial(_TANH_DISCRIMINATOR, conditional=True),
    ),
    # Table III: ID-CGAN and what is left of it without its perceptual loss, its
    # adversarial loss, or both.
    "id_cgan": _ID_CGAN,
    "l2_cgan": dataclasses.replace(_ID_CGAN, terms=(_ADVERSARIAL, _PIXEL)),
    "cgan": dataclasses.replace(_ID_CGAN, terms=(_ADVERSARIAL,)),
    "l2": dataclasses.replace(
        _ID_CGAN,
        discriminator=None,
        terms=(_PIXEL,),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
    ),
    # ID-CGAN with the squared difference that it names, of features that VGG's weights
    # were trained for. Those grow with VGG's input: divided by 127.5 they are of an image
    # in T's units, and the weight of 150 means what it means for pixels.
    "id_cgan_fixed": dataclasses.replace(
        _ID_CGAN,
        terms=(
            _ADVERSARIAL,
            _PIXEL,
            PerceptualLoss("block2_conv2", "l2", "caffe", scale=127.5, weight=150.0),
        ),
    ),
    # The plainest baseline: PAN's T on the mean absolute difference alone.
    "l1": Recipe(
        transformers=_PAN_TRANSFORMERS,
        discriminator=None,
        terms=(PixelLoss("l1", weight=100.0),),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
    ),
    # Table V: pix2pix, the authors' PyTorch code with its defaults (constant rate).
    "pix2pix": Recipe(
        transformers={**_PAN_TRANSFORMERS, "unet": networks.pix2pix_transformer},
        discriminator=networks.patch_discriminator,
        terms=(AdversarialLoss("non_saturating"), PixelLoss("l1", weight=100.0)),
        schedule=_SHARED_MINIBATCH,
        batch_size=1,
        statistics="image",
    ),
    # Table IV: Context-Encoders; T learns ten times as fast as D.
    "context_encoder": Recipe(
        transformers={"inpainting": networks.context_encoder_transformer},
        discriminator=networks.context_encoder_discriminator,
        terms=(
            AdversarialLoss("non_saturating", weight=0.001),
            CentreLoss(weight=0.999),
        ),
        schedule=_SHARED_MINIBATCH,
        kind="inpainting",
        batch_size=64,
        learning_rate=2e-3,
        d_learning_rate=2e-4,
    ),
}


def complete(config):
    """The configuration with what the recipe decides and a run must record.

    Args:
        config: `Config`.

    Returns:
        `Config` with a `batch_size`.

    Raises:
        ValueError: if settings do not go with the recipe.
        WeightsNotFoundError: if the recipe needs VGG's weights and there are none.
    """
    recipe = resolve(config)
    if needs_vgg(recipe):
        networks.locate_vgg_weights(config.vgg_weights)
    return config.replace(batch_size=recipe.batch_size)


def needs_vgg(recipe):
    """Whether a term of the recipe looks through VGG."""
    return any(isinstance(term, PerceptualLoss) for term in recipe.terms)


def resolve(config):
    """The recipe with the configuration's own values in place.

    Args:
        config: `Config`; a setting that is None leaves the recipe's value.

    Returns:
        `Recipe`.

    Raises:
        ValueError: if a setting has no meaning for the recipe.
    """
    recipe = RECIPES[config.recipe]
    kind = config.transformer or recipe.kind
    if kind not in recipe.transformers:
        raise ValueError(
            f"--transformer must be one of: {', '.join(recipe.transformers)}, for "
            f"--recipe={config.recipe}. Received: transformer={kind!r}."
        )
    _check_settings(config, recipe)
    statistics = config.statistics or recipe.statistics
    own = {
        name: value
        for name in ("batch_size", "learning_rate", "d_learning_rate", "ema")
        if (value := getattr(config, name)) is not None
    }
    return dataclasses.replace(
        recipe,
        kind=kind,
        transformers={kind: _transformer(recipe.transformers[kind], config, statistics)},
        discriminator=_discriminator(recipe.discriminator, config, kind),
        terms=_terms(recipe.terms, config),
        schedule=_with(
            recipe.schedule,
            {
                "d_updates": config.d_updates,
                "t_updates": config.t_updates,
                "reuse_minibatch": config.reuse_minibatch,
            },
        ),
        statistics=statistics,
        **own,
    )


# Settings that mean something to a part of the recipes only.
_CONCERNS = {
    "theta": AdversarialLoss,
    "adversarial": AdversarialLoss,
    "real_label": AdversarialLoss,
    "lambdas": PerceptualAdversarialLoss,
    "margin": PerceptualAdversarialLoss,
}


def _check_settings(config, recipe):
    terms = {type(term) for term in recipe.terms}
    idle = [name for name, term in _CONCERNS.items() if term not in terms]
    if recipe.discriminator is None:
        idle += ["d_updates", "d_learning_rate"]
    if PerceptualAdversarialLoss not in terms:
        idle += ["first_activation"]
    given = [name for name in idle if getattr(config, name) is not None]
    if given:
        raise ValueError(
            f"--recipe={config.recipe} has no use for "
            f"{', '.join(f'--{name}' for name in given)}: leave it out."
        )


def _terms(terms, config):
    changes = {
        AdversarialLoss: {
            "weight": config.theta,
            "kind": config.adversarial,
            "real_label": config.real_label,
        },
        PerceptualAdversarialLoss: {"lambdas": config.lambdas, "margin": config.margin},
        PixelLoss: {"weight": config.pixel_weight},
        CentreLoss: {"weight": config.pixel_weight},
    }
    terms = tuple(_with(term, changes.get(type(term), {})) for term in terms)
    if config.pixel_weight is not None and "pixel" not in {term.name for term in terms}:
        terms += (PixelLoss("l1", weight=config.pixel_weight),)
    return terms


def _transformer(transformer, config, statistics):
    """T's builder at the configuration's width and size.

    A U-Net of up to eight layers gets as many as the image has room for: at 64 and 128 px
    six and seven, from 256 px on all eight where the size is a multiple of 256.
    """
    arguments = {"width": config.width, "statistics": statistics}
    if transformer in (networks.official_pan_transformer, networks.pix2pix_transformer):
        arguments["depth"] = max(n for n in (6, 7, 8) if config.image_size % 2**n == 0)
    if "inpainting" in transformer.__module__:
        # For one size only, whatever is asked for.
        return lambda image_size=None: transformer(config.image_size, **arguments)
    return functools.partial(transformer, **arguments)


def _discriminator(discriminator, config, kind):
    """D's builder at the configuration's width; for inpainting, of the centre."""
    if discriminator is None:
        return None
    arguments = {"width": config.width}
    if config.first_activation is not None:
        arguments |= _FIRST_LAYERS[config.first_activation]
    is_centre = discriminator is networks.context_encoder_discriminator
    if kind == "inpainting" and not is_centre:
        arguments["region"] = "centre"
    return functools.partial(discriminator, **arguments)


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
    discriminator = recipe.discriminator
    model = TranslationModel(
        recipe.transformer(None),
        discriminator and discriminator(config.image_size),
        [_with_vgg(term, config.vgg_weights) for term in recipe.terms],
        recipe.schedule,
        average=recipe.transformer(None) if recipe.ema else None,
        average_decay=recipe.ema,
        name=config.recipe,
    )
    model.compile(
        t_optimizer=_optimizer(config, recipe, "t"),
        d_optimizer=discriminator and _optimizer(config, recipe, "d"),
        jit_compile=config.jit_compile,
    )
    return model


def _with_vgg(term, weights):
    """A perceptual loss with its network, any other term as it is."""
    if not isinstance(term, PerceptualLoss):
        return term
    path, _ = networks.locate_vgg_weights(weights)
    network = networks.vgg_features(term.layer, term.preprocessing, path)
    return dataclasses.replace(term, network=network)


def _with(row, changes):
    changes = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(row, **changes)


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
