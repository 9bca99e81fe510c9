"""Classifier two-sample test: can a network tell generated images from real ones?

C2ST (Lopez-Paz and Oquab, arXiv:1610.06545), as Table 1 (b) of the Perceptual
Discriminators paper reports it: the cross-entropy of a classifier on images that it was
not trained on, in nats. ln 2 = .693 where it can tell nothing, 0 where it always can. The
paper says neither which classifier nor on how many images: ours is a small residual
network, trained from scratch, so numbers compare with each other, not with the paper's.
"""

import numpy as np

from pan_tf.metrics.distribution.classifier import EPOCHS
from pan_tf.metrics.distribution.classifier import log_loss
from pan_tf.metrics.distribution.classifier import train_classifier
from pan_tf.metrics.intervals import mean_and_interval

# Images of either kind.
LEAST = 8


def two_sample_test(real, generated, seeds=(1, 2, 3, 4, 5), epochs=EPOCHS, batch_size=16):
    """How hard it is to tell two sets of images apart.

    For each seed: as many of the larger set as the smaller has; half of both to train
    on, of which a quarter chooses the epoch, half to test. See `train_classifier`.

    Args:
        real: uint8 `[N, H, W, 3]`, held-out images of the target's domain; 8 or more.
        generated: uint8 `[M, H, W, 3]`, held-out outputs of T; 8 or more.
        seeds: of splits, weights and order.
        epochs: through the training half, at most.
        batch_size: images at a time.

    Returns:
        `{"cross_entropy": {"mean", "ci95"}, "accuracy", "per_seed", "learnt", "n"}`:
        nats, with a bootstrap interval over images; the share that is told rightly; the
        mean of each seed; how many classifiers were better than chance on the images
        that chose their epoch; images of either kind.

    Raises:
        ValueError: if there are too few images, or they differ in size.
    """
    n = min(len(real), len(generated))
    if n < LEAST or real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            f"A two-sample test needs {LEAST} images or more of either kind and of one "
            f"size. Received: {real.shape} and {generated.shape}."
        )
    # Once: each seed judges the same images, as many of either kind.
    draw = np.random.default_rng(0)
    real, generated = (k[draw.permutation(len(k))[:n]] for k in (real, generated))
    learnt = 0
    losses = {}  # (kind, number of the image) -> its loss in each test that it was in.
    right, per_seed = [], []
    for seed in seeds:
        random = np.random.default_rng(seed)
        places = [random.permutation(n) for _ in range(2)]
        parts = [np.split(p, [n // 2 - n // 8, n // 2]) for p in places]
        train, choice, test = (
            (real[r], generated[g]) for r, g in zip(*parts, strict=True)
        )
        classifier = train_classifier(train, choice, seed, epochs, batch_size)
        learnt += classifier.has_learnt
        answers = [classifier(kind) for kind in test]
        loss = np.concatenate([log_loss(a, kind) for kind, a in enumerate(answers)])
        keys = [(kind, i) for kind in (0, 1) for i in parts[kind][2]]
        for key, value in zip(keys, loss, strict=True):
            losses.setdefault(key, []).append(value)
        per_seed.append(float(loss.mean()))
        # Where it says one half, it is right by half.
        signs = np.sign(np.concatenate([-answers[0], answers[1]]))
        right.append(((signs + 1) / 2).mean())
    return {
        "cross_entropy": mean_and_interval([np.mean(v) for v in losses.values()]),
        "accuracy": float(np.mean(right)),
        "per_seed": per_seed,
        "learnt": learnt,
        "n": n,
    }
