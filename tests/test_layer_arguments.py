"""Every layer of ours honours or refuses every argument of the Keras layer that it is.

A layer that overrides `call` drops, without a word, whatever Keras' own `call` does and
it does not. So each argument is tried, by its name in Keras' signature, and the layer
beside Keras' own.
"""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import pan_tf.layers
import pan_tf.networks
from pan_tf.layers import BatchNormalization
from pan_tf.layers import Conv2D
from pan_tf.layers import Conv2DTranspose
from pan_tf.layers import Cropping2D
from pan_tf.layers import LeakyReLU
from pan_tf.layers import SymmetricConv2D


def ours():
    """All layers of this package, by what registers them: those of networks too."""
    assert pan_tf.networks
    found = [
        value
        for key, value in keras.saving.get_custom_objects().items()
        if key.startswith("pan_tf>") and inspect.isclass(value)
        if issubclass(value, keras.layers.Layer)
    ]
    return sorted(found, key=lambda layer: layer.__name__)


def base_of(layer):
    """The Keras layer that a layer derives from."""
    return next(c for c in layer.__mro__ if c.__module__.startswith("keras."))


def arguments_of(base):
    """Names of a Keras layer's arguments, those of all layers too."""
    named = {}
    for each in (base, keras.layers.Layer):
        named |= inspect.signature(each.__init__).parameters
    kinds = inspect.Parameter
    return [
        name
        for name, parameter in named.items()
        if name != "self"
        and parameter.kind not in (kinds.VAR_KEYWORD, kinds.VAR_POSITIONAL)
    ]


# Argument -> a value other than its default that can be seen.
VALUES = {
    "activation": "tanh",
    "activity_regularizer": keras.regularizers.L2(0.5),
    "autocast": False,
    "axis": 1,
    "beta_constraint": "non_neg",
    "beta_initializer": keras.initializers.RandomNormal(seed=1),
    "beta_regularizer": keras.regularizers.L2(0.5),
    "bias_constraint": "non_neg",
    "bias_initializer": keras.initializers.RandomNormal(seed=1),
    "bias_regularizer": keras.regularizers.L2(0.5),
    "center": False,
    "cropping": ((2, 1), (0, 1)),
    "data_format": "channels_first",
    "dilation_rate": (2, 2),
    "dtype": "float64",
    "epsilon": 0.5,
    "filters": 6,
    "gamma_constraint": "non_neg",
    "gamma_initializer": keras.initializers.RandomNormal(seed=1),
    "gamma_regularizer": keras.regularizers.L2(0.5),
    "groups": 2,
    "kernel_constraint": "non_neg",
    "kernel_initializer": keras.initializers.RandomNormal(seed=1),
    "kernel_regularizer": keras.regularizers.L2(0.5),
    "kernel_size": (5, 3),
    "momentum": 0.25,
    "moving_mean_initializer": keras.initializers.RandomNormal(seed=1),
    "moving_variance_initializer": keras.initializers.RandomUniform(1, 2, seed=1),
    "name": "another",
    "negative_slope": 0.7,
    "output_padding": 1,
    "padding": "same",
    "renorm": True,
    "scale": False,
    "strides": (2, 2),
    "synchronized": False,
    "trainable": False,
    "use_bias": False,
}
REFUSED = {
    *itertools.product(
        (Conv2D, SymmetricConv2D), ("groups", "dilation_rate", "data_format")
    ),
    (SymmetricConv2D, "padding"),
    *itertools.product(
        (Conv2DTranspose,), ("output_padding", "dilation_rate", "data_format")
    ),
    (Cropping2D, "data_format"),
    (BatchNormalization, "axis"),
    (BatchNormalization, "renorm"),
    (BatchNormalization, "synchronized"),
}
# They do nothing without `renorm`.
IDLE = {"renorm_clipping", "renorm_momentum"}
# What each is made with, arguments of its own included.
NEEDED = {
    "BatchNormalization": {"momentum": 0.9, "epsilon": 1e-4},
    "Conv2D": {"filters": 4, "kernel_size": 3},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 3},
    "DiscriminatorAugmentation": {"names": ("shift", "contrast")},
    "Dropout": {"rate": 0.5},
    "ImagePool": {"image_shape": (8, 8, 4), "capacity": 5},
    "LeakyReLU": {"negative_slope": 0.2},
    "ReflectionPadding2D": {"padding": 2},
    "SymmetricConv2D": {"filters": 4, "kernel_size": 3},
    "VGGInput": {"preprocessing": "caffe"},
}
CASES = [
    (layer, name)
    for layer in ours()
    for name in arguments_of(base_of(layer))
    if name not in IDLE
]


def test_every_argument_has_a_case():
    unknown = {name for _, name in CASES if name not in VALUES}
    assert not unknown, f"Keras has new arguments: add them to VALUES: {unknown}"
    assert {"activation", "use_bias", "dtype"} <= {name for _, name in CASES}
    exported = (getattr(pan_tf.layers, name) for name in pan_tf.layers.__all__)
    assert {each for each in exported if inspect.isclass(each)} <= set(ours())


def images(dtype="float32"):
    size, channels = 32, 4
    values = np.random.default_rng(0).normal(0.3, 1.0, (2, size, size, channels))
    return tf.constant(values, dtype)


def given(layer, name):
    return NEEDED.get(layer.__name__, {}) | {name: VALUES[name]}


