"""Metrics of a translation over a whole split."""

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf import metrics
from pan_tf.data import evaluation_dataset

METRICS = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "psnr_rgb": metrics.psnr_rgb,
    "ssim_rgb": metrics.ssim_rgb,
}


def measure(translate, pairs, image_size, batch_size=16):
    """Translates every pair of a split and compares the output with the target.

    Outputs are rounded to 8 bits first: scored is what would be saved.

    Args:
        translate: float32 `[B, H, W, 3]` in [-1, 1] -> uint8 `[B, H, W, 3]`.
        pairs: `PairSet`.
        image_size: pixels a side.
        batch_size: images at a time.

    Returns:
        metric -> float64 `[len(pairs)]`, in the order of the pairs.
    """
    scores = {name: [] for name in METRICS}
    for batch in evaluation_dataset(pairs, image_size=image_size, batch_size=batch_size):
        output = translate(batch["source"])
        for name, values in _compare(images.to_uint8(batch["target"]), output).items():
            scores[name].append(values)
    return {
        name: np.concatenate(values).astype(np.float64) for name, values in scores.items()
    }


def means(scores):
    """metric -> mean over the images."""
    return {name: float(np.mean(values)) for name, values in scores.items()}


@tf.function(reduce_retracing=True)
def _compare(target, output):
    return {name: metric(target, output) for name, metric in METRICS.items()}
