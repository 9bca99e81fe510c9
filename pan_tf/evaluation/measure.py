"""Metrics of a translation over a whole split, image by image."""

import functools

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf import metrics
from pan_tf.data import evaluation_dataset

METRICS = {
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "uqi": metrics.uqi,
    "vif": metrics.vif,
    "vifp": metrics.vifp,
    "psnr_rgb": metrics.psnr_rgb,
    "ssim_rgb": metrics.ssim_rgb,
}


def measure(translate, pairs, image_size, batch_size=None, crop=0):
    """Translates every pair of a split and compares the output with the target.

    Outputs are rounded to 8 bits first: scored is what would be saved.

    Args:
        translate: float32 `[B, H, W, 3]` in [-1, 1] -> uint8 `[B, H, W, 3]`.
        pairs: `PairSet`.
        image_size: pixels a side.
        batch_size: images at a time; None: as many as have a million pixels, at most 16.
        crop: pixels on every side that are not compared.

    Returns:
        metric -> float64 `[len(pairs)]`, in the order of the pairs: `METRICS`, and
        `balanced`. PSNR of equal images is infinite.
    """
    batch_size = batch_size or max(1, min(16, 2**20 // image_size**2))
    compare = _comparison(image_size - 2 * crop)
    inner = slice(crop, image_size - crop)
    scores = {name: [] for name in METRICS}
    for batch in evaluation_dataset(pairs, image_size=image_size, batch_size=batch_size):
        compared = images.to_uint8(batch["target"]), translate(batch["source"])
        compared = [image[:, inner, inner] for image in compared]
        for name, values in compare(*compared).items():
            scores[name].append(values)
    scores = {
        name: np.concatenate(values).astype(np.float64) for name, values in scores.items()
    }
    return {"balanced": balanced(scores), **scores}


def balanced(scores):
    """One number of two metrics that are fooled by opposite things, at most 1.

    The mean of PSNR / 50 dB (at most 1) and UQI, both on luma. PSNR rewards blur, which
    UQI punishes; UQI rewards flatness where the target is flat, which PSNR does not. SSIM
    is left out, since it hardly tells a blank image from the truth without its details;
    VIF and VIFP, since on targets with next to no texture noise raises them.
    docs/metrics.md has the measurements.
    """
    return (np.minimum(scores["psnr"] / 50.0, 1.0) + scores["uqi"]) / 2.0


def finite(name, values):
    """Scores to average: PSNR beyond 100 dB, as of equal images, counts as 100."""
    return np.minimum(values, metrics.LARGEST_PSNR) if "psnr" in name else values


def means(scores):
    """metric -> mean over the images."""
    return {name: float(np.mean(finite(name, v))) for name, v in scores.items()}


@functools.lru_cache(maxsize=8)
def _comparison(size):
    """All metrics, traced once for a size, whatever the batch."""
    spec = tf.TensorSpec((None, size, size, 3), tf.uint8)

    @tf.function(input_signature=[spec, spec])
    def compare(target, output):
        return {name: metric(target, output) for name, metric in METRICS.items()}

    return compare
