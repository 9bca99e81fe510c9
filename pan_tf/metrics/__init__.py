"""Image-quality metrics: `psnr(reference, prediction)` and the like."""

from pan_tf.metrics.functional import psnr
from pan_tf.metrics.functional import psnr_rgb
from pan_tf.metrics.functional import ssim
from pan_tf.metrics.functional import ssim_rgb

__all__ = ["psnr", "psnr_rgb", "ssim", "ssim_rgb"]
