"""Perceptual discriminators, against the counts of their released code."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from tests.networks.counting import parameters


@pytest.mark.parametrize(
    ("size", "settings", "count", "maps"),
    [
        (256, {}, 9_357_699, [8, 4, 1]),
        (256, {"most": 128, "heads": (16, 8)}, 3_453_314, [16, 8]),
        (160, {"heads": (1,)}, 8_304_257, [1]),
        (256, {"sees": "image"}, 3_814_083, [8, 4, 1]),
    ],
)
def test_released(size, settings, count, maps):
    network = networks.perceptual_discriminator(size, **settings)
    assert parameters(network) == count
    assert [z.shape[1] for z in network.output["logits"]] == maps


def test_features_join_at_their_size():
    """f_1 goes into the trunk, f_2 to f_5 join at half its size and so on."""
    network = networks.perceptual_discriminator(256)
    sizes = {
        layer.name: layer.input.shape[1:]
        for layer in network.layers
        if layer.name.endswith("lateral")
    }
    assert sizes == {
        "layer_1_lateral": (128, 128, 128),
        "layer_2_lateral": (64, 64, 256),
        "layer_3_lateral": (32, 32, 512),
        "layer_4_lateral": (16, 16, 512),
    }


def test_by_the_equations_features_join_as_they_are():
    """Eq. (5): stack[c(h), f]; no lateral layer, average pooling, hidden heads."""
    network = networks.perceptual_discriminator(256, form="equations")
    names = {layer.name for layer in network.layers}
    assert not any("lateral" in name for name in names)
    assert {"layer_5_head_1", "layer_5_head_2", "layer_6_head_1"} <= names
    assert network.get_layer("layer_2").input.shape[-1] == 64 + 128


def test_a_form_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="must be one of: released, equations"):
        networks.perceptual_discriminator(64, form="released_too")


@pytest.mark.parametrize(
    ("size", "heads"), [(160, (8, 4, 1)), (96, (16, 8)), (192, (1,)), (224, (1,))]
)
def test_an_image_that_cannot_be_halved_to_its_heads_is_refused(size, heads):
    """4 x 4 or 5 x 5 give one logit, 6 x 6 and 7 x 7 would give four."""
    with pytest.raises(ValueError, match="--image_size must be"):
        networks.perceptual_discriminator(size, heads=heads)


def test_the_trunk_takes_what_the_encoder_gives():
    maps = networks.vgg_encoder("vgg16", size=64).output
    inputs = networks.perceptual_discriminator(64, width=1 / 16).input["image"]
    assert [m.shape for m in maps] == [i.shape for i in inputs]


def test_separate_discriminators_see_the_image_and_a_smaller_copy():
    network = networks.separate_discriminators(256)
    assert [z.shape[1:] for z in network.output["logits"]] == [(35, 35, 1), (19, 19, 1)]
    one = networks.patch_discriminator(256, conditional=False, normalization="instance")
    assert parameters(network) == 2 * parameters(one) == 2 * 2_764_737


def test_the_encoder_gives_five_maps_each_half_as_large():
    for star in (False, True):
        maps = networks.vgg_encoder("vgg19", star, size=64).output
        assert [m.shape[1:] for m in maps] == [
            (64, 64, 64),
            (32, 32, 128),
            (16, 16, 256),
            (8, 8, 512),
            (4, 4, 512),
        ]


def test_vgg_star_leaks_and_averages():
    """relu1_1 and what pooling makes of relu1_2, against VGG with the same weights."""
    plain = networks.vgg_encoder("vgg16", size=32)
    star = networks.vgg_encoder("vgg16", star=True, size=32)
    star.set_weights(plain.get_weights())
    image = tf.random.stateless_uniform((1, 32, 32, 3), (0, 0), -1, 1)
    one, other = plain(image)[0].numpy(), star(image)[0].numpy()
    assert (one >= 0).all() and (other < 0).any()
    np.testing.assert_allclose(np.maximum(other, 0.0), one, rtol=1e-5)
    kinds = {type(layer).__name__ for layer in star.layers}
    assert "AveragePooling2D" in kinds and "MaxPooling2D" not in kinds
    unscaled = plain.get_layer("block1_conv1").output
    levels = keras.Model(plain.input, unscaled)(image)
    np.testing.assert_allclose(levels / 57.63, one, rtol=1e-4)
    slope = star.get_layer("block1_conv1").activation
    assert float(slope(tf.constant(-1.0))) == pytest.approx(-0.2)


def test_only_an_encoder_with_trained_weights_is_frozen(vgg_weights):
    assert not networks.vgg_encoder("vgg16", weights=vgg_weights).trainable_variables
    own = networks.perceptual_discriminator(64, sees="own_features", width=1 / 16)
    assert any(v.path.startswith("block5_conv1") for v in own.trainable_variables)


@pytest.mark.parametrize(("size", "heads"), [((64, 128), (8, 4, 1)), (96, (12, 8))])
def test_heads_that_do_not_fit_are_refused(size, heads):
    with pytest.raises(ValueError, match="--image_size must be"):
        networks.perceptual_discriminator(size, heads=heads)
