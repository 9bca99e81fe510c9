"""Refuses settings and rows whose parts do not go together, in a sentence each."""

import dataclasses
import functools
import json
import math
import numbers
import re

from pan_tf import networks
from pan_tf import settings
from pan_tf.config import Config
from pan_tf.data.synthesis import SYNTHESES
from pan_tf.losses import TERMS
from pan_tf.losses import LossTerm
from pan_tf.losses import Translation
from pan_tf.networks.vgg import APPLICATIONS

# Settings that need a D.
_NEED_D = {
    *("d_updates", "d_learning_rate", "d_augment", "ada_target"),
    *("warm_up", "fade", "settle"),
}
_PLAYERS = ("transformer", "discriminator")


def check_roles(name, row):
    """Refuses a row's `by_role` of what it does not have.

    Raises:
        ValueError: naming the row.
    """
    fields = {field.name for field in dataclasses.fields(row)}
    for role, changes in row.by_role.items():
        if role not in row.transformers or (unknown := {*changes} - fields):
            odd = ", ".join(sorted(unknown)) if role in row.transformers else role
            raise ValueError(
                f"RECIPES[{name!r}] has {odd!r} in by_role, which must have roles of its "
                "transformers, and fields of a row."
            )


def check_row(name, row):
    """Refuses a row whose parts do not go together.

    Raises:
        ValueError: naming the row and the part.
    """
    if found := _disagreement(name, row):
        raise ValueError(f"RECIPES[{name!r}] {found}.")
    for field in dataclasses.fields(Config):  # A flag's limits are the row's.
        try:
            settings.check(field, vars(row).get(field.name))
        except ValueError as error:
            raise ValueError(f"RECIPES[{name!r}]: {error}") from None


def _disagreement(name, row):
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return "must be named by letters, digits, _, . and - alone"
    for builder in (*row.transformers.values(), row.discriminator):
        if positional := _positional(builder):
            function = networks.original(builder).__name__
            return f"gives {function} {positional} by position: give them by name"
    if odd := _odd_number(row):
        return odd
    images = {*Translation(None, None, None).images(), "pooled"}
    for term in row.terms:
        kind = type(term).__name__
        if not isinstance(term, LossTerm):
            return f"has the term {term!r}, which is no LossTerm"
        for field in ("weight", "d_weight"):
            weight = getattr(term, field)
            if not (weight is None and field == "d_weight") and not _is_number(weight):
                return f"has a {kind} of {field}={weight!r}: no number of 0 or more"
        seen = {image for player in _PLAYERS for image in term.d_inputs(player)}
        judges = term.concerns("discriminator") or seen
        between = {*getattr(term, "between", ())}
        # Only D sees outputs of the past.
        unknown = ({*term.images, *seen} - images) | (between - (images - {"pooled"}))
        if unknown:
            return f"has a {kind} of {sorted(unknown)}: images are {sorted(images)}"
        if judges and row.discriminator is None:
            return f"has a {kind}, which needs a discriminator, and none"
        if "pooled" in seen and not row.pool_size:
            return f"has a {kind} of pooled outputs, which needs a pool_size"
        if "cycled" in term.images and not row.is_cycle:
            return f"has a {kind} of cycled images, which needs is_cycle"
        if term.needs_pairs and not row.paired:
            return (
                f"has a {kind}, which compares outputs with their targets, and no pairs"
            )
        if missing := [f for f in term.settings.values() if not hasattr(term, f)]:
            return f"has a {kind}, whose settings name fields that it lacks: {missing}"
    is_trained = any(term.concerns("discriminator") for term in row.terms)
    if row.discriminator is not None and not is_trained:
        return "has a discriminator that no term trains"
    if row.discriminator is None and "discriminator" in row.schedule.players:
        return "updates a discriminator that it does not have: schedule.d_updates=0"
    if row.discriminator is not None and "discriminator" not in row.schedule.players:
        return "has a discriminator that its schedule never updates"
    if row.is_encoded and row.discriminator is None:
        return "encodes what its discriminator sees (is_encoded), and has none"
    if row.looks_through_vgg and row.vgg not in APPLICATIONS:
        return f"looks through {row.vgg!r}; there are {' and '.join(APPLICATIONS)}"
    return None


def _positional(builder):
    """Arguments that `functools.partial` gives a builder by their position."""
    found = ()
    while isinstance(builder, functools.partial):
        found, builder = (*builder.args, *found), builder.func
    return found


def _odd_number(row):
    """What a row's own numbers are that no training can have; flags have limits."""
    if not (_is_number(row.beta_1) and row.beta_1 < 1.0):
        return f"has beta_1={row.beta_1!r}: it must be 0 or more, and below 1"
    if type(row.pool_size) is not int or row.pool_size < 0:
        return f"has pool_size={row.pool_size!r}: it must be a whole number, 0 or more"
    return "has no learning_rate" if row.learning_rate is None else None


