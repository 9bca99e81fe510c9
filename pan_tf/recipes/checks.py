"""Refuses settings that do not go with a recipe, in a sentence each."""

from pan_tf import networks
from pan_tf.losses import TERMS

# Settings that need a D.
_NEED_D = {
    *("d_updates", "d_learning_rate", "d_augment", "ada_target"),
    *("warm_up", "fade", "settle"),
}


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
            f"{', '.join(f'--{name}' for name in given)}: leave it out."
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
    if config.synthesize != "none":
        raise ValueError(
            f"--synthesize makes a source of each target; --recipe={config.recipe} has "
            f"no pairs. Received: synthesize={config.synthesize}."
        )


def check_channels(config, row, parts, vgg, channels):
    """Refuses channels that a part of a system cannot take."""
    needs = None
    if config.source_labels and not row.paired:
        raise ValueError(
            f"--source_labels goes with pairs; --recipe={config.recipe} learns both ways."
        )
    if vgg or any(part.rgb_only for part in parts):
        needs = None if channels == {3} else "takes RGB"
    elif any("identity" in term.images for term in row.terms) and len(channels) > 1:
        needs = "shows targets to T as well: sources and targets need equal channels"
    if needs:
        raise ValueError(
            f"--recipe={config.recipe} {needs}. Received: "
            f"source_channels={config.source_channels}, "
            f"target_channels={config.target_channels}."
        )
    _check_synthesis(config, channels)


def _check_synthesis(config, channels):
    """Refuses images that sources cannot be made of."""
    if config.synthesize == "none":
        return
    is_hole = config.synthesize == "hole"
    if len(channels) > 1 or (is_hole and channels != {3}):
        raise ValueError(
            f"--synthesize={config.synthesize} makes sources that are as their targets: "
            f"{'RGB' if is_hole else 'channels must be equal'}. Received: "
            f"source_channels={config.source_channels}, "
            f"target_channels={config.target_channels}."
        )
    if is_hole and not config.image_size.is_square:
        raise ValueError(
            "--synthesize=hole needs square images. Received: "
            f"image_size={config.image_size}."
        )


def check_region(config, row, region):
    """Refuses a D that cannot judge what T generates."""
    if region not in networks.declaration(row.discriminator).regions:
        raise ValueError(
            f"--transformer={config.transformer} generates the {region}, which the D of "
            f"--recipe={config.recipe} cannot judge."
        )


def check_filling(config, row, system):
    """Refuses what does not go with a T that invents the centre of an image."""
    name = f"--transformer={config.transformer or system.role}"
    if not row.paired:
        raise ValueError(
            f"{name} fills the centre of a target that is known: it needs a recipe of "
            f"pairs. Received: recipe={config.recipe}."
        )
    if config.synthesize != "hole":
        raise ValueError(
            f"{name} fills the centre of the target: it needs --synthesize=hole. "
            f"Received: synthesize={config.synthesize}."
        )
    fewest = system.transformer.declaration.min_batch
    if system.batch_size < fewest:
        raise ValueError(
            f"--batch_size must be at least {fewest} for inpainting: its innermost layer "
            "has one position, which a batch of one would normalize away. "
            f"Received: batch_size={system.batch_size}."
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
    elif not any("adversarial" in term.settings and term.weight for term in system.terms):
        needs = "to how sure D is of targets: it needs an adversarial loss"
    if needs:
        raise ValueError(
            f"--ada_target adapts {needs}. Received: ada_target={system.ada_target}."
        )
