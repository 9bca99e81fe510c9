import itertools

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import images
from pan_tf import networks
from tests.networks.counting import parameters


def sizes(network):
    found = [x for x in network.layers if x.name.startswith("layer_")]
    found = [x for x in found if not x.name.endswith("_norm")]
    return [(x.output.shape[1], x.output.shape[3]) for x in found]


@pytest.fixture(scope="module")
def narrow():
    return networks.context_encoder_transformer(64, width=1 / 64)


def test_context_encoder_is_the_published_one_at_128_px():
    network = networks.context_encoder_transformer(128)
    down = [(64, 64), (32, 64), (16, 128), (8, 256), (4, 512), (1, 4000)]
    up = [(4, 512), (8, 256), (16, 128), (32, 64), (64, 3)]
    assert sizes(network) == down + up
    channels = [3, 64, 64, 128, 256, 512, 4000, 512, 256, 128, 64, 3]
    kernels = sum(16 * a * b for a, b in itertools.pairwise(channels))
    norms = 2 * sum(channels[2:-1])
    assert parameters(network) == kernels + norms == 71_124_544


def test_pans_own_has_3x3_encoder_layers_and_biases():
    network = networks.pan_inpainting_transformer(128)
    channels = [3, 64, 64, 128, 256, 512, 4000, 512, 256, 128, 64, 3]
    pairs = list(itertools.pairwise(channels))
    kernels = sum((9 if i < 5 else 16) * a * b for i, (a, b) in enumerate(pairs))
    expected = kernels + sum(channels[1:]) + 2 * sum(channels[2:-1])
    assert parameters(network) == expected


@pytest.mark.parametrize(("size", "count"), [(64, 9), (256, 13)])
def test_other_sizes_have_other_depths(size, count):
    network = networks.context_encoder_transformer(size, width=1 / 64)
    assert len(sizes(network)) == count
    assert network.output_shape == (None, size, size, 3)


@pytest.mark.parametrize("size", [None, 32, 96, 192])
def test_sizes_that_cannot_be_halved_to_4_px_are_refused(size):
    with pytest.raises(ValueError, match="image_size"):
        networks.context_encoder_transformer(size)


def test_what_lies_in_the_hole_cannot_be_seen(narrow):
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    other = np.where(images.central_mask(64), 1.0, image)
    np.testing.assert_array_equal(narrow(image), narrow(other))


def test_what_was_known_stays_as_it_is(narrow):
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    for training, overlap in ((False, False), (True, True)):
        output = np.array(narrow(image, training=training))
        generated = np.broadcast_to(images.central_mask(64, overlap), image.shape)
        np.testing.assert_array_equal(output[~generated], image[~generated])
        assert (output[generated] != image[generated]).all()


def test_discriminators_see_the_centre_alone():
    image = tf.random.stateless_uniform((2, 64, 64, 3), (0, 1), -1, 1)
    other = tf.where(images.central_mask(64, overlap=True), image, 1.0)
    for build in (
        networks.context_encoder_discriminator,
        lambda size, width: networks.pan_discriminator(
            size, region="centre", width=width
        ),
        lambda size, width: networks.patch_discriminator(
            size, region="centre", width=width, conditional=False
        ),
    ):
        network = build(64, width=1 / 16)
        one, same = (
            network({"source": image, "image": x})["logits"][0] for x in (image, other)
        )
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize(
    ("size", "down", "up"),
    [(64, [1, 1, 2, 8], [8, 4, 2]), (256, [1, 1, 2, 4, 8, 8], [8, 4, 2, 1, 1])],
)
def test_channels_of_other_sizes(size, down, up):
    from tests.networks.test_inpainting import sizes

    network = networks.context_encoder_transformer(size, width=1 / 64)
    assert [count for _, count in sizes(network)] == [*down, 62, *up, 3]
