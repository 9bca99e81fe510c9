"""Metrics: the table of what is measured, and the functions `psnr(reference, prediction)`
and the like.

In lower case one number an image; in upper case the Keras metric, their mean.
"""

from pan_tf.metrics.distribution.two_sample import two_sample_test
from pan_tf.metrics.full_reference.functional import psnr
from pan_tf.metrics.full_reference.functional import psnr_rgb
from pan_tf.metrics.full_reference.functional import ssim
from pan_tf.metrics.full_reference.functional import ssim_rgb
from pan_tf.metrics.full_reference.functional import uqi
from pan_tf.metrics.full_reference.information import vif
from pan_tf.metrics.full_reference.information import vifp
from pan_tf.metrics.keras_metrics import PSNR
from pan_tf.metrics.keras_metrics import PSNRRGB
from pan_tf.metrics.keras_metrics import SSIM
from pan_tf.metrics.keras_metrics import SSIMRGB
from pan_tf.metrics.keras_metrics import UQI
from pan_tf.metrics.keras_metrics import VIF
from pan_tf.metrics.keras_metrics import VIFP
from pan_tf.metrics.metric import Metric
from pan_tf.metrics.table import KEPT_METRICS
from pan_tf.metrics.table import METRICS
from pan_tf.metrics.table import ROWS
from pan_tf.metrics.table import SET_METRICS
from pan_tf.metrics.table import MetricError
from pan_tf.metrics.table import checked
from pan_tf.metrics.table import checked_set
from pan_tf.metrics.table import with_parts
from pan_tf.metrics.weights import Weights
from pan_tf.metrics.weights import check_channels
from pan_tf.metrics.weights import locate_weights

__all__ = [
    "KEPT_METRICS",
    "METRICS",
    "PSNR",
    "PSNRRGB",
    "ROWS",
    "SET_METRICS",
    "SSIM",
    "SSIMRGB",
    "UQI",
    "VIF",
    "VIFP",
    "Metric",
    "MetricError",
    "Weights",
    "check_channels",
    "checked",
    "checked_set",
    "locate_weights",
    "psnr",
    "psnr_rgb",
    "ssim",
    "ssim_rgb",
    "two_sample_test",
    "uqi",
    "vif",
    "vifp",
    "with_parts",
]
