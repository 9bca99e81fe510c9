"""Classifier two-sample test: can a network tell generated images from real ones?

C2ST (Lopez-Paz and Oquab, arXiv:1610.06545), as Table 1 (b) of the Perceptual
Discriminators paper reports it: the cross-entropy of a classifier on images that it was
not trained on, in nats. ln 2 = .693 where it can tell nothing, 0 where it always can. The
paper says neither which classifier nor on how many images: ours is a small residual
network, trained from scratch, so numbers compare with each other, not with the paper's.
"""

import math

import keras
import numpy as np
from keras import layers

from pan_tf import images
from pan_tf.evaluation.statistics import mean_and_interval

CHANCE = math.log(2.0)


def two_sample_test(real, generated, seeds=(1, 2, 3, 4, 5), epochs=30, batch_size=16):
    """How hard it is to tell two sets of images apart.

    For each seed: as many of the larger set as the smaller has; half of both to train
    on, half to test. A quarter of the training half chooses the epoch. A classifier that
    is no better than chance there answers one half, which costs ln 2: no number is above
    that because of a classifier that is merely too sure of itself.

    Args:
        real: uint8 `[N, H, W, 3]`, held-out images of the target's domain; 8 or more.
        generated: uint8 `[M, H, W, 3]`, held-out outputs of T; 8 or more.
        seeds: of splits, weights and order.
        epochs: through the training half, at most.
        batch_size: images at a time.

    Returns:
        `{"cross_entropy": {"mean", "ci95"}, "accuracy", "per_seed", "n"}`: nats, with a
        bootstrap interval over images; the share that is told rightly; the mean of each
        seed; images of either kind.

    Raises:
        ValueError: if there are too few images, or they differ in size.
    """
    n = min(len(real), len(generated))
    if n < 8 or real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            "A two-sample test needs 8 images or more of either kind and of one size. "
            f"Received: {real.shape} and {generated.shape}."
        )
    losses = {}  # (kind, number of the image) -> its loss in each test that it was in.
    right, per_seed = [], []
    for seed in seeds:
        random = np.random.default_rng(seed)
        places = [random.permutation(len(kind))[:n] for kind in (real, generated)]
        parts = [np.split(p, [n // 2 - n // 8, n // 2]) for p in places]
        train, choice, test = (
            _mixture(real[r], generated[g]) for r, g in zip(*parts, strict=True)
        )
        logits = _trained(train, choice, seed, epochs, batch_size)(test[0])
        labels = test[1]
        loss = np.logaddexp(0.0, np.where(labels == 1, -logits, logits))
        keys = [(kind, i) for kind in (0, 1) for i in parts[kind][2]]
        for key, value in zip(keys, loss, strict=True):
            losses.setdefault(key, []).append(value)
        per_seed.append(float(loss.mean()))
        # Where it says one half, it is right by half.
        right.append(np.where(logits == 0.0, 0.5, (logits > 0) == (labels == 1)).mean())
    return {
        "cross_entropy": mean_and_interval([np.mean(v) for v in losses.values()]),
        "accuracy": float(np.mean(right)),
        "per_seed": per_seed,
        "n": n,
    }


def _mixture(real, generated):
    """(float32 images in [-1, 1], labels: 1 for generated)."""
    mixed = images.to_float(np.concatenate([real, generated])).numpy()
    return mixed, np.repeat([0.0, 1.0], [len(real), len(generated)]).astype("float32")


def _trained(train, choice, seed, epochs, batch_size):
    """Trains a classifier; returns images -> logits, NumPy."""
    keras.utils.set_random_seed(seed)
    network = _classifier(train[0].shape[1:])
    network.compile(
        keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    mirrored = train[0][:, :, ::-1]
    history = network.fit(
        np.concatenate([train[0], mirrored]),
        np.concatenate([train[1], train[1]]),
        batch_size=batch_size,
        epochs=epochs,
        validation_data=choice,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=max(3, epochs // 4), restore_best_weights=True
            )
        ],
    ).history
    if min(history["val_loss"]) >= CHANCE:
        return lambda x: np.zeros(len(x))
    return lambda x: network.predict(x, verbose=0)[:, 0].astype(np.float64)


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
    return keras.Model(image, layers.Dense(1, kernel_initializer="zeros")(x))
