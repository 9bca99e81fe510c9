"""Weights of the original implementations, by their names, for networks of ours.

Each function takes what a network of an original has, name -> array in the original's
order, and says for each name where it belongs: a `Place`. `assign` puts the arrays there;
`converted` gives them in our layout, gradients too, which have the layout of what they
are gradients of.

The originals: junyanz/pytorch-CycleGAN-and-pix2pix (commit 9bcef69),
egorzakharov/PerceptualGAN (8aee660), WANG-Chaoyue/PAN in Lasagne (fbcbe9d),
pathak22/context-encoder (68abd11) and hezhangsprinter/ID-CGAN (7e7aac6), the last two as
PyTorch modules of the same layers.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

# What Lasagne's batch normalization adds to the variance.
_LASAGNE_EPSILON = 1e-4


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an original's array belongs.

    Attributes:
        layer: name of our layer.
        variable: name of its variable: "kernel", "bias", "gamma", "beta", "moving_mean"
            or "moving_variance".
        convert: array in the original's layout -> array in ours.
    """

    layer: str
    variable: str
    convert: Callable = np.asarray


def assign(network, parameters, places):
    """Sets all weights of a network.

    Args:
        network: functional `keras.Model`.
        parameters: name -> array, of the original.
        places: name -> `Place`.

    Raises:
        ValueError: if an array has no place or another shape than ours, or a variable
            has no array; but a bias before batch normalization, which some originals
            leave out, is set to zero, and moving statistics may be left as they are.
    """
    arrays = converted(parameters, places)
    names = {layer.name for layer in network.layers}
    for layer in network.layers:
        for variable in layer.weights:
            array = arrays.pop((layer.name, variable.name), None)
            if array is None:
                if variable.name == "bias" and f"{layer.name}_norm" in names:
                    variable.assign(np.zeros(variable.shape))
                elif variable.trainable:
                    raise ValueError(
                        f"{network.name} has no {variable.name} for its {layer.name}."
                    )
                continue
            if array.shape != tuple(variable.shape):
                raise ValueError(
                    f"{variable.name} of {layer.name} must have the shape "
                    f"{tuple(variable.shape)}. Received: shape={array.shape}."
                )
            variable.assign(array)
    if arrays:
        names = ", ".join(sorted(f"{layer}.{name}" for layer, name in arrays))
        raise ValueError(f"{network.name} has no place for: {names}.")


def converted(parameters, places):
    """Arrays in our layout: (layer, variable) -> array.

    Raises:
        ValueError: if an array has no place.
    """
    unknown = [name for name in parameters if name not in places]
    if unknown:
        raise ValueError(f"Nothing is known of: {', '.join(unknown)}.")
    return {
        (places[name].layer, places[name].variable): places[name].convert(array)
        for name, array in parameters.items()
    }


# Kernels.


def _torch(kernel):
    """Of a convolution (out, in, h, w), and of a transposed one (in, out, h, w)."""
    return np.transpose(kernel, (2, 3, 1, 0))


def _torch_stride_one(kernel):
    """Of a transposed convolution of stride 1, to the convolution that it is."""
    return np.transpose(kernel, (2, 3, 0, 1))[::-1, ::-1]


def _torch_skip(kernel):
    """Of a transposed convolution that reads (skip, decoder), ours (decoder, skip)."""
    skip, decoder = np.split(kernel, 2)
    return _torch(np.concatenate([decoder, skip]))


def _lasagne(kernel):
    """Lasagne's convolutions convolve, Keras' correlate."""
    return _torch(kernel[:, :, ::-1, ::-1])


def _lasagne_stride_one(kernel):
    return np.transpose(kernel, (2, 3, 0, 1))


_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _torch_in_order(parameters, kernel=lambda number: _torch):
    """Places of a PyTorch module whose convolutions come in our order.

    Convolution k is `layer_<k>`; what has a weight of one dimension after it is
    `layer_<k>_norm`. `num_batches_tracked` has no place: leave it out.

    Args:
        parameters: name -> array.
        kernel: number of a convolution -> how its kernel is converted.
    """
    places, number, module = {}, 0, None
    for name, array in parameters.items():
        module, _, kind = name.rpartition(".")
        if kind == "weight" and array.ndim == 4:
            number += 1
            places[name] = Place(f"layer_{number}", "kernel", kernel(number))
            convolution = module
        elif module == convolution:
            places[name] = Place(f"layer_{number}", "bias")
        else:
            places[name] = Place(f"layer_{number}_norm", _NORM[kind])
    return places


