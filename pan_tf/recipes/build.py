"""From a configuration to a system, and from that to a compiled model."""

import dataclasses

import keras

from pan_tf import data
from pan_tf import images
from pan_tf import networks
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.layers import DiscriminatorAugmentation
from pan_tf.layers import ImagePool
from pan_tf.losses import PixelLoss
from pan_tf.models import Course
from pan_tf.models import CycleModel
from pan_tf.models import TranslationModel
from pan_tf.optimizers import Adam
from pan_tf.recipes import checks
from pan_tf.recipes.system import Network
from pan_tf.recipes.system import System
from pan_tf.recipes.system import digest
from pan_tf.recipes.system import given_to
from pan_tf.recipes.table import RECIPES
from pan_tf.schedules import LinearDecay

# Settings of a round, by which fields of `UpdateSchedule` are called, too.
_ROUND = ("d_updates", "t_updates", "reuse_minibatch", "accumulate")


def complete(config):
    """The configuration with what the recipe decides and a run must record.

    Args:
        config: `Config`.

    Returns:
        `Config` with a `batch_size`, a `dtype_policy` and a `recipe_digest`.

    Raises:
        ValueError: if settings do not go with the recipe, or the recipe is not the one
            that the configuration was written for.
        WeightsNotFoundError: if the recipe needs VGG's weights and there are none.
    """
    system = resolve(config)
    checks.check_written(system)
    today = digest(RECIPES[config.recipe])
    if config.recipe_digest not in (None, today):
        raise ValueError(
            f"--recipe_digest={config.recipe_digest} is of another {config.recipe} than "
            f"that of this version, {today}: the run whose run.cfg this is cannot be "
            "replayed here. Its system.json says what was trained. To train today's "
            f"{config.recipe} add --recipe_digest= (empty)."
        )
    if system.vgg:
        path, _ = networks.locate_vgg_weights(config.vgg_weights, system.vgg)
        networks.check_vgg_weights(path, system.vgg)
    return config.replace(
        batch_size=system.batch_size,
        dtype_policy=config.dtype_policy or RECIPES[config.recipe].dtype_policy,
        recipe_digest=today,
    )


def resolve(config):
    """The recipe with the configuration's own values in place.

    Args:
        config: `Config`; a setting that is None leaves the recipe's value.

    Returns:
        `System`.

    Raises:
        ValueError: if a setting has no meaning for the recipe.
    """
    row = RECIPES[config.recipe]
    role, builder = _transformer(row, config)
    checks.check_roles(config.recipe, row)
    row = dataclasses.replace(row, **row.by_role.get(role, {}))
    checks.check_row(config.recipe, row)
    parts = [networks.declaration(builder)]
    if row.discriminator is not None:
        parts.append(networks.declaration(row.discriminator))
    vgg = (config.vgg or row.vgg) if row.looks_through_vgg else None
    checks.check_settings(config, row, parts, vgg)
    source, target = sides = data.specs_asked_for(config)
    checks.check_channels(config, row, parts, vgg, sides)
    d_augment = tuple(
        name for name in _first(config.d_augment, row.d_augment) if name != "none"
    )
    batch_size = _first(config.batch_size, row.batch_size)
    transformer = _network(builder, config, row, "image", sides)
    region = "centre" if transformer.declaration.fills_centre else "image"
    checks.check_region(config, row, region)
    if region == "centre":
        checks.check_filling(config, row, role, transformer, batch_size)
    system = System(
        recipe=config.recipe,
        role=role,
        transformer=transformer,
        discriminator=row.discriminator
        and _network(row.discriminator, config, row, region, sides),
        terms=_terms(row, config, region),
        schedule=_schedule(row, config),
        batch_size=batch_size,
        learning_rate=(rate := _first(config.learning_rate, row.learning_rate)),
        d_learning_rate=row.discriminator
        and _first(config.d_learning_rate, row.d_learning_rate, rate),
        beta_1=row.beta_1,
        ema=_first(config.ema, row.ema),
        bn_statistics=transformer.arguments.get("statistics"),
        paired=row.paired,
        is_cycle=row.is_cycle,
        pool_size=row.pool_size,
        vgg=vgg,
        is_encoded=row.is_encoded,
        star=row.star,
        revision=row.revision,
        source=source,
        target=target,
        course=_course(config, row),
        d_augment=d_augment,
        # Without augmentation a row's target is for nothing; a user's is told so.
        ada_target=_first(config.ada_target, row.ada_target if d_augment else 0.0),
    )
    checks.check_pairs(config, row)
    checks.check_course(system, config)
    checks.check_augmentation(system)
    return system


