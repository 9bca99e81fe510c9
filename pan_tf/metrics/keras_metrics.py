"""The metrics as `keras.metrics.Metric`s: means over images, for `compile` and loops."""

import keras
import tensorflow as tf

from pan_tf.metrics import functional
from pan_tf.metrics import information

# Of equal images PSNR is infinite: one such image would make a mean say nothing.
LARGEST_PSNR = 100.0


class _MeanOverImages(keras.metrics.Mean):
    """Mean of `function(reference, prediction)` over all images seen.

    `update_state(reference, prediction, sample_weight=None)` takes uint8 or floating
    `[B, H, W, 3]` in [0, 255] and, if need be, weights `[B]`.
    """

    function = None
    largest = None

    def __init__(self, name=None, dtype=None):
        super().__init__(name=name or type(self).function.__name__, dtype=dtype)

    def update_state(self, reference, prediction, sample_weight=None):
        values = type(self).function(reference, prediction)
        if self.largest is not None:
            values = tf.minimum(values, self.largest)
        return super().update_state(values, sample_weight=sample_weight)


class PSNR(_MeanOverImages):
    """Mean of `psnr` in dB; more than 100 dB, as of equal images, counts as 100."""

    function = staticmethod(functional.psnr)
    largest = LARGEST_PSNR


class PSNRRGB(_MeanOverImages):
    """Mean of `psnr_rgb` in dB; more than 100 dB, as of equal images, counts as 100."""

    function = staticmethod(functional.psnr_rgb)
    largest = LARGEST_PSNR


class SSIM(_MeanOverImages):
    """Mean of `ssim`."""

    function = staticmethod(functional.ssim)


class SSIMRGB(_MeanOverImages):
    """Mean of `ssim_rgb`."""

    function = staticmethod(functional.ssim_rgb)


class UQI(_MeanOverImages):
    """Mean of `uqi`."""

    function = staticmethod(functional.uqi)


class VIF(_MeanOverImages):
    """Mean of `vif`."""

    function = staticmethod(information.vif)


class VIFP(_MeanOverImages):
    """Mean of `vifp`."""

    function = staticmethod(information.vifp)
