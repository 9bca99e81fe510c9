"""VGG-16 as a judge; the numbers of real weights only where they are at hand."""

import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import files
from pan_tf import networks
from pan_tf.networks import fetching
from pan_tf.networks import vgg
from tests.disk import limited_files


def test_it_is_frozen_and_of_relu2_2(vgg_weights):
    network = networks.vgg_features("block2_conv2", weights=vgg_weights)
    assert not network.trainable_variables
    assert network(tf.zeros((1, 32, 48, 3))).shape == (1, 16, 24, 128)
    assert np.min(network(tf.ones((1, 32, 32, 3)))) >= 0.0


def test_it_sees_what_the_weights_were_trained_on(vgg_weights):
    """BGR in [0, 255] less the mean colour, as Keras' own preprocessing has it."""
    network = networks.vgg_features("block2_conv2", weights=vgg_weights)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3))
    seen = keras.applications.vgg16.preprocess_input(pixels.astype(np.float32))
    whole = keras.applications.VGG16(include_top=False, weights=None)
    whole.load_weights(vgg_weights)
    plain = keras.Model(whole.input, whole.get_layer("block2_conv2").output)
    np.testing.assert_allclose(
        network(pixels / 127.5 - 1.0), plain(seen), rtol=1e-4, atol=1e-3
    )


def test_or_what_id_cgan_shows_it():
    seen = vgg.VGGInput("none")(np.array([[[[0.25, 0.5, 0.75]]]]))
    np.testing.assert_array_equal(seen, [[[[0.75, 0.5, 0.25]]]])


def test_it_is_float32_under_every_policy(vgg_weights):
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = networks.vgg_features("block2_conv2", weights=vgg_weights)
    assert network(tf.zeros((1, 32, 32, 3))).dtype == tf.float32
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_a_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(ValueError, match=r"--vgg_weights must hold.*other\.weights\.h5"):
        networks.vgg_features("block2_conv2", weights=path)


def test_a_full_disk_is_an_error_of_a_line(tmp_path, capfd):
    classifier = networks.vgg_classifier("vgg16", True, 2, "pooled", 32)
    path = tmp_path / "vgg16.weights.h5"
    with limited_files(2**20), pytest.raises(OSError, match="too large") as caught:
        networks.save_vgg_weights(classifier, path, "vgg16")
    assert files.trouble(caught.value) == f"{path}: File too large."
    assert not list(tmp_path.iterdir()) and "Traceback" not in capfd.readouterr().err
    networks.save_vgg_weights(classifier, path, "vgg16")
    kept = networks.check_vgg_weights(path, "vgg16")
    assert np.array_equal(kept[0], networks.convolutions(classifier)[0].get_weights()[0])


def test_a_missing_file_is_named():
    with pytest.raises(networks.WeightsNotFoundError, match="--vgg_weights=nowhere"):
        networks.locate_vgg_weights("nowhere.h5")


def test_a_file_that_has_changed_has_another_digest(tmp_path):
    path = tmp_path / "vgg.weights.h5"
    path.write_bytes(b"first")
    (_, first), (_, again) = (networks.locate_vgg_weights(path) for _ in range(2))
    path.write_bytes(b"other weights")
    assert first == again != networks.locate_vgg_weights(path)[1]


def test_without_a_network_the_way_out_is_named(monkeypatch):
    def unreachable(*args, **kwargs):
        raise Exception("URL fetch failure")  # What Keras raises.

    monkeypatch.setattr(keras.utils, "get_file", unreachable)
    with pytest.raises(networks.WeightsNotFoundError, match="--vgg_weights=FILE"):
        networks.locate_vgg_weights()


@pytest.mark.skipif("PAN_TF_VGG16" not in os.environ, reason="PAN_TF_VGG16 names no file")
def test_real_weights_see_structure():
    """Trained features tell a shifted photo from another one; random ones hardly do."""
    path = pathlib.Path(os.environ["PAN_TF_VGG16"])
    network = networks.vgg_features("block2_conv2", weights=path)
    bias = network.get_layer("block1_conv1").bias.numpy()
    # Published values of the first biases.
    np.testing.assert_allclose(bias[:3], [0.73429835, 0.09340367, 0.06775674], atol=1e-4)
    kernel = network.get_layer("block1_conv1").kernel.numpy()
    assert kernel.shape == (3, 3, 3, 64)
    features = np.array(
        network(tf.random.stateless_uniform((1, 64, 64, 3), (0, 1), -1, 1))
    )
    assert 10.0 < features.mean() < 1000.0  # Of inputs in 0 to 255.


def test_no_gradient_needs_what_lies_before_a_leaky_relu():
    """TensorFlow would keep all of that, and could not join it."""
    encoder = networks.vgg_encoder("vgg19", star=True, size=32)

    @tf.function
    def gradient(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            features = encoder(image)
        return tape.gradient(features, image)

    graph = gradient.get_concrete_function(tf.TensorSpec((1, 32, 32, 3))).graph
    seen = [
        node.inputs[1].op.type
        for node in graph.get_operations()
        if node.type == "LeakyReluGrad"
    ]
    assert len(seen) >= 8 and not {"BiasAdd", "AddV2"} & set(seen)


def test_another_file_of_the_same_size_has_another_digest(tmp_path):
    path = tmp_path / "vgg.weights.h5"
    path.write_bytes(b"first")
    first = fetching.digest(path)
    path.write_bytes(b"other")
    assert fetching.digest(path) != first