def inputs_of(layer, x):
    """What a layer is called with."""
    if layer.__name__ == "PasteCentre":
        return [x, tf.cast(x[:, :16, :16], x.dtype)]
    if layer.__name__ == "ImagePool":
        return x[:, :8, :8]
    return x[..., :3] if layer.__name__ in ("CutHole", "VGGInput") else x


def padded(layer, x):
    """What Keras' convolution needs to give what the symmetric one gives."""
    if not isinstance(layer, SymmetricConv2D):
        return x
    pads = [[(size - 1) // 2] * 2 for size in layer.kernel_size]
    return tf.pad(x, [[0, 0], *pads, [0, 0]])


def outcome(layer, x, training):
    """(output, loss, gradients of both, state afterwards) of a call."""
    takes_training = "training" in inspect.signature(layer.call).parameters
    keywords = {"training": training} if takes_training else {}
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x, **keywords)
        zero = tf.zeros((), "float64")
        loss = tf.add_n([zero, *(tf.cast(loss, "float64") for loss in layer.losses)])
        total = tf.reduce_sum(tf.sin(tf.cast(output, "float64"))) + loss
    weights = [v.value for v in layer.trainable_variables]
    gradients = tape.gradient(total, [x, *weights])
    return output, loss, gradients, [v.numpy() for v in layer.variables]


@pytest.mark.parametrize(
    ("layer", "name"), CASES, ids=[f"{c.__name__}-{name}" for c, name in CASES]
)
def test_an_argument_is_honoured_or_refused(layer, name):
    arguments = given(layer, name)
    if (layer, name) in REFUSED:
        with pytest.raises(ValueError, match=f"{name}="):
            layer(**arguments)
        return
    dtype = arguments.get("dtype", "float32")
    made, x = layer(**arguments), images(dtype)
    base = base_of(layer)
    if base is keras.layers.Layer:
        check_without_twin(made, inputs_of(layer, x), name)
        return
    twin_arguments = {**arguments, "name": "twin"}
    if layer is BatchNormalization:
        twin_arguments.setdefault("synchronized", False)
    twin = base(**twin_arguments)
    made.build(x.shape)
    twin.build(padded(made, x).shape)
    for ours, theirs in zip(made.variables, twin.variables, strict=True):
        if name == f"{ours.name}_initializer":
            np.testing.assert_array_equal(ours, theirs)
        assert type(ours.constraint) is type(theirs.constraint)
        assert ours.trainable == theirs.trainable
    twin.set_weights(made.get_weights())
    for training in (True, False):
        found = outcome(made, x, training)
        expected = outcome(twin, padded(made, x), training)
        compare(found, expected, made)
    if name == "name":
        assert made.name == "another"
    again = layer.from_config(made.get_config())
    assert again.get_config() == made.get_config()


def compare(found, expected, layer):
    (output, loss, gradients, state), (twin, twin_loss, twin_gradients, twin_state) = (
        found,
        expected,
    )
    assert output.dtype == twin.dtype
    np.testing.assert_allclose(output, twin, atol=2e-5)
    np.testing.assert_allclose(loss, twin_loss, rtol=1e-5)
    of_images, *of_weights = gradients
    of_padded, *of_twin = twin_gradients
    border = (of_padded.shape[1] - of_images.shape[1]) // 2
    side = (of_padded.shape[2] - of_images.shape[2]) // 2
    inner = of_padded[
        :, border : of_padded.shape[1] - border, side : of_padded.shape[2] - side
    ]
    np.testing.assert_allclose(of_images, inner, atol=5e-5)
    for ours, theirs in zip(of_weights, of_twin, strict=True):
        # Sums over 2048 positions, which may cancel.
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-2)
    for ours, theirs in zip(state, twin_state, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def check_without_twin(layer, x, name):
    """What `keras.layers.Layer` promises of each of its own arguments."""
    keywords = {}
    if "training" in inspect.signature(layer.call).parameters:
        keywords["training"] = True
    output = layer(x, **keywords)
    if name == "dtype":
        assert output.dtype == tf.float64
    elif name == "trainable":
        assert not layer.trainable_variables and not layer.trainable
    elif name == "activity_regularizer":
        # Keras divides an activity's penalty by the batch.
        expected = 0.5 * tf.reduce_sum(output**2) / output.shape[0]
        np.testing.assert_allclose(sum(layer.losses), expected, rtol=1e-5)
    elif name == "name":
        assert layer.name == "another"
    elif name == "autocast":
        assert output.dtype == layer.compute_dtype and not layer.autocast
    else:
        raise AssertionError(f"No check of {name}.")


def test_a_batch_normalization_without_scale_and_offset_only_normalizes():
    x = images()
    plain = BatchNormalization(center=False, scale=False)(x, training=True)
    np.testing.assert_allclose(plain, BatchNormalization()(x, training=True), atol=1e-5)


def test_a_batch_normalization_that_masks_would_be_wrong_for_is_refused():
    with pytest.raises(ValueError, match="no masks"):
        BatchNormalization()(images(), mask=tf.ones((2, 32, 32), bool))


def test_a_frozen_batch_normalization_is_as_outside_of_training():
    layer = BatchNormalization(trainable=False)
    layer.build((None, None, None, 4))
    before = [value.copy() for value in layer.get_weights()]
    np.testing.assert_array_equal(layer(images(), training=True), layer(images()))
    for ours, theirs in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("slope", [0.0, -0.5])
def test_a_slope_that_the_gradient_of_an_output_cannot_tell_is_refused(slope):
    with pytest.raises(ValueError, match="negative_slope"):
        LeakyReLU(slope)