# junyanz' PyTorch code.


def pix2pix_transformer(parameters):
    """`unet_128` or `unet_256` with batch normalization -> ours of the same depth."""
    depth = sum(array.ndim == 4 for array in parameters.values()) // 2

    def kernel(number):
        # All up convolutions but the innermost one read a concatenation.
        return _torch_skip if number > depth + 1 else _torch

    return _torch_in_order(parameters, kernel)


# `resnet_6blocks` and `resnet_9blocks`; `basic` and `n_layers`, and D of ID-CGAN; T and D
# of Context-Encoders; `Generator` of PerceptualGAN.
cyclegan_transformer = patch_discriminator = _torch_in_order
context_encoder = manipulation_transformer = _torch_in_order


# The Torch codes.


def id_cgan_transformer(parameters):
    """T of ID-CGAN, `c.<k>` its convolutions, `n.<k>` their norms, k from 0."""
    places = {}
    for name in parameters:
        group, k, kind = name.split(".")
        layer = f"layer_{int(k) + 1}"
        if group == "n":
            places[name] = Place(f"{layer}_norm", _NORM[kind])
        else:
            # Layers 7 to 12 are transposed convolutions of stride 1.
            kernel = _torch_stride_one if int(k) >= 6 else _torch
            places[name] = Place(layer, "kernel", kernel)
    return places


# PerceptualGAN.


def perceptual_discriminator(parameters, heads):
    """`Discriminator` with the given heads.

    Args:
        parameters: name -> array.
        heads: sizes of the maps that are judged, large to small, at 256 px.
    """
    stages = 1 + max(int(n.split(".")[1]) for n in parameters if n.startswith("blocks."))
    places = {}
    for name in parameters:
        group, k, *_, kind = name.split(".")
        stage = int(k) + 1
        if group == "blocks":
            layer = f"layer_{stage}"
        elif group == "input_blocks":
            layer = f"layer_{stage}_lateral"
        elif heads[int(k)] == 1:
            layer = f"layer_{stages + 1}"
        else:
            # Stage i leaves a map of 256 / 2^i.
            layer = f"layer_{(256 // heads[int(k)]).bit_length() - 1}_head"
        places[name] = (
            Place(layer, "kernel", _torch) if kind == "weight" else Place(layer, "bias")
        )
    return places


# PAN's released code.


def pan(parameters):
    """T or D of PAN in Lasagne, `<NN>_<layer class>.<name>` in its order.

    Convolution k, of either class, is `layer_<k>`, the dense layer the one after them.
    Transposed convolutions of 3x3 have stride 1 and are convolutions of ours. Lasagne
    averages 1 / sqrt(variance + epsilon), from which the variance follows.
    """
    places, number, channels = {}, 0, None
    for name, array in parameters.items():
        kind, variable = name.partition("_")[2].split(".")
        if variable == "W" and array.ndim == 4:
            number += 1
            kernel = _lasagne
            if kind == "TransposedConv2DLayer" and array.shape[-1] == 3:
                kernel = _lasagne_stride_one
            places[name] = Place(f"layer_{number}", "kernel", kernel)
            channels = array.shape[0]
        elif variable == "W":
            number += 1
            places[name] = Place(f"layer_{number}", "kernel", _flattened(channels))
        elif variable == "b":
            places[name] = Place(f"layer_{number}", "bias")
        elif variable == "inv_std":
            places[name] = Place(
                f"layer_{number}_norm",
                "moving_variance",
                lambda inverse: np.asarray(inverse, float) ** -2.0 - _LASAGNE_EPSILON,
            )
        else:
            ours = {"mean": "moving_mean"}.get(variable, variable)
            places[name] = Place(f"layer_{number}_norm", ours)
    return places


def _flattened(channels):
    """A dense kernel on maps that are flattened channels first, ours channels last."""

    def convert(kernel):
        side = round((kernel.shape[0] // channels) ** 0.5)
        maps = kernel.reshape(channels, side, side, -1).transpose(1, 2, 0, 3)
        return maps.reshape(kernel.shape)

    return convert
