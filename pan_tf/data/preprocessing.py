"""Image operations, in graph: what happens to a source happens to its target, if it has
one.

Images are uint8 `[H, W, C]` before, float32 of a `Size` in [-1, 1] after.
Randomness is stateless: an example's crop and flip are a function of its seed alone.
"""

import tensorflow as tf

from pan_tf import images
from pan_tf.data import augment
from pan_tf.size import Size


def decode(contents, channels=3):
    """Encoded JPEG, PNG or BMP (string scalar) -> uint8 `[H, W, C]`.

    The same channels as `inference.read_picture` and a served model make of a file: grey
    is the luma of RGB, and a fourth channel is a PNG's transparency, else opaque.
    """

    def read(count):
        image = tf.io.decode_image(contents, channels=count, expand_animations=False)
        return tf.ensure_shape(image, (None, None, count))

    if channels < 4:
        return images.with_channels(read(3), channels)
    is_png = tf.equal(tf.strings.substr(contents, 0, 4), b"\x89PNG")
    return tf.cond(is_png, lambda: read(4), lambda: images.with_channels(read(3), 4))


def halve(pair):
    """Side-by-side uint8 `[H, 2 W, C]` -> (A, B), the left and the right half."""
    width = tf.shape(pair)[1] // 2
    return pair[:, :width], pair[:, width : 2 * width]


def resize(image, size):
    """uint8 `[H, W, C]` -> the same of another size, by Lanczos with antialiasing.

    As Pillow's Lanczos, which the released code uses: aspect is not kept, and values
    are rounded.
    """
    resized = tf.image.resize(image, Size.of(size), "lanczos3", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, images.PEAK), tf.uint8)


def jitter(group, seed, image_size, load_size, augmentations):
    """Resizes to `load_size`, crops `image_size` at random, and augments.

    The papers' 286 -> 256 (PAN's released code, and pix2pix).

    Args:
        group: tuple of uint8 `[H, W, C]`, images that belong together; they may differ in
            size and channels.
        seed: int64 `[2]`.
        image_size: `Size` of the result, or pixels a side.
        load_size: likewise, before the crop; at least `image_size`.
        augmentations: names of `augment.AUGMENTATIONS`.

    Returns:
        Tuple of float32 `[*image_size, C]` in [-1, 1].
    """
    # What belongs together is one image of many channels, so that it stays together.
    image_size, load_size = Size.of(image_size), Size.of(load_size)
    stacked = _stack(group, load_size)
    if load_size != image_size:
        shape = (1, *image_size, stacked.shape[-1])
        stacked = tf.image.stateless_random_crop(stacked, shape, seed)
    stacked = augment.augment(stacked, seed, augmentations)
    return _unstack(stacked, group)


def plain(group, image_size):
    """Only resizes, as at test time; arguments and result as of `jitter`."""
    return _unstack(_stack(group, Size.of(image_size)), group)


def central_square(image, size):
    """The middle of a uint8 `[H, W, C]`, `size` pixels a side or what there is."""
    height, width = tf.unstack(tf.shape(image)[:2])
    top, left = tf.maximum(height - size, 0) // 2, tf.maximum(width - size, 0) // 2
    return image[top : top + size, left : left + size]


def _stack(group, size):
    """uint8 `[1, *size, sum of channels]`."""
    stacked = tf.concat([resize(image, size) for image in group], -1)[None]
    return tf.ensure_shape(stacked, (1, *size, sum(i.shape[-1] for i in group)))


def _unstack(stacked, group):
    parts = tf.split(stacked[0], [image.shape[-1] for image in group], -1)
    return tuple(images.to_float(part) for part in parts)
