"""The receptive field read off the layers is the one that gradients show."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import networks


def reach(transformer, size, position):
    """How far before and after an output row source rows have a gradient."""
    source = tf.random.stateless_uniform((1, size, 64, 3), (0, 1), -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(source)
        row = tf.reduce_sum(transformer(source, training=False)[:, position])
    rows = np.abs(tape.gradient(row, source)).max(axis=(0, 2, 3)).nonzero()[0]
    return position - rows[0], rows[-1] - position


def test_of_table_2_is_189_pixels_and_its_multiple_64():
    # Down: 1 + 2 + ... + 32 = 63 a side. Up: 4 x 4 kernels reach 64 + 32 + ... + 2 = 126
    # further back.
    field = networks.receptive_field(networks.pan_transformer(width=1 / 16))
    assert field == networks.ReceptiveField(multiple=64, radius=189)


def test_gradients_reach_just_as_far():
    transformer = networks.pan_transformer(width=1 / 8)
    for norm in transformer.layers:
        if isinstance(norm, layers.BatchNormalization):
            norm.beta.assign(norm.beta + 1.0)  # Keeps the ReLUs open.
    found = [reach(transformer, 768, 384 + phase) for phase in range(64)]
    before, after = (max(side) for side in zip(*found, strict=True))
    assert (before, after) == (189, 126)


def test_of_the_released_network_grows_with_its_depth():
    for depth, radius in ((6, 189), (7, 381)):
        transformer = networks.official_pan_transformer(depth=depth, width=1 / 64)
        field = networks.receptive_field(transformer)
        assert field == networks.ReceptiveField(2**depth, radius)


def test_of_an_image_that_normalizes_itself_is_the_whole_image():
    transformer = networks.pan_transformer(width=1 / 64, statistics="image")
    field = networks.receptive_field(transformer)
    assert field == networks.ReceptiveField(64, math.inf)


def test_of_pix2pix_is_the_whole_image_whatever_its_dropout():
    transformer = networks.pix2pix_transformer(width=1 / 64)
    field = networks.receptive_field(transformer)
    assert field == networks.ReceptiveField(256, math.inf)
    moving = networks.pix2pix_transformer(width=1 / 64, statistics="moving")
    assert math.isfinite(networks.receptive_field(moving).radius)


def test_of_layers_without_strides_is_a_pixel_each():
    transformer = networks.deraining_transformer(width=1 / 64)
    assert networks.receptive_field(transformer) == networks.ReceptiveField(1, 12)


def test_of_a_network_for_one_size_says_so():
    transformer = networks.context_encoder_transformer(64, width=1 / 64)
    field = networks.receptive_field(transformer)
    assert field == networks.ReceptiveField(64, math.inf, size=64)
    assert networks.activation_bytes(transformer) > 4 * 3


def squeezed(x):
    share = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return x * layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(share)


def halved_and_doubled(x, norm):
    x = norm(layers.Conv2D(8, 3, strides=2, padding="same")(x))
    return layers.UpSampling2D(interpolation="bilinear")(keras.ops.tanh(x))


def bilinear(x):
    halved = layers.AveragePooling2D(2)(x)
    return layers.UpSampling2D(interpolation="bilinear")(halved)


@pytest.mark.parametrize(
    ("between", "multiple"),
    [
        (squeezed, 1),
        (lambda x: halved_and_doubled(x, layers.GroupNormalization(4)), 2),
        (lambda x: halved_and_doubled(x, layers.Lambda(lambda x: x[:, ::2, ::2])), 4),
        (lambda x: layers.Conv2D(8, 3, (1, 2), padding="same")(x), 1),
        (lambda x: layers.Conv2DTranspose(8, 3, dilation_rate=3, padding="same")(x), 1),
        (bilinear, 2),
    ],
)
def test_what_is_not_known_looks_at_the_whole_image(between, multiple):
    image = keras.Input((None, None, 3))
    x = between(layers.Conv2D(8, 3, padding="same")(image))
    model = keras.Model(image, layers.Conv2D(3, 3, padding="same")(x))
    field = networks.receptive_field(model)
    assert field == networks.ReceptiveField(multiple, math.inf)
    assert networks.activation_bytes(model) > 4 * (3 + 8)


def padded(x, before, kernel):
    # As PyTorch pads: the kernel itself does not.
    after = tuple((side - 1 - first) for first, side in zip(before, kernel, strict=True))
    padding = tuple(zip(before, after, strict=True))
    return layers.Conv2D(3, kernel)(layers.ZeroPadding2D(padding)(x))


@pytest.mark.parametrize(
    "between",
    [
        lambda x: padded(padded(x, (1, 3), (3, 7)), (0, 1), (5, 3)),
        lambda x: layers.UpSampling2D()(layers.MaxPooling2D(3, 2, padding="same")(x)),
        lambda x: layers.SeparableConv2D(3, (1, 9), padding="same")(x),
        lambda x: layers.Conv2D(3, 3, dilation_rate=3, padding="same")(x),
        lambda x: layers.Conv2DTranspose(3, 6, 2)(layers.AveragePooling2D(2)(x)),
        lambda x: (conv := layers.Conv2D(3, 3, padding="same"))(conv(conv(x))),
    ],
)
@pytest.mark.parametrize("axis", [1, 2])
def test_no_gradient_reaches_further(between, axis):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, between(image))
    field = networks.receptive_field(model)
    source = tf.random.stateless_uniform((1, 64, 64, 3), (0, 1), -1, 1)
    for position in (30, 31):
        with tf.GradientTape() as tape:
            tape.watch(source)
            line = tf.reduce_sum(tf.gather(model(source), position, axis=axis))
        others = tuple({0, 1, 2, 3} - {axis})
        found = np.abs(tape.gradient(line, source)).max(axis=others).nonzero()[0]
        assert max(position - found[0], found[-1] - position) <= field.radius < 32


def test_maps_of_two_strides_cannot_meet():
    image = keras.Input((None, None, 3))
    small = layers.AveragePooling2D(2)(image)
    fake = layers.Lambda(lambda pair: pair[0], name="mixed")
    with pytest.raises(ValueError, match=r"strides \[1\.0, 2\.0\] meet in .*'mixed'"):
        networks.receptive_field(keras.Model(image, fake([image, small])))


def test_activation_bytes_add_up_all_layers():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(image)
    model = keras.Model(image, layers.Conv2DTranspose(3, 4, 2, padding="same")(x))
    assert networks.activation_bytes(model) == 4 * (3 + 8 / 4 + 3)
