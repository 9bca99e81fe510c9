import itertools

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf.size import Size
from tests.networks.counting import parameters


def test_table_i():
    network = networks.pan_discriminator(256)
    assert parameters(network) == 7_050_249
    logits, features = network.output["logits"], network.output["features"]
    assert [tuple(z.shape) for z in logits] == [(None, 1)]
    assert [(f.shape[1], f.shape[3]) for f in features] == [
        (256, 64),
        (64, 256),
        (32, 512),
        (16, 512),
    ]


def test_features_are_taken_after_the_activation():
    network = networks.pan_discriminator(64, first_activation="tanh", width=1 / 16)
    image = tf.random.stateless_uniform((2, 64, 64, 3), (0, 0), -1, 1)
    features = network({"source": image, "image": image}, training=True)["features"]
    assert np.abs(features[0]).max() < 1.0  # tanh
    for feature in features[1:]:  # A leaky ReLU keeps a fifth of what is negative.
        x = np.array(feature)
        assert x.min() < 0 and -x[x < 0].mean() < 0.4 * x[x > 0].mean()


def test_source_is_ignored():
    network = networks.pan_discriminator(64, width=1 / 16)
    image = tf.random.stateless_uniform((1, 64, 64, 3), (0, 0), -1, 1)
    one = network({"source": image, "image": image})["logits"][0]
    other = network({"source": -image, "image": image})["logits"][0]
    assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_sizes(size):
    network = networks.pan_discriminator(size, width=1 / 64)
    assert network.output["features"][3].shape[1] == size // 16


@pytest.mark.parametrize(("stddev", "expected"), [(0.02, 0.02), (0.5, 0.5)])
def test_first_kernel_starts_as_wide_as_asked(stddev, expected):
    network = networks.pan_discriminator(64, first_stddev=stddev)
    kernel = network.get_layer("layer_1").kernel
    assert np.std(kernel) == pytest.approx(expected, rel=0.1)


def test_patch_discriminator_of_pix2pix():
    """Parameters as of the authors' PyTorch code; 30 x 30 patches at 256 px."""
    network = networks.patch_discriminator(256)
    assert parameters(network) == 2_768_705
    assert network.output["logits"][0].shape[1:] == (30, 30, 1)
    found = [x.shape[1:] for x in network.output["features"]]
    assert found == [(128, 128, 64), (64, 64, 128), (32, 32, 256), (31, 31, 512)]


def test_patch_discriminator_of_id_cgan():
    network = networks.patch_discriminator(256, filters=48, use_bias=False)
    channels = [6, 48, 96, 192, 384, 1]
    kernels = sum(16 * a * b for a, b in itertools.pairwise(channels))
    assert parameters(network) == kernels + 2 * (96 + 192 + 384)


def test_a_patch_is_of_70_px():
    """A logit in the middle depends on 70 pixels each way, and on no more."""
    network = networks.patch_discriminator(256, width=1 / 64, conditional=False)
    image = tf.Variable(tf.random.stateless_uniform((1, 256, 256, 3), (0, 1), -1, 1))
    for layer in network.layers:  # Statistics would join all pixels.
        if layer.name.endswith("_norm"):
            layer.gamma.assign(tf.ones_like(layer.gamma))
    with tf.GradientTape() as tape:
        logits = network({"source": image, "image": image})["logits"][0]
        one = logits[0, 15, 15, 0]
    reached = np.abs(tape.gradient(one, image))[0].max(-1) > 0
    rows, columns = np.nonzero(reached)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (70, 70)


def test_conditional_ones_see_the_source():
    image = tf.zeros((1, 64, 64, 3))
    other = tf.ones((1, 64, 64, 3))
    for build, is_conditional in (
        (lambda: networks.patch_discriminator(64, width=1 / 16), True),
        (
            lambda: networks.pan_discriminator(64, conditional=True, width=1 / 16),
            True,
        ),
        (lambda: networks.pan_discriminator(64, width=1 / 16), False),
    ):
        network = build()
        a, b = (
            network({"source": s, "image": image})["logits"][0] for s in (image, other)
        )
        assert bool(np.any(np.array(a) != np.array(b))) == is_conditional


def test_pan_for_a_centre_is_the_released_one():
    """Layer 1 pads nothing (62 px), layer 9 has stride 1 (4 x 4 x 8 = 128)."""
    network = networks.pan_discriminator(128, region="centre")
    found = [x.shape[1:] for x in network.output["features"]]
    assert found == [(62, 62, 64), (16, 16, 256), (8, 8, 512), (4, 4, 512)]
    assert network.get_layer("layer_10").kernel.shape == (128, 1)


def test_context_encoders():
    network = networks.context_encoder_discriminator(128)
    channels = [3, 64, 128, 256, 512, 1]
    kernels = sum(16 * a * b for a, b in itertools.pairwise(channels))
    assert parameters(network) == kernels + 2 * (128 + 256 + 512)
    assert network.output["logits"][0].shape[1:] == (1, 1, 1)


def test_a_centre_must_be_a_multiple_of_64():
    with pytest.raises(ValueError, match="must be a multiple of 64"):
        networks.pan_discriminator.declaration.check_size(Size(96, 96), region="centre")
    networks.pan_discriminator.declaration.check_size(Size(96, 96))


def test_channels_double_to_512():
    def channels(build, *args, **kwargs):
        return [
            x.shape[-1] for x in build(*args, width=1 / 64, **kwargs).output["features"]
        ]

    assert channels(networks.context_encoder_discriminator, 256) == [1, 2, 4, 8, 8]
    assert channels(networks.patch_discriminator, 256, num_strided=5) == [
        1,
        2,
        4,
        8,
        8,
        8,
    ]


def test_scales_start_as_torch_has_them():
    gamma = networks.patch_discriminator(64).get_layer("layer_4_norm").gamma
    assert np.mean(gamma) == pytest.approx(1.0, abs=0.01)
    assert np.std(gamma) == pytest.approx(0.02, rel=0.2)
