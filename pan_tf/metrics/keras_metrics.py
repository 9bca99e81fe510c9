"""The metrics as `keras.metrics.Metric`s: means over images, for `compile` and loops."""

import keras
import tensorflow as tf

from pan_tf.metrics.table import METRICS


class _MeanOverImages(keras.metrics.Mean):
    """Mean of a row of `METRICS` over all images seen.

    `update_state(reference, prediction, sample_weight=None)` takes uint8 or floating
    `[B, H, W, 3]` in [0, 255] and, if need be, weights `[B]`.
    """

    row = None

    def __init__(self, name=None, dtype=None):
        super().__init__(name=name or self.row, dtype=dtype)

    def update_state(self, reference, prediction, sample_weight=None):
        metric = METRICS[self.row]
        values = metric.function(reference, prediction)
        if metric.largest is not None:
            values = tf.minimum(values, metric.largest)
        return super().update_state(values, sample_weight=sample_weight)


class PSNR(_MeanOverImages):
    """Mean of `psnr` in dB; more than 100 dB, as of equal images, counts as 100."""

    row = "psnr"


class PSNRRGB(_MeanOverImages):
    """Mean of `psnr_rgb` in dB; more than 100 dB, as of equal images, counts as 100."""

    row = "psnr_rgb"


class SSIM(_MeanOverImages):
    """Mean of `ssim`."""

    row = "ssim"


class SSIMRGB(_MeanOverImages):
    """Mean of `ssim_rgb`."""

    row = "ssim_rgb"


class UQI(_MeanOverImages):
    """Mean of `uqi`."""

    row = "uqi"


class VIF(_MeanOverImages):
    """Mean of `vif`."""

    row = "vif"


class VIFP(_MeanOverImages):
    """Mean of `vifp`."""

    row = "vifp"
