"""Image-quality metrics: `psnr(reference, prediction)` and the like.

In lower case one number an image; in upper case the Keras metric, their mean.
"""

from pan_tf.metrics.functional import psnr
from pan_tf.metrics.functional import psnr_rgb
from pan_tf.metrics.functional import ssim
from pan_tf.metrics.functional import ssim_rgb
from pan_tf.metrics.functional import uqi
from pan_tf.metrics.information import vif
from pan_tf.metrics.information import vifp
from pan_tf.metrics.keras_metrics import LARGEST_PSNR
from pan_tf.metrics.keras_metrics import PSNR
from pan_tf.metrics.keras_metrics import PSNRRGB
from pan_tf.metrics.keras_metrics import SSIM
from pan_tf.metrics.keras_metrics import SSIMRGB
from pan_tf.metrics.keras_metrics import UQI
from pan_tf.metrics.keras_metrics import VIF
from pan_tf.metrics.keras_metrics import VIFP

__all__ = [
    "LARGEST_PSNR",
    "PSNR",
    "PSNRRGB",
    "SSIM",
    "SSIMRGB",
    "UQI",
    "VIF",
    "VIFP",
    "psnr",
    "psnr_rgb",
    "ssim",
    "ssim_rgb",
    "uqi",
    "vif",
    "vifp",
]
