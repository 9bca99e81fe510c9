"""The metrics as `keras.metrics.Metric`s: means over images, for `compile` and loops."""

import math

import keras
import tensorflow as tf

from pan_tf.images import PEAK
from pan_tf.metrics.table import METRICS

_LEVELS = (0.0, PEAK)


class _MeanOverImages(keras.metrics.Mean):
    """Mean of a row of `METRICS` over all images seen.

    `update_state(reference, prediction, sample_weight=None)` takes `[B, H, W, C]` of the
    value range and, if need be, weights `[B]`.

    Args:
        name: of the metric; None for the row's.
        dtype: as of Keras' metrics.
        value_range: lowest and highest value of images: (0, 255) of pixels; (-1, 1) of a
            model that computes in it, whose outputs are clipped to it, not rounded.

    Raises:
        ValueError: if `value_range` is not two rising numbers.
    """

    row = None

    def __init_subclass__(cls, row=None):
        super().__init_subclass__()
        if row is not None:
            cls.row = row
            keras.saving.register_keras_serializable("pan_tf")(cls)

    def __init__(self, name=None, dtype=None, value_range=_LEVELS):
        super().__init__(name=name or self.row, dtype=dtype)
        try:
            low, high = map(float, value_range)
        except (TypeError, ValueError):
            low = high = 0.0
        if not (low < high and math.isfinite(high - low)):
            raise ValueError(
                "`value_range` must be two rising numbers. "
                f"Received: value_range={value_range}."
            )
        self.value_range = low, high

    def update_state(self, reference, prediction, sample_weight=None):
        metric = METRICS[self.row]
        values = metric.function(self._levels(reference), self._levels(prediction))
        if metric.largest is not None:
            values = tf.minimum(values, metric.largest)
        return super().update_state(values, sample_weight=sample_weight)

    def _levels(self, image):
        if self.value_range == _LEVELS:
            return image
        low, high = self.value_range
        image = tf.clip_by_value(tf.cast(image, tf.float32), low, high)
        return (image - low) * (PEAK / (high - low))

    def get_config(self):
        return {**super().get_config(), "value_range": self.value_range}


class PSNR(_MeanOverImages, row="psnr"):
    """Mean of `psnr` in dB; more than 100 dB, as of equal images, counts as 100."""


class PSNRRGB(_MeanOverImages, row="psnr_rgb"):
    """Mean of `psnr_rgb` in dB; more than 100 dB, as of equal images, counts as 100."""


class SSIM(_MeanOverImages, row="ssim"):
    """Mean of `ssim`."""


class SSIMRGB(_MeanOverImages, row="ssim_rgb"):
    """Mean of `ssim_rgb`."""


class UQI(_MeanOverImages, row="uqi"):
    """Mean of `uqi`."""


class VIF(_MeanOverImages, row="vif"):
    """Mean of `vif`."""


class VIFP(_MeanOverImages, row="vifp"):
    """Mean of `vifp`."""