def _transformer(row, config):
    """(role, builder of T): the row's own in a role, or any T by its name."""
    asked = config.transformer or row.role
    if asked in row.transformers:
        return asked, row.transformers[asked]
    if asked in networks.TRANSFORMERS:
        return row.role, networks.TRANSFORMERS[asked]
    raise ValueError(
        f"--transformer must be one of: {', '.join(row.transformers)}, for "
        f"--recipe={config.recipe}, or name a T (--help lists them). "
        f"Received: transformer={asked!r}."
    )


def _network(builder, config, row, region, sides):
    """A T or D at the configuration's width and size, with the settings that it takes."""
    declared = networks.declaration(builder)
    arguments = {"width": config.width * given_to(builder).get("width", 1.0)}
    if "bn_statistics" in declared.settings and row.bn_statistics is not None:
        arguments["statistics"] = row.bn_statistics
    if not declared.rgb_only:
        names = "source_channels", "target_channels"
        arguments |= {
            name: spec.channels for name, spec in zip(names, sides, strict=True)
        }
    for name, argument in declared.settings.items():
        if getattr(config, name) is not None:
            arguments[argument] = getattr(config, name)
    if region != "image" and len(declared.regions) > 1:
        arguments["region"] = region
    return Network.of(builder, config.image_size, **arguments)


def _schedule(row, config):
    changes = {name: getattr(config, name) for name in _ROUND}
    if config.accumulate == Config.accumulate:
        del changes["accumulate"]  # Nothing was asked for.
    return _with(row.schedule, changes)


def _course(config, row):
    """`Course` of the configuration's length; None where nothing changes on the way."""
    given = {"alone": config.warm_up, "fade": config.fade, "settle": config.settle}
    if config.decay_start is not None:  # In iterations; the optimizers have it.
        given["decay"] = 0.0
    course = _with(row.course or Course(), given)
    if course == Course():
        return None
    return dataclasses.replace(course, iterations=config.iterations)


def with_found(config):
    """As `data.with_found`; a recipe that takes RGB only gets RGB from any files."""
    found, sentence = data.with_found(config)
    if found is config:
        return config, sentence
    try:
        resolve(found)
    except ValueError:
        sides = "source_channels", "target_channels"
        rgb = {name: 3 for name in sides if getattr(config, name) is None}
        if any(getattr(found, name) not in images.CONVERTIBLE for name in rgb):
            raise
        again = found.replace(**rgb)
        resolve(again)  # If it is not that, the reason is told.
        return again, f"{sentence} --recipe={config.recipe} takes them as RGB."
    return found, sentence


def _terms(row, config, region):
    def changed(term):
        changes = {field: getattr(config, name) for name, field in term.settings.items()}
        if term.takes_region:
            changes["region"] = region
        if "margin" in changes and config.hinge_activity is not None:
            if (changes["margin"] or term.margin) != "auto":
                raise ValueError(
                    "--hinge_activity goes with --margin=auto. Received: margin="
                    f"{changes['margin'] or term.margin}."
                )
        weights, given = term.lambdas_of_features(), config.lambdas
        if weights is not None and given is not None and len(given) != len(weights):
            raise ValueError(
                f"--lambdas must be {len(weights)} numbers, one a feature of D. "
                f"Received: lambdas={given}."
            )
        return _with(term, changes)

    terms = tuple(changed(term) for term in row.terms)
    takes_weight = any("pixel_weight" in term.settings for term in terms)
    if config.pixel_weight is not None and not takes_weight:
        terms += (PixelLoss("l1", region, weight=config.pixel_weight),)
    return terms


