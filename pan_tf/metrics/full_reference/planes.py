"""From images to planes: what every metric checks and starts from.

Planes are `[H, W, N]`, the number of the image last: filters then work on neighbouring
numbers, several times as fast on a CPU as one plane after the other.
"""

import tensorflow as tf

from pan_tf import images


def channels(reference, prediction, dtype=tf.float64, smallest=1):
    """Checks a pair of batches and casts them.

    Args:
        reference: uint8, or uint16, which is scaled to [0, 255], or floating
            `[B, H, W, C]` in [0, 255]: RGB, or grey of one channel, or any other number
            of channels.
        prediction: the same shape; the dtype may differ.
        dtype: of the result.
        smallest: pixels that height and width must have.

    Returns:
        (reference, prediction) in `dtype`, `[B, H, W, C]`.

    Raises:
        TypeError: if a dtype is none of these.
        ValueError: if shapes differ or do not fit, or values lie outside [0, 255] or,
            being fractions, wholly inside [0, 1].
        tf.errors.InvalidArgumentError: if values lie outside [0, 255] in a graph.
    """
    reference = _check(reference, "reference")
    prediction = _check(prediction, "prediction")
    if not reference.shape.is_compatible_with(prediction.shape):
        raise ValueError(
            "reference and prediction must have one shape. Received: "
            f"{tuple(reference.shape)} and {tuple(prediction.shape)}."
        )
    height, width = reference.shape[1:3]
    if min(height, width) < smallest:
        raise ValueError(
            f"Images must be at least {smallest} px a side for this metric. "
            f"Received: {height} x {width} px."
        )
    return _in_8_bits(reference, dtype), _in_8_bits(prediction, dtype)


def _in_8_bits(pixels, dtype):
    """Levels of 8 bits, for which constants are; of 16 they are fractions."""
    levels = tf.cast(pixels, dtype)
    return levels / images.STEP_16 if pixels.dtype == tf.uint16 else levels


def luma(pixels, unit=1):
    """`[B, H, W, C]` -> planes of Y times `unit`, `[H, W, B]`, not rounded.

    Y = .299 R + .587 G + .114 B; of another number of channels than three, such as the
    one of a grey image, their mean. With `unit` 1000 the luma of whole numbers is a whole
    number, and exact in float64.
    """
    if pixels.shape[-1] != len(images.LUMA):
        return unit * tf.transpose(tf.reduce_mean(pixels, axis=-1), (1, 2, 0))
    # Once for all images: the weights are multiplied, not Y, so 299 is exact.
    red, green, blue = (round(unit * w, 9) for w in images.LUMA)
    y = red * pixels[..., 0] + green * pixels[..., 1] + blue * pixels[..., 2]
    return tf.transpose(y, (1, 2, 0))


def means(planes):
    """Mean of each plane, float32 or float64 `[H, W, N]` -> `[N]` in float64.

    Rows are added up in the planes' own dtype, their sums in float64: TensorFlow adds a
    float32 plane up number by number, and is off by 4e-3 at 2048 px.
    """
    rows = tf.cast(tf.reduce_mean(planes, axis=1), tf.float64)
    return tf.reduce_mean(rows, axis=0)


def centered(planes):
    """Subtracts each plane's mean: (planes without it, mean `[N]`)."""
    mean = tf.cast(means(planes), planes.dtype)
    return planes - mean, mean


def _check(pixels, name):
    pixels = tf.convert_to_tensor(pixels)
    is_whole = pixels.dtype in (tf.uint8, tf.uint16)
    if not is_whole and not pixels.dtype.is_floating:
        raise TypeError(
            f"{name} must be uint8 or uint16, or floating. Received: {pixels.dtype.name}."
        )
    shape = pixels.shape
    if shape.rank != 4 or None in shape[1:]:
        raise ValueError(
            f"{name} must be [B, H, W, C], all but B known. "
            f"Received: shape {tuple(shape) if shape.rank is not None else 'unknown'}."
        )
    if is_whole:
        return pixels
    rule = f"{name} must be in [0, 255], as uint8 or floating."
    if not tf.executing_eagerly():
        # A NaN fails too.
        legal = tf.reduce_all((pixels >= 0) & (pixels <= images.PEAK))
        with tf.control_dependencies([tf.debugging.Assert(legal, [rule])]):
            return tf.identity(pixels)
    if tf.size(pixels) == 0:
        return pixels
    low, high = float(tf.reduce_min(pixels)), float(tf.reduce_max(pixels))
    if not (low >= 0 and high <= images.PEAK):
        raise ValueError(f"{rule} Received: values from {low:g} to {high:g}.")
    # A black image may well lie in [0, 1]; one of fractions was scaled by somebody.
    if high <= 1 and bool(tf.reduce_any(pixels != tf.round(pixels))):
        raise ValueError(
            f"{rule} Received: fractions from {low:g} to {high:g}, as of images in "
            "[0, 1]."
        )
    return pixels
