"""What a run would do, and what it would cost. Nothing is kept of it.

`describe` needs no data: configuration, networks, arithmetic. `report` takes a training
that is ready to run, and measures a few of its rounds.
"""

import math
import statistics
import time

import keras

from pan_tf import data
from pan_tf import distribution
from pan_tf import networks
from pan_tf import progress
from pan_tf import recipes
from pan_tf import runtime
from pan_tf.runs import callbacks
from pan_tf.runs import loop

_ROUNDS, _SECONDS = 5, 20.0  # Rounds are measured until there are enough of either.


def report(run):
    """Prints what a training would do, and what it costs on this machine.

    Args:
        run: `training.Training`: data are open by now, and all that a user can have got
            wrong is known.
    """
    config, opened, folder = run.config, run.data, run.folder
    describe(config)
    print(_data(config, opened))
    print(f"Devices: {distribution.describe(run.strategy)}")
    per_round = run.system.schedule.minibatches
    done = folder.last_iteration()
    rest, left = max(0, config.iterations - done), 0.0
    for name, spans, (first, *rounds) in _measured(run):
        step = statistics.median(rounds)
        count = sum(max(0, end - max(begin, done)) for begin, end in spans)
        left += -(-count // per_round) * step + first * (count > 0)
        print(
            f"Measured{name}: a round of {per_round} iteration(s) takes {step:.3g} s, "
            f"the first one {first:.0f} s, since it is compiled."
        )
    every = config.validate_every
    validations = f"; validations every {every} iterations come on top" if every else ""
    print(
        f"Time: {rest} iterations take about {progress.duration(left)}{validations}.\n"
        f"Memory: {callbacks.peak_memory():.1f} GiB after a few rounds."
    )
    there = f"to go on with at iteration {done}" if done else "new"
    print(f"Run folder: {config.run_dir}, {there}; nothing was written to it.")


def _data(config, opened):
    epoch = max(1, len(opened.train) // config.batch_size)
    return (
        f"Data: {opened}.\n"
        f"An epoch: {epoch} iterations of {config.batch_size}; {config.iterations} "
        f"iterations are {config.iterations / epoch:.3g} epochs."
    )


def _measured(run):
    """Parts of a training: (name, [(first iteration, last)], seconds of rounds) each."""
    model, course = run.build(), run.system.course
    kept = data.cache.Cache(data.cache.budget(run.config.data_cache))
    batches = iter(loop.training_dataset(run.config, run.data, model, 0, kept))
    model.make_train_function()
    parts = [("", [(0, run.config.iterations)])]
    if course is not None and (course.alone or course.settle):
        begin, end = course.alone_until, course.settles_from
        alone = [(0, begin), (end, course.iterations)]
        parts = [(", T alone", alone), (", with D", [(begin, end)])]
    measured = []
    for name, spans in parts:
        spans = [(begin, end) for begin, end in spans if begin < end]
        if not spans:
            continue
        seconds, begun = [], time.perf_counter()
        while len(seconds) < 2 or (
            len(seconds) <= _ROUNDS and time.perf_counter() - begun < _SECONDS
        ):
            model.iteration = spans[0][0]
            start = time.perf_counter()
            float(next(iter(model.train_function(batches).values())))
            seconds.append(time.perf_counter() - start)
        measured.append((name, spans, seconds))
    return measured


def describe(config):
    """Prints the resolved configuration, the networks' tables and the cost of a round.

    Args:
        config: `Config`.

    Raises:
        ValueError: if settings do not go with the recipe.
    """
    system = recipes.resolve(config)
    keras.config.set_dtype_policy(runtime.dtype_policy(config.dtype_policy))
    size = config.image_size
    transformer = _of_size(system.transformer(size), size)
    discriminator = system.discriminator and _of_size(system.discriminator(size), size)
    print(config.replace(batch_size=system.batch_size).to_flagfile())
    print(f"Recipe {config.recipe}:")
    for term in system.terms:
        print(f"    {term}")
    print(f"    {system.schedule}")
    print(
        f"    Adam, learning_rate={system.learning_rate}"
        + (f", of D {system.d_learning_rate}" if discriminator else "")
        + f", beta_1={system.beta_1}\n"
        f"    average of T: {system.ema or 'none'}\n"
        f"    {_course(system.course)}\n"
        f"    what D sees is augmented by: {_augmentation(system)}\n"
        f"    batch normalization outside of training: {system.bn_statistics or 'none'}\n"
    )
    for network in filter(None, (transformer, discriminator)):
        print(table(network))
    print(cost(system, transformer, discriminator, size) + "\n")


def _augmentation(system):
    """What D sees changed, and how often."""
    often = f", more while it is sure of targets (ADA, {system.ada_target})"
    return f"{', '.join(system.d_augment) or 'nothing'}{often * bool(system.ada_target)}"


def _course(course):
    """What changes on the way, in a sentence."""
    if course is None:
        return "course: the same throughout"
    end = course.iterations
    fades = course.alone_until + round(course.fade * end)
    parts = [
        *([f"T alone to {course.alone_until}"] if course.alone else []),
        *([f"D's terms grow to {fades}"] if course.fade else []),
        *([f"rates fall from {course.decay_start}"] if course.decay else []),
        *([f"T alone again from {course.settles_from}"] if course.settle else []),
    ]
    return f"course, in iterations: {', '.join(parts)}, to {end}"


def cost(system, transformer, discriminator, image_size):
    """The arithmetic of one round, as text.

    Multiply-accumulates of convolutions and dense layers. A backward pass costs twice a
    forward one, half of it if only the input's or only the weights' gradient is needed.
    An update of D: T forward; D forward and backward on what it looks at. One of T: T
    forward and backward for every image that a term needs; D forward on what T's terms
    look at, and back to the output's pixels; likewise a VGG. On a reused minibatch T's
    output serves both players, D's view of the target all updates of T. A cycle of two
    directions costs twice as much.
    """
    judges = _judges(system, image_size)
    t, d = (
        multiply_accumulates(network) if network else 0
        for network in (transformer, discriminator)
    )
    vgg = sum(map(multiply_accumulates, judges))
    described = [("T", transformer, t), ("D", discriminator, d)]
    lines = [
        f"{name}: {_parameters(network):,} trainable parameters, {cost / 1e9:.2f} GMAC "
        "an image forward"
        for name, network, cost in described
        if network
    ] + [
        f"VGG: {judge.count_params():,} frozen parameters, "
        f"{multiply_accumulates(judge) / 1e9:.2f} GMAC an image forward"
        for judge in judges
    ]
    schedule, batch_size = system.schedule, system.batch_size
    made = 1 + len({n for term in system.terms for n in term.images} - {"pooled"})
    seen = {
        player: {n for term in system.terms for n in term.d_inputs(player)}
        for player in ("transformer", "discriminator")
    }
    back = 2 * ("output" in seen["transformer"])
    judge = d + (vgg if system.is_encoded else 0)
    per_d = t + len(seen["discriminator"]) * 3 * d
    per_t = 3 * made * t + (back + ("target" in seen["transformer"])) * judge
    if system.is_encoded:
        per_d += vgg  # The target's; T's update has made the output's.
    else:
        per_t += (2 + 1) * vgg
    images = schedule.minibatches * batch_size
    total = schedule.d_updates * per_d + schedule.t_updates * per_t
    if schedule.keeps_passes:
        total -= schedule.d_updates * t
    if schedule.reuse_minibatch:
        total -= (schedule.t_updates - 1) * d * ("target" in seen["transformer"])
    directions = 2 if system.is_cycle else 1
    total *= batch_size * directions * schedule.accumulate
    trainable = sum(_parameters(network) for network in (transformer, discriminator))
    return "\n".join(
        [
            *lines,
            *(["And the same for the inverse."] if system.is_cycle else []),
            f"A round: {schedule.d_updates} update(s) of D, {schedule.t_updates} of T, "
            f"on {schedule.minibatches} minibatch(es) of {batch_size}: about "
            f"{total / 1e9:,.0f} GMAC, {total / images / 1e9:.1f} an image consumed",
            f"Weights and Adam's moments: {12 * directions * trainable / 2**20:,.0f} MiB",
        ]
    )


def _of_size(network, size):
    """A network of images of any size, as it is at this one."""
    if not any(None in each.shape[1:] for each in network.inputs):
        return network
    inputs = keras.tree.map_structure(
        lambda each: keras.Input((*size, each.shape[-1]), name=each.name), network.input
    )
    return keras.models.clone_model(network, input_tensors=inputs)


def _judges(system, image_size):
    """The frozen networks of perceptual losses and of D, without trained weights."""
    if system.is_encoded:
        return [networks.vgg_encoder(system.vgg, system.star, size=image_size)]
    found = []

    def features(layers, preprocessing):
        if layers is None:
            found.append(networks.vgg_encoder(system.vgg, size=image_size))
        else:
            found.append(networks.vgg_features(layers, size=image_size, vgg=system.vgg))
        return found[-1]

    for term in system.terms:
        term.with_vgg(features)
    return found


def _parameters(network):
    if network is None:
        return 0
    return sum(math.prod(v.shape) for v in network.trainable_variables)


def table(network):
    """The network's layers that have weights, a line each, as text.

    Columns: name, kind, output shape without the batch, trainable parameters, and
    multiply-accumulates an image.
    """
    lines = [
        f"{network.name}",
        f"  {'layer':16} {'kind':20} {'output':>15} {'parameters':>12} {'MMAC':>9}",
    ]
    for layer in network.layers:
        if not layer.variables:
            continue
        outputs = layer.output if isinstance(layer.output, list) else [layer.output]
        shape = " x ".join(map(str, outputs[-1].shape[1:]))
        parameters = sum(math.prod(v.shape) for v in layer.trainable_variables)
        lines.append(
            f"  {layer.name:16} {type(layer).__name__:20} {shape:>15} "
            f"{parameters:12,} {_layer_cost(layer) / 1e6:9,.1f}"
        )
    return "\n".join(lines) + "\n"


def multiply_accumulates(network):
    """Of one image through a network of known size: int."""
    return sum(_layer_cost(layer) for layer in network.layers)


def _layer_cost(layer):
    if isinstance(layer, keras.Model):
        return multiply_accumulates(layer)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        positions = layer.input.shape[1] * layer.input.shape[2]
    elif isinstance(layer, keras.layers.Conv2D):
        positions = layer.output.shape[1] * layer.output.shape[2]
    elif isinstance(layer, keras.layers.Dense):
        positions = 1
    else:
        return 0
    return positions * math.prod(layer.kernel.shape)
