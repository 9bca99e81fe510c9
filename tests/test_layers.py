import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf.layers import D_AUGMENTATIONS
from pan_tf.layers import BatchNormalization
from pan_tf.layers import Cropping2D
from pan_tf.layers import DiscriminatorAugmentation
from pan_tf.layers import Dropout
from pan_tf.layers import ImagePool
from pan_tf.layers import InstanceNormalization
from pan_tf.layers import LeakyReLU
from pan_tf.layers import ReflectionPadding2D
from pan_tf.layers import SymmetricAveragePooling2D
from pan_tf.layers import SymmetricConv2D


def convolve(image, kernel, stride):
    """Slow twin: zero padding by one on every side, `[H, W, C]` and `[3, 3, C, F]`."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    height, width = (size // stride for size in image.shape[:2])
    output = np.zeros((height, width, kernel.shape[-1]))
    for y in range(height):
        for x in range(width):
            window = padded[y * stride : y * stride + 3, x * stride : x * stride + 3]
            output[y, x] = np.tensordot(window, kernel, 3)
    return output


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_pads_symmetrically(stride):
    random = np.random.default_rng(0)
    image = random.normal(size=(8, 6, 2)).astype("float32")
    layer = SymmetricConv2D(3, 3, strides=stride)
    output = layer(image[None])[0]
    kernel, bias = layer.get_weights()
    assert np.allclose(output, convolve(image, kernel, stride) + bias, atol=1e-5)


def test_stride_two_answers_a_corner_impulse_unlike_same_padding():
    image = np.zeros((1, 4, 4, 1), "float32")
    image[0, 0, 0, 0] = 1.0
    kernel = np.arange(9, dtype="float32").reshape(3, 3, 1, 1)
    ours = SymmetricConv2D(1, 3, strides=2)
    keras_same = keras.layers.Conv2D(1, 3, strides=2, padding="same")
    for layer in (ours, keras_same):
        layer.build(image.shape)
        layer.set_weights([kernel, np.zeros(1)])
    assert float(ours(image)[0, 0, 0, 0]) == 4.0  # The kernel's centre.
    assert float(keras_same(image)[0, 0, 0, 0]) == 0.0  # Its first element.


def test_declared_output_shape_is_the_real_one():
    layer = SymmetricConv2D(5, 3, strides=2)
    for size in (7, 8):
        assert layer(tf.zeros((1, size, size, 2))).shape == layer.compute_output_shape(
            (1, size, size, 2)
        )


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_the_convolution_are_those_of_explicit_padding(stride, size):
    """Twin: TensorFlow's own gradients, whose kernels are slow."""
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, size, size, 3)).astype("float32"))
    layer = SymmetricConv2D(4, 3, strides=stride)
    layer.build(x.shape)
    kernel = layer.kernel.value
    pads = [[0, 0], [1, 1], [1, 1], [0, 0]]
    gradients = []
    for convolve in (layer.convolution_op, lambda x, w: tf.nn.conv2d(x, w, stride, pads)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(convolve(x, kernel)))
        gradients.append(tape.gradient(loss, [x, kernel]))
    for ours, theirs in zip(*gradients, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_the_convolution_has_second_derivatives():
    """A gradient penalty needs them."""
    x = tf.random.stateless_normal((1, 8, 8, 2), [0, 1])
    layer = SymmetricConv2D(3, 3, strides=2)
    layer.build(x.shape)
    pads = [[0, 0], [1, 1], [1, 1], [0, 0]]
    seconds = []
    for convolve in (layer.convolution_op, lambda x, w: tf.nn.conv2d(x, w, 2, pads)):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(convolve(x, layer.kernel.value)))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        seconds.append(outer.gradient(penalty, layer.kernel.value))
    assert np.allclose(*seconds, atol=1e-4) and np.abs(seconds[0]).max() > 0


