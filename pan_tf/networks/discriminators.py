"""Discriminators D: `{"source", "image"}` -> `{"logits", "features"}`.

The contract is the same for all: `source` is what T was given (an unconditional D
ignores it), `image` is a target or an output of T, both float `[B, H, W, C]` in [-1, 1].
`logits` lists one map per output scale, before any sigmoid; `features` lists the hidden
layers that a perceptual adversarial loss compares, shallow to deep.
"""

import keras
from keras import layers

from pan_tf.layers import InstanceNormalization
from pan_tf.networks.blocks import conv4
from pan_tf.networks.blocks import image_input
from pan_tf.networks.blocks import leaky
from pan_tf.networks.blocks import norm
from pan_tf.networks.blocks import normal
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import symmetric_conv
from pan_tf.networks.blocks import torch_norm
from pan_tf.networks.declarations import discriminator
from pan_tf.networks.declarations import multiple_of
from pan_tf.networks.inpainting import check_inpainting_size
from pan_tf.size import Size

# Layers 2 to 8 of Table I: filters, stride.
_TABLE_I = ((128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2))
_FEATURE_LAYERS = (4, 6, 8)  # And layer 1.
# Layer 1's initial standard deviation, by its activation, as released.
_FIRST_STDDEV = {"leaky_relu": 0.02, "tanh": 0.5}


def _check_size(image_size, region="image", **arguments):
    number = 32 if region == "image" else 64
    multiple_of(number, f"D halves it to {number} parts a side")(image_size)


@discriminator(
    settings={"first_activation": "first_activation"},
    check_size=_check_size,
    regions=("image", "centre"),
)
def pan_discriminator(
    image_size,
    first_activation="leaky_relu",
    first_stddev=None,
    last_activation="leaky_relu",
    conditional=False,
    region="image",
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="discriminator",
):
    """D of the PAN paper, Table I, with features d_1 to d_4.

    The features are layers 1, 4, 6 and 8 after their activation. The dense layer at the
    end fixes the image size. 7 050 249 parameters at 256 px.

    Args:
        image_size: pixels a side, or (height, width), multiples of 32; of 64 for the
            centre.
        first_activation: "leaky_relu" (Table I) or "tanh" (the released code).
        first_stddev: of layer 1's initial kernel; None: 0.02, or, with tanh, 0.5, as in
            the released code. Layer 1 has no normalization, and layer 2's cancels its
            scale: under a leaky ReLU, D can reach any margin by scaling layer 1 alone;
            tanh bounds it.
        last_activation: of layer 9; "leaky_relu" (Table I) or "linear" (released code).
        conditional: whether D judges the image together with its source ("PA Loss +
            cGAN" of Table III), of whose channels its first layer sees the sum.
        region: "image", or "centre" for inpainting: D sees the generated half of the
            side, layer 1 pads nothing and layer 9 has stride 1, as in the released code.
        width: multiplies the number of channels of layers 1 to 8; 1 as in Table I.
        source_channels, target_channels: of the images.
        name: name of the model.

    Returns:
        A functional `keras.Model` with one logit `[B, 1]` and four features.
    """
    activations = {
        "leaky_relu": leaky,
        "tanh": layers.Activation("tanh"),
        "linear": lambda x: x,
    }
    if first_stddev is None:
        first_stddev = _FIRST_STDDEV[first_activation]
    channels = source_channels, target_channels
    inputs, x = inputs_of(image_size, channels, conditional, region)
    (first, *rest) = scaled((64, *(filters for filters, _ in _TABLE_I)), width)
    if region == "centre":
        x = layers.Conv2D(
            first, 3, kernel_initializer=normal(first_stddev), name="layer_1"
        )(x)
    else:
        x = symmetric_conv(x, 1, first, 1, first_stddev)
    x = activations[first_activation](x)
    features = [x]
    strides = [stride for _, stride in _TABLE_I]
    for number, (filters, stride) in enumerate(zip(rest, strides, strict=True), start=2):
        x = leaky(norm(symmetric_conv(x, number, filters, stride), number))
        if number in _FEATURE_LAYERS:
            features.append(x)
    x = symmetric_conv(x, 9, 8, 1 if region == "centre" else 2)
    x = activations[last_activation](x)
    dense = layers.Dense(1, kernel_initializer=normal(), name="layer_10")
    logit = dense(layers.Flatten()(x))
    return keras.Model(inputs, {"logits": [logit], "features": features}, name=name)