def _is_number(value):
    """Whether it is a finite number of 0 or more."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and 0.0 <= value < math.inf


def check_written(system):
    """Refuses a system that cannot be read again from its `system.json`."""
    try:
        written = json.dumps(system.to_json())
        is_same = type(system).from_json(json.loads(written)) == system
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"RECIPES[{system.recipe!r}] cannot be written into system.json: {error}."
        ) from None
    if not is_same:
        raise ValueError(
            f"RECIPES[{system.recipe!r}] is not the same once it is read from "
            "system.json: arguments must be numbers, texts, or tuples of them."
        )


def check_transformer(network, system, size, sides):
    """Refuses a T that does not make of a source what a target is.

    Args:
        network: the T, functional `keras.Model`.
        system: `System`.
        size: `Size` of images.
        sides: `ImageSpec`s of what it is given and of what it is to make.
    """
    source, target = (side.channels for side in sides)
    name = f"RECIPES[{system.recipe!r}]: {system.transformer.builder.__name__}"
    if (dtype := network.outputs[0].dtype) != "float32":
        raise ValueError(
            f"{name} makes images of {dtype}: its last layer needs dtype='float32'."
        )
    given = network.input_shape[-1]
    made = network.compute_output_shape((1, *size, given))[1:]
    if given != source or tuple(made) != (*size, target):
        raise ValueError(
            f"{name} makes images of {tuple(made)} of those of {(*size, given)}, and "
            f"{(*size, target)} are to be made of {(*size, source)}."
        )


def check_discriminator(network, system, channels):
    """Refuses a D that does not take what it is shown, or give what terms take.

    Args:
        network: the D, functional `keras.Model`.
        system: `System`.
        channels: of the images that it judges.
    """
    name = f"RECIPES[{system.recipe!r}]: {system.discriminator.builder.__name__}"
    for found, wanted, what in (
        (network.input, {"source", "image"}, "must take some of"),
        (network.output, {"logits", "features"}, "must return"),
    ):
        if not isinstance(found, dict) or not {*found} <= wanted:
            raise ValueError(f"{name} {what} {sorted(wanted)}, a dictionary.")
    image = network.input.get("image")
    if system.is_encoded != isinstance(image, list | tuple):
        what = "a list of VGG's features" if system.is_encoded else "one tensor"
        raise ValueError(f"{name} must take {what} as 'image', as is_encoded says.")
    if not system.is_encoded and image.shape[-1] != channels:
        raise ValueError(
            f"{name} takes images of {image.shape[-1]} channels, and is shown such of "
            f"{channels}."
        )
    if {*network.output} != {"logits", "features"}:
        raise ValueError(f"{name} must return ['features', 'logits'], a dictionary.")
    count = len(network.output["features"])
    for term in system.terms:
        lambdas = term.lambdas_of_features()
        if lambdas is not None and len(lambdas) != count:
            raise ValueError(
                f"{name} has {count} features, and {type(term).__name__} "
                f"{len(lambdas)} lambdas, one a feature."
            )
    if system.discriminator.arguments.get("conditional") and not system.paired:
        raise ValueError(
            f"{name} is shown a target beside a source that it does not belong to: "
            "without pairs, D must take the image alone (conditional=False)."
        )


def check_settings(config, row, parts, vgg):
    """Refuses settings that no part of a system takes."""
    taken = {name for part in (*row.terms, *parts) for name in part.settings}
    if row.discriminator is not None:
        taken |= _NEED_D
    if row.paired:
        taken.add("pixel_weight")  # Else a pixel loss is added; see `_terms`.
    if vgg:
        taken.add("vgg")
    known = [*networks.TRANSFORMERS.values(), *networks.DISCRIMINATORS.values()]
    every = {
        name
        for part in (*TERMS.values(), *map(networks.declaration, known))
        for name in part.settings
    } | {*_NEED_D, "vgg"}
    given = [name for name in sorted(every - taken) if getattr(config, name) is not None]
    if given:
        raise ValueError(
            f"--recipe={config.recipe} has no use for "
            f"{', '.join(f'--{name}' for name in given)}: leave "
            f"{'them' if given[1:] else 'it'} out."
        )


def check_pairs(config, row):
    """Refuses what goes with pairs only, before anything is read."""
    if row.paired:
        return
    if config.metrics:
        raise ValueError(
            "--metrics compare an output with its own target; "
            f"--recipe={config.recipe} has no pairs. Received: "
            f"metrics={','.join(config.metrics)}."
        )
    if config.best_by != type(config).best_by:
        raise ValueError(
            "--best_by compares outputs with their own targets; "
            f"--recipe={config.recipe} has no pairs. Received: best_by={config.best_by}."
        )
    if config.synthesize != "none":
        raise ValueError(
            f"--synthesize makes a source of each target; --recipe={config.recipe} has "
            f"no pairs. Received: synthesize={config.synthesize}."
        )


def check_channels(config, row, parts, vgg, sides):
    """Refuses channels that a part of a system cannot take.

    Args:
        config: `Config`.
        row: of the table of recipes.
        parts: declarations of T and, if there is one, D.
        vgg: the network that is looked through, or None.
        sides: `ImageSpec`s of source and target.
    """
    source, target = sides
    channels = {source.channels, target.channels}
    name, needs = f"--recipe={config.recipe}", None
    if target.labels:
        raise ValueError(
            f"--dataset={config.dataset} has label maps for targets: a T makes images. "
            "--direction turns it round."
        )
    if source.labels and not row.paired:
        raise ValueError(
            "Label maps for sources (--source_labels) go with pairs; "
            f"--recipe={config.recipe} learns both ways."
        )
    if vgg or any(part.rgb_only for part in parts):
        needs = None if channels == {3} else "takes RGB"
        if not vgg and parts[0].rgb_only and config.transformer:
            name = f"--transformer={config.transformer}"
    elif any("identity" in term.images for term in row.terms) and len(channels) > 1:
        needs = "shows targets to T as well: sources and targets need equal channels"
    if needs:
        raise ValueError(
            f"{name} {needs}. Received: "
            f"source_channels={source.channels}, target_channels={target.channels}."
        )
    _check_synthesis(config, source, target)


def _check_synthesis(config, source, target):
    """Refuses images that sources cannot be made of."""
    if config.synthesize == "none":
        return
    cuts_centre = SYNTHESES[config.synthesize].cuts_centre
    channels = {source.channels, target.channels}
    if len(channels) > 1 or (cuts_centre and channels != {3}):
        raise ValueError(
            f"--synthesize={config.synthesize} makes sources that are as their targets: "
            f"{'RGB' if cuts_centre else 'channels must be equal'}. Received: "
            f"source_channels={source.channels}, target_channels={target.channels}."
        )
    if cuts_centre and not config.image_size.is_square:
        raise ValueError(
            f"--synthesize={config.synthesize} needs square images. Received: "
            f"image_size={config.image_size}."
        )


def check_region(config, row, region):
    """Refuses a D that cannot judge what T generates, and terms of another shape."""
    for term in row.terms:
        if term.needs_square and not config.image_size.is_square:
            raise ValueError(
                f"--recipe={config.recipe} has a {type(term).__name__}, which needs "
                f"square images. Received: image_size={config.image_size}."
            )
    judge = row.discriminator
    if judge and region not in networks.declaration(judge).regions:
        raise ValueError(
            f"--transformer={config.transformer} generates the {region}, which the D of "
            f"--recipe={config.recipe} cannot judge."
        )


def check_filling(config, row, role, transformer, batch_size):
    """Refuses what does not go with a T that invents the centre of an image."""
    name = f"--transformer={config.transformer or role}"
    if not row.paired:
        raise ValueError(
            f"{name} fills the centre of a target that is known: it needs a recipe of "
            f"pairs. Received: recipe={config.recipe}."
        )
    cutting = [name for name, row in SYNTHESES.items() if row.cuts_centre]
    if config.synthesize not in cutting:
        raise ValueError(
            f"{name} fills the centre of the target: it needs "
            f"--synthesize={'|'.join(cutting)}. Received: synthesize={config.synthesize}."
        )
    fewest = transformer.declaration.min_batch
    if batch_size < fewest:
        raise ValueError(
            f"--batch_size must be at least {fewest} for inpainting: its innermost layer "
            "has one position, which a batch of one would normalize away. "
            f"Received: batch_size={batch_size}."
        )


def check_course(system, config):
    """Refuses a training of T alone that has no loss without D."""
    course = system.course
    if course is None or not (course.alone or course.settle):
        return
    if not any(t.weight for t in system.terms if not t.d_inputs("transformer")):
        name = "warm_up" if course.alone else "settle"
        advice = "a larger --pixel_weight" if system.paired else f"no --{name}"
        raise ValueError(
            f"--{name} trains T without D, on losses without D, of which "
            f"--recipe={config.recipe} has none here: try {advice}. Received: "
            f"{name}={course.alone or course.settle}, pixel_weight={config.pixel_weight}."
        )


def check_augmentation(system):
    """Refuses an --ada_target without augmentation, or without D's logits to follow."""
    if not system.ada_target:
        return
    needs = None
    if not system.d_augment:
        needs = "how often what D sees is augmented: it needs --d_augment"
    elif not any(term.tells_real_sign and term.weight for term in system.terms):
        needs = "to how sure D is of targets: it needs an adversarial loss"
    if needs:
        raise ValueError(
            f"--ada_target adapts {needs}. Received: ada_target={system.ada_target}."
        )
