"""The metrics beside scikit-image (SSIM) and beside plain NumPy (UQI, VIF).

    pip install -e '.[benchmark]'        (scikit-image)
    python benchmarks/metrics.py

Pairs of 256 px, rounds interleaved; printed are medians of images/s, their ratio, and the
largest difference of values. Both sides may use all cores. The NumPy programs are the
twins of the tests, one image at a time, as is scikit-image.
"""

import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from skimage.metrics import structural_similarity

from pan_tf import metrics
from pan_tf.data.layouts import bluemarble
from tests.metrics import twins

ROUNDS, IMAGES = 7, 16


def scikit_image_ssim(reference, prediction):
    """Wang's SSIM as scikit-image computes it, on the same luma."""
    return structural_similarity(
        twins.luma(reference),
        twins.luma(prediction),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )


def main():
    reference = bluemarble.cut("test", 256).target[:IMAGES]
    error = np.random.default_rng(0).normal(0, 12, reference.shape)
    prediction = np.clip(reference + error, 0, 255).round().astype(np.uint8)
    pairs = {
        "ssim": ("scikit-image", scikit_image_ssim),
        "uqi": ("NumPy", twins.uqi),
        "vif": ("NumPy", twins.vif),
        "vifp": ("NumPy", twins.vifp),
    }
    print(f"{'':6}{'pan_tf':>10}{'other':>10}  images/s{'ratio':>8}{'difference':>13}")
    for name, (label, other) in pairs.items():
        ours = tf.function(getattr(metrics, name))
        values = ours(reference, prediction).numpy()  # Traces.
        seconds = {"ours": [], "theirs": []}
        for _ in range(ROUNDS):
            start = time.perf_counter()
            values = ours(reference, prediction).numpy()
            middle = time.perf_counter()
            theirs = [other(*pair) for pair in zip(reference, prediction, strict=True)]
            seconds["ours"].append(middle - start)
            seconds["theirs"].append(time.perf_counter() - middle)
        a, b = (IMAGES / statistics.median(seconds[k]) for k in ("ours", "theirs"))
        difference = np.abs(values - theirs).max()
        print(
            f"{name:6}{a:10.1f}{b:10.1f}  {label:12}{a / b:4.1f}{difference:13.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