@discriminator(regions=("image", "centre"))
def patch_discriminator(
    image_size,
    filters=64,
    num_strided=3,
    conditional=True,
    region="image",
    use_bias=True,
    normalization="batch",
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="discriminator",
):
    """PatchGAN: a logit for every patch, of 70 x 70 px with three strided layers.

    4x4 layers: `num_strided` of stride 2, two of stride 1; normalization on all but the
    first and the last. 30 x 30 logits at 256 px; 2 768 705 parameters as pix2pix has it,
    2 764 737 unconditional with instance normalization, as CycleGAN has it.

    Args:
        image_size: pixels a side, or (height, width).
        filters: channels of the first layer; 64 in pix2pix, 48 in ID-CGAN.
        num_strided: layers of stride 2.
        conditional: whether D judges the image together with its source.
        region: "image", or "centre": only the generated half of the side, for
            inpainting.
        use_bias: whether the layers that batch normalization does not follow have biases;
            Torch code that zeroes them in every step has none.
        normalization: "batch", as Torch has it, or "instance".
        width: multiplies the number of channels; 1 as published.
        source_channels, target_channels, name: as of `pan_discriminator`.

    Returns:
        A functional `keras.Model` with one map of logits, and as features its hidden
        layers after their activation.
    """
    channels = source_channels, target_channels
    inputs, x = inputs_of(image_size, channels, conditional, region)
    logits, features = patches(x, filters, num_strided, use_bias, normalization, width)
    return keras.Model(inputs, {"logits": [logits], "features": features}, name=name)


def patches(
    x,
    filters=64,
    num_strided=3,
    use_bias=True,
    normalization="batch",
    width=1.0,
    padding=1,
    prefix="",
):
    """The layers of a PatchGAN; arguments as of `patch_discriminator`, and two more.

    Args:
        padding: zeros on every side of each layer's input.
        prefix: of the layers' numbers.

    Returns:
        (logits, hidden layers).
    """
    features = []
    counts = scaled([filters * min(2**i, 8) for i in range(num_strided + 1)], width)
    for number, count in enumerate(counts, start=1):
        name = f"{prefix}{number}"
        stride = 2 if number <= num_strided else 1
        is_batch = normalization == "batch" and number > 1
        x = conv4(x, name, count, stride, padding, use_bias=use_bias and not is_batch)
        if is_batch:
            x = torch_norm(x, name)
        elif number > 1:
            x = InstanceNormalization()(x)
        x = leaky(x)
        features.append(x)
    last = f"{prefix}{num_strided + 2}"
    return conv4(x, last, 1, 1, padding, use_bias=use_bias), features


@discriminator(check_size=check_inpainting_size, regions=("centre",))
def context_encoder_discriminator(
    image_size, width=1.0, source_channels=3, target_channels=3, name="discriminator"
):
    """D of Context-Encoders: the generated centre, halved down to 4 x 4, one logit.

    4x4 layers of stride 2, batch normalization on all but the first, no biases (the Torch
    code zeroes them in every step).

    Args:
        image_size: height and width in pixels, a power of 2 from 64 up; 128 as
            published.
        width, source_channels, target_channels, name: as of `patch_discriminator`.

    Returns:
        A functional `keras.Model` with one logit `[B, 1, 1, 1]`, and as features its
        hidden layers after their activation.
    """
    channels = source_channels, target_channels
    inputs, x = inputs_of(image_size, channels, region="centre")
    features = []
    halvings = Size.of(image_size).height.bit_length() - 4
    counts = [64 * min(2**i, 8) for i in range(halvings)]
    for number, count in enumerate(scaled(counts, width), start=1):
        x = conv4(x, number, count, use_bias=False)
        if number > 1:
            x = torch_norm(x, number)
        x = leaky(x)
        features.append(x)
    logit = conv4(x, halvings + 1, 1, stride=1, padding=0, use_bias=False)
    return keras.Model(inputs, {"logits": [logit], "features": features}, name=name)


def inputs_of(image_size, channels, conditional=False, region="image"):
    """(D's inputs by name, what its first layer sees); `channels` of source, of image."""
    inputs = {
        name: image_input(image_size, count, name)
        for name, count in zip(("source", "image"), channels, strict=True)
    }
    x = inputs["image"]
    if conditional:
        x = layers.Concatenate()([inputs["source"], x])
    if region == "centre":
        height, width = Size.of(image_size)
        x = layers.Cropping2D((height // 4, width // 4))(x)
    return inputs, x
