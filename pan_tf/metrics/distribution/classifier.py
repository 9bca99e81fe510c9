"""The network that judges sets of images: which of two does an image belong to?

Small, residual, trained from scratch: no answer depends on weights that a system may have
been trained by (a perceptual loss, a perceptual discriminator).
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pan_tf import images
from pan_tf import runtime
from pan_tf import tracing
from pan_tf.data import pipeline
from pan_tf.progress import Progress

# Nats of an answer of one half: what a classifier costs that knows nothing.
CHANCE = math.log(2.0)
EPOCHS = 30  # Through the images it is trained on, at most.


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Tells two kinds of images apart.

    Attributes:
        log_odds: uint8 `[M, H, W, 3]` -> float64 `[M]`, the log of the odds of kind 1.
        has_learnt: whether it is better than chance on images that it was not trained
            on; if not, it always answers one half.
    """

    log_odds: Callable
    has_learnt: bool

    def __call__(self, pixels):
        return self.log_odds(pixels)


def train_classifier(train, choice, seed, epochs=EPOCHS, batch_size=16):
    """Trains a classifier of two kinds of images.

    The epoch is chosen by images that it was not trained on. A classifier that is no
    better than chance there answers one half: what it is sure of was learnt by heart.

    Args:
        train: (uint8 `[N, H, W, 3]` of kind 0, the same of kind 1); mirrored images are
            added, and the smaller kind weighs as much as the larger.
        choice: the same, others.
        seed: of weights and order.
        epochs: through the images, at most.
        batch_size: images at a time.

    Returns:
        `Classifier`.
    """
    network, beginning = _compiled(train[0].shape[1:])
    _begin(network, beginning, seed)
    patience = max(3, epochs // 4)
    with Progress(epochs, f"classifier, seed {seed}") as epochs_done:
        history = network.fit(
            _mixture(train, batch_size, seed),
            epochs=epochs,
            shuffle=False,  # They are.
            validation_data=_mixture(choice, batch_size),
            verbose=0,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    patience=patience, restore_best_weights=True
                ),
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda epoch, logs: epochs_done.advance()
                ),
            ],
        ).history
    if min(history["val_loss"]) >= CHANCE:
        return Classifier(lambda pixels: np.zeros(len(pixels)), has_learnt=False)

    weights = network.get_weights()

    def log_odds(pixels):
        network.set_weights(weights)  # It may have been trained for others since.
        parts = range(0, len(pixels), batch_size)
        logits = [
            network(images.to_float(pixels[i : i + batch_size]), training=False)
            for i in parts
        ]
        return np.concatenate(logits)[:, 0].astype(np.float64)

    return Classifier(log_odds, has_learnt=True)


def log_loss(log_odds, kind):
    """Nats that answers cost, `[M]`, if all images are of one kind, 0 or 1."""
    return np.logaddexp(0.0, -log_odds if kind else log_odds)


def _mixture(kinds, batch_size, seed=None):
    """Batches of (images, labels, weights); with a seed mirrored and shuffled too."""
    sizes = [len(kind) for kind in kinds]
    pixels = tf.constant(np.concatenate(kinds))
    labels = tf.constant(np.repeat([0.0, 1.0], sizes), tf.float32)
    weights = tf.constant(np.repeat([sum(sizes) / 2 / n for n in sizes], sizes))
    count = sum(sizes)

    def example(number):
        place = number % count
        image = images.to_float(pixels[place])
        image = tf.where(number < count, image, tf.reverse(image, [1]))
        return image, labels[place], weights[place]

    numbers = tf.data.Dataset.range(count)
    if seed is not None:
        numbers = tf.data.Dataset.range(2 * count).shuffle(2 * count, seed)
    numbers = numbers.map(tracing.plain(example)).batch(batch_size)
    return numbers.with_options(pipeline.options())


@functools.lru_cache(maxsize=4)
def _compiled(shape):
    """(classifier, values of its optimizer's variables), traced once for all seeds."""
    runtime.set_up_keras()
    # Whatever was trained in this process before: Keras takes its policy for this too.
    with runtime.under_policy("float32"):
        network = _classifier(shape)
        optimizer = keras.optimizers.Adam(1e-3)
        network.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    optimizer.build(network.trainable_variables)
    return network, [variable.numpy() for variable in optimizer.variables]


def _begin(network, beginning, seed):
    """Makes a classifier new: kernels drawn by the seed, the optimizer as it was."""
    for variable, value in zip(network.optimizer.variables, beginning, strict=True):
        variable.assign(value)
    random = np.random.default_rng(seed)
    for layer in network.layers:
        for variable in layer.trainable_variables:
            if variable.name == "kernel" and isinstance(layer, layers.Conv2D):
                own = int(random.integers(2**31))
                draw = keras.initializers.GlorotUniform(seed=own)
            else:
                draw = keras.initializers.get(
                    "ones" if variable.name == "gamma" else "zeros"
                )
            variable.assign(draw(variable.shape))


def _classifier(shape):
    def normal_relu(x):
        # Not by the batch: moving averages of so few steps would be nobody's.
        return layers.ReLU()(layers.GroupNormalization(8)(x))

    image = keras.Input(shape)
    x = layers.Conv2D(16, 3, padding="same")(image)
    for filters in (32, 64, 128):
        shortcut = layers.Conv2D(filters, 1, strides=2)(x)
        x = normal_relu(x)
        x = layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        x = normal_relu(x)
        x = layers.Add()([layers.Conv2D(filters, 3, padding="same")(x), shortcut])
    x = normal_relu(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(1)(x))