def build(config):
    """Makes the model and its optimizers; call it inside the strategy's scope.

    Sets the seeds of Keras, NumPy and Python, and Keras' dtype policy.

    Args:
        config: `Config`.

    Returns:
        A compiled `TranslationModel`.
    """
    runtime.set_up_keras()
    runtime.run_operations_alone()
    keras.utils.set_random_seed(config.seed)
    policy = runtime.dtype_policy(config.dtype_policy)
    keras.config.set_dtype_policy(policy)
    runtime.join_activations(policy, config.recompute)
    system, path = resolve(config), None
    if system.vgg:
        path, _ = networks.locate_vgg_weights(config.vgg_weights, system.vgg)
    topology, parts = TranslationModel, _direction(system, config)
    if system.is_cycle:
        topology = CycleModel
        names = {"transformer": "inverse", "discriminator": "inverse_discriminator"}
        inverse = _direction(system, config, names)
        parts |= {names.get(k, f"inverse_{k}"): part for k, part in inverse.items()}
    if system.d_augment:
        # A plane of a label is there or not: its value means nothing.
        as_labels = ("source",) if system.source.labels else ()
        parts["augmentation"] = DiscriminatorAugmentation(
            system.d_augment, as_labels, system.ada_target
        )
    if system.is_encoded:
        parts["encoder"] = networks.vgg_encoder(system.vgg, system.star, path)

    def features(layers, preprocessing):
        if layers is None:
            return networks.vgg_encoder(system.vgg, weights=path)
        return networks.vgg_features(layers, preprocessing, path, vgg=system.vgg)

    model = topology(
        terms=[term.with_vgg(features) for term in system.terms],
        schedule=system.schedule,
        ema_decay=system.ema,
        course=system.course,
        recompute=config.recompute,
        name=config.recipe,
        **parts,
    )
    model.compile(
        t_optimizer=_optimizer(config, system, "t"),
        d_optimizer=system.discriminator and _optimizer(config, system, "d"),
        jit_compile=config.jit_compile,
    )
    return model


def _direction(system, config, names=None):
    """T, D and what else one direction has, by the names of a model's arguments.

    Args:
        system: `System`.
        config: `Config`.
        names: argument -> name of the network, if not the same.
    """
    size, sides = config.image_size, (system.source, system.target)
    transformer, discriminator = system.transformer, system.discriminator
    if names:
        sides, transformer = sides[::-1], transformer.swapped()
        discriminator = discriminator and discriminator.swapped()
    names = names or {}

    def network(build, argument, *sizes):
        if argument in names:
            return build(*sizes, name=names[argument])
        return build(*sizes)

    made = network(transformer, "transformer")
    checks.check_transformer(made, system, size, sides)
    judge = discriminator and network(discriminator, "discriminator", size)
    if judge is not None:
        checks.check_discriminator(judge, system, sides[1].channels)
    return {
        "transformer": made,
        "discriminator": judge,
        "ema_transformer": transformer() if system.ema else None,
        "image_pool": ImagePool((*size, sides[1].channels), system.pool_size)
        if system.pool_size
        else None,
    }


def _first(*values):
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def _with(row, changes):
    changes = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(row, **changes)


def _optimizer(config, system, player):
    learning_rate = system.learning_rate if player == "t" else system.d_learning_rate
    course, start = system.course or Course(iterations=config.iterations), None
    if course.decay:
        start = course.decay_start
    if config.decay_start is not None:
        start = config.decay_start
    if start is not None:
        # Settings count iterations, the optimizer its own steps.
        name = {"t": "transformer", "d": "discriminator"}[player]
        steps = course.updates(name, system.schedule)
        start, end = steps(start), steps(config.iterations)
        # No step is left where a player rests until the end.
        learning_rate = LinearDecay(learning_rate, start, max(end, start + 1))
    optimizer = Adam(learning_rate, system.beta_1, epsilon=1e-8)
    if config.dtype_policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
