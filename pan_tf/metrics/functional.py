"""Image quality, one number an image.

Every metric takes (reference, prediction), uint8 or float `[B, H, W, 3]`, RGB in
[0, 255], and compares luma, Y = .299 R + .587 G + .114 B, unrounded, as the MATLAB bundle
MeTriX MuX does, with which the papers of this field are scored; the `_rgb` variants
compare the three channels. Pure TensorFlow.
"""

import tensorflow as tf

from pan_tf import images


def psnr(reference, prediction):
    """Peak signal-to-noise ratio in dB: float32 `[B]`; infinite for equal images."""
    return tf.image.psnr(*_planes(reference, prediction), max_val=255.0)


def ssim(reference, prediction):
    """Structural similarity, 11 x 11 Gaussian window of sigma 1.5: float32 `[B]`.

    Wang's ssim_index: K = (0.01, 0.03), no down-sampling, borders left out. Images must
    be at least 11 px a side.
    """
    return tf.image.ssim(*_planes(reference, prediction), max_val=255.0)


def psnr_rgb(reference, prediction):
    """`psnr` of the error over all three channels."""
    return tf.image.psnr(*_channels(reference, prediction), max_val=255.0)


def ssim_rgb(reference, prediction):
    """`ssim`, mean over the three channels."""
    return tf.image.ssim(*_channels(reference, prediction), max_val=255.0)


def _channels(reference, prediction):
    if reference.shape[-1] != 3 or len(reference.shape) != 4:
        raise ValueError(
            "Images must be [B, H, W, 3], in [0, 255]. "
            f"Received: shape {tuple(reference.shape)}."
        )
    return tf.cast(reference, tf.float32), tf.cast(prediction, tf.float32)


def _planes(reference, prediction):
    return tuple(images.luma(x) for x in _channels(reference, prediction))
