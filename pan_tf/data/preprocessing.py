"""Image operations, in graph: what happens to a source happens to its target, if it has
one.

Images are uint8 `[H, W, 3]` before, float32 `[size, size, 3]` in [-1, 1] after.
Randomness is stateless: an example's crop and flip are a function of its seed alone.
"""

import tensorflow as tf

from pan_tf import images
from pan_tf.data import augment


def decode(contents):
    """Encoded JPEG, PNG or BMP (string scalar) -> uint8 `[H, W, 3]`, RGB."""
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    return tf.ensure_shape(image, (None, None, 3))


def halve(pair):
    """Side-by-side uint8 `[H, 2 W, 3]` -> (A, B), the left and the right half."""
    width = tf.shape(pair)[1] // 2
    return pair[:, :width], pair[:, width : 2 * width]


def resize(image, size):
    """uint8 `[H, W, 3]` -> uint8 `[size, size, 3]`, Lanczos with antialiasing.

    As Pillow's Lanczos, which the released code uses: aspect is not kept, and values
    are rounded.
    """
    resized = tf.image.resize(image, (size, size), "lanczos3", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def jitter(group, seed, image_size, load_size, augmentations):
    """Resizes to `load_size`, crops `image_size` at random, and augments.

    The papers' 286 -> 256 (PAN's released code, and pix2pix).

    Args:
        group: tuple of uint8 `[H, W, 3]`, images that belong together; they may differ in
            size.
        seed: int64 `[2]`.
        image_size: pixels a side of the result.
        load_size: pixels a side before the crop, at least `image_size`.
        augmentations: names of `augment.AUGMENTATIONS`.

    Returns:
        Tuple of float32 `[image_size, image_size, 3]` in [-1, 1].
    """
    stacked = _stack(group, load_size)
    if load_size > image_size:
        shape = (len(group), image_size, image_size, 3)
        stacked = tf.image.stateless_random_crop(stacked, shape, seed)
    stacked = augment.augment(stacked, seed, augmentations)
    return tuple(tf.unstack(images.to_float(stacked)))


def plain(group, image_size):
    """Only resizes, as at test time; arguments and result as of `jitter`."""
    return tuple(tf.unstack(images.to_float(_stack(group, image_size))))


def central_square(image, size):
    """The middle of a uint8 `[H, W, 3]`, `size` pixels a side or what there is."""
    height, width = tf.unstack(tf.shape(image)[:2])
    top, left = tf.maximum(height - size, 0) // 2, tf.maximum(width - size, 0) // 2
    return image[top : top + size, left : left + size]


def _stack(group, size):
    stacked = tf.stack([resize(image, size) for image in group])
    return tf.ensure_shape(stacked, (len(group), size, size, 3))
