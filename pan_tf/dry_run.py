"""What a run would do: configuration, networks, cost of a step. Nothing is trained."""

import math

import keras

from pan_tf import recipes


def report(config):
    """Prints the resolved configuration, both networks' tables and the cost of a cycle.

    Args:
        config: `Config`.
    """
    recipe = recipes.resolve(config)
    keras.config.set_dtype_policy(config.dtype_policy)
    transformer = recipe.transformer(config.image_size)
    discriminator = recipe.discriminator(config.image_size)
    print(config.to_flagfile())
    print(f"Recipe {config.recipe}:")
    for term in recipe.terms:
        print(f"    {term}")
    print(f"    {recipe.schedule}")
    print(
        f"    Adam, learning_rate={recipe.learning_rate}, of D "
        f"{recipe.d_learning_rate or recipe.learning_rate}, beta_1={recipe.beta_1}\n"
        f"    average of T: {recipe.ema or 'none'}\n"
    )
    for network in (transformer, discriminator):
        print(table(network))
    print(cost(recipe, transformer, discriminator, config.batch_size))


def cost(recipe, transformer, discriminator, batch_size):
    """The arithmetic of one cycle, as text.

    Multiply-accumulates of convolutions and dense layers. A backward pass costs twice a
    forward one, half of it if only the input's or only the weights' gradient is needed.
    An update of D: T forward; D forward and backward on two images. One of T: T forward
    and backward; D forward on two images, and back to the output's pixels. On a reused
    minibatch T's output serves D's updates and T's first, D's view of the target all of
    T's.
    """
    t, d = (multiply_accumulates(network) for network in (transformer, discriminator))
    schedule = recipe.schedule
    per_d = t + 2 * 3 * d
    per_t = 3 * t + 2 * d + d
    images = schedule.minibatches * batch_size
    cycle = schedule.d_updates * per_d + schedule.t_updates * per_t
    if schedule.reuse_minibatch:
        cycle -= schedule.d_updates * t + (schedule.t_updates - 1) * d
    cycle *= batch_size
    trainable = [
        sum(math.prod(v.shape) for v in network.trainable_variables)
        for network in (transformer, discriminator)
    ]
    return (
        f"T: {trainable[0]:,} trainable parameters, {t / 1e9:.2f} GMAC an image forward\n"
        f"D: {trainable[1]:,} trainable parameters, {d / 1e9:.2f} GMAC an image forward\n"
        f"A cycle: {schedule.d_updates} update(s) of D, {schedule.t_updates} of T, on "
        f"{schedule.minibatches} minibatch(es) of {batch_size}: about "
        f"{cycle / 1e9:,.0f} GMAC, {cycle / images / 1e9:.1f} an image consumed\n"
        f"Weights and Adam's moments: {12 * sum(trainable) / 2**20:,.0f} MiB"
    )


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
        shape = " x ".join(map(str, layer.output.shape[1:]))
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
    if isinstance(layer, keras.layers.Conv2DTranspose):
        positions = layer.input.shape[1] * layer.input.shape[2]
    elif isinstance(layer, keras.layers.Conv2D):
        positions = layer.output.shape[1] * layer.output.shape[2]
    elif isinstance(layer, keras.layers.Dense):
        positions = 1
    else:
        return 0
    return positions * math.prod(layer.kernel.shape)
