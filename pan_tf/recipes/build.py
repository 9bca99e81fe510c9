"""From a configuration to a recipe with its values in place, and to a compiled model."""

import dataclasses
import functools

import keras

from pan_tf import networks
from pan_tf import runtime
from pan_tf.layers import ImageHistory
from pan_tf.losses import TERMS
from pan_tf.losses import PixelLoss
from pan_tf.models import CycleModel
from pan_tf.models import TranslationModel
from pan_tf.optimizers import Adam
from pan_tf.recipes.table import FIRST_LAYERS
from pan_tf.recipes.table import RECIPES
from pan_tf.schedules import LinearDecay


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
    vgg = vgg_of(recipe)
    if vgg:
        path, _ = networks.locate_vgg_weights(config.vgg_weights, vgg)
        networks.check_vgg_weights(path, vgg)
    return config.replace(batch_size=recipe.batch_size)


def vgg_of(recipe):
    """The VGG that a term of the recipe, or its D, looks through, or None."""
    looks = any(term.looks_through_vgg for term in recipe.terms)
    return recipe.vgg if looks or recipe.is_encoded else None


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
    recipe = dataclasses.replace(recipe, **recipe.by_kind.get(kind, {}))
    _check_settings(config, recipe)
    if recipe.aligned and config.image_size % 64:
        raise ValueError(
            "--image_size must be a multiple of 64 (64, 128, 256, 512, ...): T halves "
            f"the image six times. Received: image_size={config.image_size}."
        )
    if kind == "inpainting":
        _check_inpainting(config, recipe)
    if networks.original(recipe.discriminator) is networks.perceptual_discriminator:
        heads = getattr(recipe.discriminator, "keywords", {}).get("heads", (8, 4, 1))
        networks.check_heads(config.image_size, heads)
    statistics = config.statistics or recipe.statistics
    own = {
        name: value
        for name in ("batch_size", "learning_rate", "d_learning_rate", "ema")
        if (value := getattr(config, name)) is not None
    }
    return dataclasses.replace(
        recipe,
        kind=kind,
        transformers={
            kind: _transformer(recipe.transformers[kind], config, kind, statistics)
        },
        discriminator=_discriminator(recipe.discriminator, config, kind),
        vgg=config.vgg or recipe.vgg,
        terms=_terms(recipe.terms, config, kind),
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


def revisions(config):
    """What a run folder records of its networks and losses.

    Returns:
        Part -> [name, revision], see `networks.revisions`; parts are "transformer",
        "discriminator" and, for the losses, "recipe".
    """
    recipe = RECIPES[config.recipe]
    return {
        **{
            part: [networks.original(builder).__name__, networks.revision_of(builder)]
            for part, builder in _builders(config).items()
        },
        "recipe": [config.recipe, recipe.revision],
    }


def check_revisions(config, folder, to_train=False):
    """Refuses a run whose networks, by the same names, were others than today's.

    Args:
        config: `Config` of the run.
        folder: its `RunFolder`; one without a run yet is fine.
        to_train: whether it is to go on, for which its losses must be today's too.

    Raises:
        ValueError: naming the folder, and how the two differ.
    """
    recorded = folder.revisions()
    if recorded is None:
        return
    builders, recipe = _builders(config), RECIPES[config.recipe]
    for part, (name, number) in revisions(config).items():
        was_name, was = recorded.get(part, [name, 1])
        if (was_name, was) == (name, number) or (part == "recipe" and not to_train):
            continue
        if was_name != name:
            difference = f"{part} is {was_name} where this one has {name}"
        elif was > number:
            difference = f"{name} is of revision {was}, newer than the {number} here"
        elif part == "recipe":
            difference = f"{name} {recipe.earlier_revisions[was]}"
        else:
            difference = f"{name} {networks.what_changed(builders[part], was)}"
        raise ValueError(
            f"{folder.path} is a run of another pan_tf, whose {difference}. Train it "
            "again in another --run_dir, or use it with the version that trained it"
            + (f", commit {commit}." if (commit := folder.commit()) else ".")
            + " CHANGELOG.md has the changes."
        )


def _builders(config):
    """part -> builder of the recipe's T and D, as the table has them."""
    recipe = RECIPES[config.recipe]
    kind = config.transformer or recipe.kind
    recipe = dataclasses.replace(recipe, **recipe.by_kind.get(kind, {}))
    builders = {"transformer": recipe.transformers[kind]}
    if recipe.discriminator is not None:
        builders["discriminator"] = recipe.discriminator
    return builders


def _check_settings(config, recipe):
    taken = {name for term in recipe.terms for name in term.settings}
    every = {name for kind in TERMS.values() for name in kind.settings}
    if recipe.aligned:
        taken.add("pixel_weight")  # Else a pixel loss is added; see `_terms`.
    idle = sorted(every - taken)
    if recipe.discriminator is None:
        idle += ["d_updates", "d_learning_rate"]
    if networks.original(recipe.discriminator) is not networks.pan_discriminator:
        idle += ["first_activation"]
    if networks.original(recipe.discriminator) is not networks.perceptual_discriminator:
        idle += ["discriminator_form"]
    if vgg_of(recipe) is None:
        idle += ["vgg"]
    if recipe.statistics is None:
        idle += ["statistics"]
    given = [name for name in idle if getattr(config, name) is not None]
    if given:
        raise ValueError(
            f"--recipe={config.recipe} has no use for "
            f"{', '.join(f'--{name}' for name in given)}: leave it out."
        )


def _check_inpainting(config, recipe):
    networks.check_inpainting_size(config.image_size)
    batch_size = config.batch_size or recipe.batch_size
    if config.synthesize != "hole":
        raise ValueError(
            "--transformer=inpainting fills the centre of the target: it needs "
            f"--synthesize=hole. Received: synthesize={config.synthesize}."
        )
    if batch_size < 2:
        raise ValueError(
            "--batch_size must be at least 2 for inpainting: its innermost layer has one "
            "position, which a batch of one would normalize away. "
            f"Received: batch_size={batch_size}."
        )


def _terms(terms, config, kind):
    region = "centre" if kind == "inpainting" else "image"

    def changed(term):
        changes = {field: getattr(config, name) for name, field in term.settings.items()}
        if "region" in vars(term):
            changes["region"] = region
        return _with(term, changes)

    terms = tuple(changed(term) for term in terms)
    if config.pixel_weight is not None and "pixel" not in {term.name for term in terms}:
        terms += (PixelLoss("l1", region, weight=config.pixel_weight),)
    return terms


def _transformer(transformer, config, kind, statistics):
    """T's builder at the configuration's width and size.

    A U-Net of up to eight layers gets as many as the image has room for: at 64 and 128 px
    six and seven, from 256 px on all eight where the size is a multiple of 256.
    """
    arguments = {"width": config.width}
    if statistics is not None:
        arguments["statistics"] = statistics
    if transformer in (networks.official_pan_transformer, networks.pix2pix_transformer):
        arguments["depth"] = max(n for n in (6, 7, 8) if config.image_size % 2**n == 0)
    if kind == "inpainting":
        # For one size only, whatever is asked for.
        return lambda image_size=None: transformer(config.image_size, **arguments)
    return functools.partial(transformer, **arguments)


def _discriminator(discriminator, config, kind):
    """D's builder at the configuration's width; for inpainting, of the centre."""
    if discriminator is None:
        return None
    arguments = {"width": config.width}
    if config.first_activation is not None:
        arguments |= FIRST_LAYERS[config.first_activation]
    if config.discriminator_form is not None:
        arguments["form"] = config.discriminator_form
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
    runtime.set_up_keras()
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    recipe = resolve(config)
    vgg, path = vgg_of(recipe), None
    if vgg:
        path, _ = networks.locate_vgg_weights(config.vgg_weights, vgg)
    topology, parts = TranslationModel, _direction(recipe, config)
    if recipe.is_cycle:
        topology = CycleModel
        names = {"transformer": "inverse", "discriminator": "inverse_discriminator"}
        inverse = _direction(recipe, config, names)
        parts |= {names.get(k, f"inverse_{k}"): part for k, part in inverse.items()}
    if recipe.is_encoded:
        parts["encoder"] = networks.vgg_encoder(vgg, recipe.star, path)

    def features(layers, preprocessing):
        if layers is None:
            return networks.vgg_encoder(vgg, weights=path)
        return networks.vgg_features(layers, preprocessing, path, vgg=vgg)

    model = topology(
        terms=[term.with_vgg(features) for term in recipe.terms],
        schedule=recipe.schedule,
        average_decay=recipe.ema,
        name=config.recipe,
        **parts,
    )
    model.compile(
        t_optimizer=_optimizer(config, recipe, "t"),
        d_optimizer=recipe.discriminator and _optimizer(config, recipe, "d"),
        jit_compile=config.jit_compile,
    )
    return model


def _direction(recipe, config, names=None):
    """T, D and what else one direction has, by the names of a model's arguments.

    Args:
        recipe: `Recipe`.
        config: `Config`.
        names: argument -> name of the network, if not the same.
    """
    names = names or {}
    size = config.image_size

    def network(build, argument, *sizes):
        if argument in names:
            return build(*sizes, name=names[argument])
        return build(*sizes)

    return {
        "transformer": network(recipe.transformer, "transformer", None),
        "discriminator": recipe.discriminator
        and network(recipe.discriminator, "discriminator", size),
        "average": recipe.transformer(None) if recipe.ema else None,
        "memory": ImageHistory((size, size, 3), recipe.memory) if recipe.memory else None,
    }


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
