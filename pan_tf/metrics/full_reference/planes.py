"""From images to planes: what every metric checks and starts from.

Planes are `[H, W, N]`, the number of the image last: filters then work on neighbouring
numbers, several times as fast on a CPU as one plane after the other.
"""

import tensorflow as tf


def channels(reference, prediction, dtype=tf.float64, smallest=1):
    """Checks a pair of batches and casts them.

    Args:
        reference: uint8 or floating `[B, H, W, 3]`, RGB in [0, 255].
        prediction: the same shape; the dtype may differ.
        dtype: of the result.
        smallest: pixels that height and width must have.

    Returns:
        (reference, prediction) in `dtype`, `[B, H, W, 3]`.

    Raises:
        TypeError: if a dtype is neither uint8 nor floating.
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
    return tf.cast(reference, dtype), tf.cast(prediction, dtype)


def luma(rgb, unit=1):
    """`[B, H, W, 3]` -> planes of Y times `unit`, `[H, W, B]`, not rounded.

    Y = .299 R + .587 G + .114 B. With `unit` 1000 the luma of whole numbers is a whole
    number, and exact in float64.
    """
    # Once for all images: the weights are multiplied, not Y, so 299 is exact.
    red, green, blue = (round(unit * w, 9) for w in (0.299, 0.587, 0.114))
    y = red * rgb[..., 0] + green * rgb[..., 1] + blue * rgb[..., 2]
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


def _check(images, name):
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.uint8 and not images.dtype.is_floating:
        raise TypeError(
            f"{name} must be uint8 or floating. Received: {images.dtype.name}."
        )
    shape = images.shape
    if shape.rank != 4 or shape[-1] != 3 or None in shape[1:3]:
        raise ValueError(
            f"{name} must be [B, H, W, 3], with H and W known. "
            f"Received: shape {tuple(shape) if shape.rank is not None else 'unknown'}."
        )
    if images.dtype == tf.uint8:
        return images
    rule = f"{name} must be in [0, 255], as uint8 or floating."
    if not tf.executing_eagerly():
        # A NaN fails too.
        legal = tf.reduce_all((images >= 0) & (images <= 255))
        with tf.control_dependencies([tf.debugging.Assert(legal, [rule])]):
            return tf.identity(images)
    if tf.size(images) == 0:
        return images
    low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if not (low >= 0 and high <= 255):
        raise ValueError(f"{rule} Received: values from {low:g} to {high:g}.")
    # A black image may well lie in [0, 1]; one of fractions was scaled by somebody.
    if high <= 1 and bool(tf.reduce_any(images != tf.round(images))):
        raise ValueError(
            f"{rule} Received: fractions from {low:g} to {high:g}, as of images in "
            "[0, 1]."
        )
    return images