def test_leaky_relu_is_that_of_keras_with_its_gradient():
    x = tf.constant([[-2.0, -0.5, 0.0, 0.5, 2.0]])
    values = []
    for layer in (LeakyReLU(0.2), keras.layers.LeakyReLU(0.2)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        values.append((y, tape.gradient(y, x)))
    assert np.array_equal(values[0][0], values[1][0])
    assert np.array_equal(values[0][1], values[1][1])


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match="`kernel_size` must be odd"):
        SymmetricConv2D(8, 4)


def test_batch_normalization_is_the_formula():
    x = np.random.default_rng(1).normal(3.0, 2.0, (4, 6, 6, 5)).astype("float32")
    layer = BatchNormalization()
    layer.build(x.shape)
    gamma, beta = np.linspace(0.5, 1.5, 5), np.linspace(-1.0, 1.0, 5)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-4) + beta
    assert np.allclose(layer(x, training=True), expected, atol=1e-4)


def test_moving_statistics_keep_nine_tenths_and_take_the_biased_variance():
    x = np.random.default_rng(1).normal(3.0, 2.0, (2, 3, 3, 4)).astype("float32")
    layer = BatchNormalization()
    layer(x, training=True)
    assert np.allclose(layer.moving_mean, 0.1 * x.mean((0, 1, 2)), atol=1e-5)
    expected = 0.9 + 0.1 * x.var((0, 1, 2))
    assert np.allclose(layer.moving_variance, expected, atol=1e-4)


@pytest.mark.parametrize("size", [4, 64, 360, 512])
def test_bfloat16_loses_little_more_than_its_own_digits(size):
    """Whether a kernel computes the statistics (up to 2^18 numbers) or sums of rows."""
    draw = np.random.default_rng(0)
    x, upstream = draw.normal(3.0, 0.5, (2, 2, size, size, 2))
    layer = BatchNormalization(dtype="mixed_bfloat16")
    with tf.GradientTape() as tape:
        images = tf.cast(x, tf.bfloat16)
        tape.watch(images)
        output = layer(images, training=True)
    gradient = tape.gradient(output, images, tf.cast(upstream, tf.bfloat16))
    exact = tf.cast(images, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(exact)
        mean, variance = tf.nn.moments(exact, (0, 1, 2))
        expected = (exact - mean) / tf.sqrt(variance + layer.epsilon)
    of_images = tape.gradient(expected, exact, upstream)
    for found, true in ((output, expected), (gradient, of_images)):
        assert found.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(found, tf.float64), true, rtol=0.02, atol=0.03)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


def test_inference_uses_moving_statistics():
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 4)).astype("float32")
    layer = BatchNormalization()
    layer.build(x.shape)
    layer.moving_mean.assign([1.0, 2.0, 3.0, 4.0])
    layer.moving_variance.assign([4.0] * 4)
    expected = (x - [1.0, 2.0, 3.0, 4.0]) / np.sqrt(4.0 + 1e-4)
    assert np.allclose(layer(x, training=False), expected, atol=1e-5)


def test_two_replicas_normalize_by_the_whole_batch(two_replicas):
    x = np.random.default_rng(2).normal(1.0, 3.0, (4, 5, 5, 3)).astype("float32")
    expected = np.array(BatchNormalization()(x, training=True))
    strategy = two_replicas
    with strategy.scope():
        layer = BatchNormalization()
        layer.build(x.shape)
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
    )
    run = tf.function(lambda v: strategy.run(lambda x: layer(x, training=True), (v,)))
    output = strategy.experimental_local_results(run(halves))
    assert np.allclose(np.concatenate(output), expected, atol=1e-5)
    for moving in (layer.moving_mean, layer.moving_variance):
        first, second = strategy.experimental_local_results(moving.value)
        assert np.array_equal(first, second)


def test_dropout_drops_a_share_and_keeps_the_mean():
    layer = Dropout(0.25)
    output = np.array(layer(tf.ones((4, 16, 16, 8)), training=True))
    assert (output == 0.0).mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_allclose(output[output > 0.0], 1.0 / 0.75, rtol=1e-6)


def test_dropout_draws_anew_in_every_call_and_nothing_outside_of_training():
    layer, x = Dropout(0.5), tf.ones((2, 8, 8, 4))
    one, other = (np.array(layer(x, training=True)) for _ in range(2))
    assert (one != other).any()
    np.testing.assert_array_equal(layer(x), x)
    assert layer.state.numpy()[1] == 2


def test_dropout_goes_on_where_its_state_was():
    first, second = Dropout(0.5), Dropout(0.5)
    x = tf.ones((2, 8, 8, 4))
    first(x, training=True)
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))


def test_dropout_follows_the_seed():
    masks = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        masks.append(np.array(Dropout(0.5)(tf.ones((1, 8, 8, 4)), training=True)))
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_dropout_on_two_replicas_is_that_of_the_whole_batch(two_replicas):
    alone = Dropout(0.5)
    with two_replicas.scope():
        shared = Dropout(0.5)
    shared.set_weights(alone.get_weights())
    x = tf.ones((4, 8, 8, 2))

    @tf.function
    def run():
        return two_replicas.run(lambda: shared(x[:2], training=True))

    for _ in range(2):
        halves = two_replicas.experimental_local_results(run())
        np.testing.assert_array_equal(tf.concat(halves, 0), alone(x, training=True))
    assert shared.state.numpy()[1] == 2


def test_a_map_of_one_position_takes_the_moving_averages():
    layer = BatchNormalization(statistics="image")
    layer.build((None, None, None, 2))
    layer.moving_mean.assign([0.5, -0.5])
    layer.moving_variance.assign([4.0, 4.0])
    one = tf.constant([[[[2.5, 1.5]]]])
    np.testing.assert_allclose(layer(one), [[[[1.0, 1.0]]]], atol=1e-4)
    two = tf.concat([one, -one], axis=1)  # Now it has its own.
    np.testing.assert_allclose(layer(two)[0, :, 0, 0], [1.0, -1.0], atol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_normalization_is_group_normalization_by_channel(batch):
    x = tf.random.stateless_normal((batch, 5, 7, 4), (0, 0), 3.0, 2.0)
    ours = InstanceNormalization()
    theirs = keras.layers.GroupNormalization(-1, epsilon=1e-5, center=False, scale=False)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(tf.sin(y))
        results.append((y, tape.gradient(loss, x)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "layer", [InstanceNormalization(), BatchNormalization(statistics="image")]
)
def test_of_a_flat_plane_nothing_is_left(layer, batch):
    """Not its mean's rounding, which the next layers would take for an image."""
    color = np.random.default_rng(0).normal(0.3, 1.0, (batch, 1, 1, 16))
    flat = np.broadcast_to(color, (batch, 37, 50, 16)).astype("float32")
    assert np.abs(layer(flat)).max() == 0.0


def test_reflection_leaves_the_border_out():
    row = tf.reshape(tf.range(4.0), (1, 1, 4, 1)) * tf.ones((1, 4, 1, 1))
    padded = ReflectionPadding2D(2)(row)
    assert padded[0, 0, :, 0].numpy().tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


def test_average_pooling_is_around_every_other_pixel_and_counts_no_border():
    image = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
    pooled = SymmetricAveragePooling2D()(image)[0, :, :, 0].numpy()
    # Around pixels (0, 0), (0, 2), (2, 0), (2, 2).
    np.testing.assert_allclose(pooled, [[2.5, 4.0], [8.5, 10.0]], rtol=1e-6)


def numbered(first, count):
    """Images whose pixels are their number."""
    numbers = tf.range(first, first + count, dtype=tf.float32)
    return tf.reshape(numbers, (count, 1, 1, 1)) * tf.ones((1, 2, 2, 3))


def numbers(images):
    return images[:, 0, 0, 0].numpy().astype(int).tolist()


def test_history_fills_and_then_exchanges():
    """Against a slow twin that takes one image after the other."""
    memory = ImagePool((2, 2, 3), capacity=5)
    stored, exchanged, used = [], 0, set()
    for call in range(40):
        count = int(memory.count.numpy())
        slots = memory._slots(tf.constant(count, tf.int64), 4).numpy()
        expected = []
        for number, slot in zip(range(4 * call, 4 * call + 4), slots, strict=True):
            if len(stored) < 5:
                stored.append(number)
                expected.append(number)
            elif slot < 0:
                expected.append(number)
            else:
                expected.append(stored[slot])
                stored[slot] = number
                exchanged += 1
                used.add(int(slot))
        assert numbers(memory(numbered(4 * call, 4))) == expected
        assert numbers(memory.images.value) == stored or len(stored) < 5
    assert 0.4 < exchanged / (160 - 5) < 0.6
    assert used == set(range(5))


def test_history_of_two_replicas_is_that_of_the_whole_batch(two_replicas):
    keras.utils.set_random_seed(3)
    straight = ImagePool((2, 2, 3), capacity=3)
    keras.utils.set_random_seed(3)
    with two_replicas.scope():
        mirrored = ImagePool((2, 2, 3), capacity=3)

    @tf.function
    def call(images):
        return two_replicas.run(mirrored, args=(images,))

    for first in range(0, 40, 4):
        batch = numbered(first, 4)
        parts = tf.split(batch, 2)
        halves = two_replicas.experimental_distribute_values_from_function(
            lambda context, parts=parts: parts[context.replica_id_in_sync_group]
        )
        shares = two_replicas.experimental_local_results(call(halves))
        assert numbers(straight(batch)) == numbers(tf.concat(shares, 0))
    for copy in two_replicas.experimental_local_results(mirrored.images.value):
        assert np.array_equal(copy, straight.images.value)


def test_history_can_be_made_again_from_its_configuration():
    memory = ImagePool((2, 2, 3), capacity=7)
    again = ImagePool.from_config(memory.get_config())
    assert again.capacity == 7 and again.images.shape == (7, 2, 2, 3)


def test_cropping_and_its_gradient_are_those_of_keras():
    x = tf.random.stateless_normal((2, 7, 6, 3), (1, 2))
    given = ((1, 2), (0, 3))
    results = []
    for crop in (Cropping2D(given), keras.layers.Cropping2D(given)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = crop(x)
            loss = tf.reduce_sum(y**2)
        results.append((y, tape.gradient(loss, x)))
    for ours, theirs in zip(*results, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.fixture
def augmentation():
    return DiscriminatorAugmentation(D_AUGMENTATIONS)


def test_a_source_its_target_and_its_output_are_changed_alike(augmentation):
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (3, 16, 24, 3)).astype("float32")
    drawn = augmentation.draw(3)
    one, again = (
        augmentation(image, drawn, name=n).numpy() for n in ("source", "output")
    )
    np.testing.assert_array_equal(one, again)
    other = augmentation(image, augmentation.draw(3)).numpy()
    assert all(not np.allclose(a, b) for a, b in zip(one, other, strict=True))


def test_augmentation_is_the_formula(augmentation):
    """A slow twin, image by image."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (4, 16, 24, 3)).astype("float32")
    drawn = augmentation.draw(4).numpy()
    found = augmentation(images, drawn).numpy()
    for image, (brightness, contrast, shift), made in zip(
        images, drawn, found, strict=True
    ):
        image = image + (brightness[0] - 0.5)
        image = (image - image.mean()) * (contrast[0] + 0.5) + image.mean()
        expected = np.zeros_like(image)
        # At most an eighth of each side: 2 and 3 pixels.
        down, right = (
            int(np.floor(s * (2 * m + 1))) - m for s, m in zip(shift, (2, 3), strict=True)
        )
        for y, x in np.ndindex(16, 24):
            if 0 <= y - down < 16 and 0 <= x - right < 24:
                expected[y, x] = image[y - down, x - right]
        np.testing.assert_allclose(made, expected, atol=1e-5)


def test_label_maps_are_moved_and_not_coloured():
    layer = DiscriminatorAugmentation(D_AUGMENTATIONS, as_labels=("source",))
    planes = np.eye(4, dtype="float32")[
        np.random.default_rng(0).integers(0, 4, (2, 8, 8))
    ]
    drawn = tf.constant(np.full((2, 3, 2), 0.9, "float32"))
    moved = layer(planes, drawn, name="source").numpy()
    expected = np.zeros_like(planes)
    expected[:, 1:, 1:] = planes[:, :-1, :-1]  # An eighth of each side: one pixel.
    np.testing.assert_array_equal(moved, expected)
    assert not set(np.unique(layer(planes, drawn, name="output"))) <= {0.0, 1.0}


def test_the_gradient_of_an_augmentation_comes_back_to_where_the_pixel_was(augmentation):
    image = tf.Variable(np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 1)))
    drawn = tf.constant([[[0.5, 0.0], [0.5, 0.0], [0.99, 0.0]]])  # Two down, two left.
    with tf.GradientTape() as tape:
        pixel = augmentation(image, drawn)[0, 5, 5, 0]
    gradient = tape.gradient(pixel, image).numpy()[0, ..., 0]
    assert np.unravel_index(np.argmax(gradient), gradient.shape) == (3, 7)


def test_augmentation_of_two_replicas_is_that_of_the_whole_batch(two_replicas):
    layers = []
    for scope in (two_replicas.scope(), contextlib.nullcontext()):
        with scope:
            keras.utils.set_random_seed(3)
            layers.append(DiscriminatorAugmentation(("shift", "contrast")))
    drawn = two_replicas.run(lambda: layers[0].draw(2))
    both = np.concatenate(two_replicas.experimental_local_results(drawn))
    np.testing.assert_array_equal(both, layers[1].draw(4))


def test_an_adaptive_augmentation_changes_the_share_that_it_holds():
    layer = DiscriminatorAugmentation(D_AUGMENTATIONS, ada_target=0.6)
    images = np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 3)).astype("float32")
    # It begins with none at all: what is drawn stands for no change.
    np.testing.assert_allclose(layer(images), images, atol=1e-6)
    layer.probability.assign(0.3)
    drawn = layer.draw(400).numpy()
    is_made = ~np.all(drawn == 0.5, axis=-1)
    assert is_made.shape == (400, 3)
    np.testing.assert_allclose(is_made.mean(0), 0.3, atol=0.08)
    # One without the other: they are drawn apart.
    assert np.any(is_made[:, 0] & ~is_made[:, 1])
    layer.probability.assign(1.0)
    assert not np.any(np.all(layer.draw(400).numpy() == 0.5, axis=-1))


def test_an_adaptive_augmentation_follows_how_sure_d_is():
    layer = DiscriminatorAugmentation(("shift",), ada_target=0.6)
    found = [
        float(layer.follow(tf.constant(sign), 40)["d_augment_probability"])
        for sign in (0.61, 1.0, 0.59, 0.6, -1.0, -1.0)
    ]
    # A hundredth for 40 of 4000 images, never below 0; at the target it stays.
    np.testing.assert_allclose(found, [0.01, 0.02, 0.01, 0.01, 0.0, 0.0], atol=1e-6)
    layer.probability.assign(0.999)
    layer.follow(tf.constant(1.0), 40)
    assert float(layer.probability) == 1.0


def test_an_adaptive_augmentation_counts_the_images_of_all_replicas(two_replicas):
    with two_replicas.scope():
        layer = DiscriminatorAugmentation(("shift",), ada_target=0.6)
    two_replicas.run(lambda: layer.follow(tf.constant(0.9), 20))
    for probability in two_replicas.experimental_local_results(layer.probability.value):
        assert float(probability) == pytest.approx(0.01)


def test_an_augmentation_that_is_not_adaptive_has_nothing_to_follow(augmentation):
    assert augmentation.follow(tf.constant(1.0), 40) == {}
    assert augmentation.weights_by_name() == {}


def test_an_augmentation_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="must be some of: brightness, contrast, shift"):
        DiscriminatorAugmentation(("cutout",))
    for target in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`ada_target` must be in"):
            DiscriminatorAugmentation(("shift",), ada_target=target)
