"""Encoded images inside a served graph, from clients that nobody knows.

A header is read before anything is decoded, so that what a request may cost is known
before it costs it. What is refused is refused with INVALID_ARGUMENT and a sentence.
PNG and JPEG only: GIF reads all its frames before the first is out, and BMP's rows may
claim anything. A JPEG is decoded as Pillow does, to the bit, and stood upright.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.images import ImageSpec

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_HEADER = 24  # Bytes of a PNG up to width and height.
# Bytes of a file in which its orientation is looked for, of a PNG at its end, too.
_SEARCHED = 2**17

# The orientation, tag 0x0112, one number of 16 or 32 bits, in either byte order, in the
# first directory of the EXIF data of a JPEG or a PNG: before it come entries of 12 bytes
# with lower tags. The directory of a thumbnail, further on, does not count. \C is a byte,
# whatever it is in UTF-8.
_ORIENTATION = (
    rb"\C*(?:Exif\x00\x00|eXIf)(?:"
    rb"II\*\x00\x08\x00\x00\x00\C\C(?:(?:\C\x00|[\x00-\x11]\x01)\C{10}){0,40}"
    rb"\x12\x01[\x03\x04]\x00\x01\x00\x00\x00\x0%d\x00|"
    rb"MM\x00\*\x00\x00\x00\x08\C\C(?:(?:\x00\C|\x01[\x00-\x11])\C{10}){0,40}"
    rb"\x01\x12\x00(?:\x03\x00\x00\x00\x01|\x04\x00\x00\x00\x01\x00\x00)\x00\x0%d)\C*"
)
# The chunk that announces an animation.
_ANIMATION = rb"\C*\x00\x00\x00\x08acTL\C*"


def image_size(contents):
    """Height and width by the header of a PNG or JPEG, upright; refuses all else.

    Args:
        contents: string `[]`.

    Returns:
        int64 `[2]`, height and width, at least 1.
    """
    head = tf.strings.substr(contents + bytes(_HEADER), 0, _HEADER)
    is_png, is_jpeg = _is_png(head), _is_jpeg(head)
    known = _require(is_png | is_jpeg, "`image_bytes` must be PNG or JPEG files.")
    with tf.control_dependencies([known]):
        size = tf.cond(
            is_png, lambda: _png_size(head), lambda: _jpeg_size(tf.identity(contents))
        )
    searched = tf.cond(is_png, lambda: tf.identity(contents), lambda: tf.constant(b""))
    still = ~tf.strings.regex_full_match(searched, _ANIMATION)
    checks = [
        _require(tf.reduce_all(size > 0), "`image_bytes` must not be empty images."),
        _require(still, "`image_bytes` must be still images, not animations."),
    ]
    with tf.control_dependencies(checks):
        size = tf.identity(size)
    return tf.cond(_orientation(contents) >= 5, lambda: size[::-1], lambda: size)


def decode(contents, spec=3):
    """Decodes a PNG or JPEG whose header has been looked at.

    Args:
        contents: string `[]`.
        spec: `ImageSpec`, or a number of channels of 8 bits: 1, 3, or 4, whose last is
            the transparency. Labels are the numbers of a grey PNG.

    Returns:
        Pixels as of the spec, `[H, W, planes]`, upright by its EXIF (not by XMP, nor by
        EXIF whose first directory is not its beginning). Grey and palettes become RGB, or
        RGB grey; transparency is dropped unless it is asked for; of 16 bits the upper
        eight are kept where 8 are wanted.
    """
    spec = ImageSpec.of(spec)
    is_deep = spec.bits == 16 or spec.low is not None or spec.labels
    bits = 16 if is_deep else 8
    channels = 1 if spec.labels else max(spec.channels, 3)
    pixels = tf.cond(
        _is_jpeg(contents),
        lambda: images.with_channels(_jpeg(contents, bits, spec), channels),
        lambda: _png(contents, bits, channels, spec),
    )
    if spec.labels:
        pixels = _labels(pixels, contents, spec)
    else:
        pixels = _fitted(pixels, contents, spec)
    pixels = tf.ensure_shape(pixels, (None, None, spec.planes))
    return _upright(pixels, contents)


def _labels(pixels, contents, spec):
    """Numbers of classes, of a grey PNG only: a palette's are not to be had here."""
    is_grey = tf.equal(tf.strings.substr(contents + bytes(_HEADER), 25, 1), b"\0")
    checks = [
        _require(
            ~_is_jpeg(contents) & is_grey,
            "Label maps must be grey PNG files of the classes' numbers.",
        ),
        _require(
            tf.reduce_max(tf.cast(pixels, tf.int32)) < spec.labels,
            f"Labels must be 0 to {spec.labels - 1}.",
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.cast(tf.identity(pixels), spec.dtype.name)


def restored(pixels, spec):
    """Levels of an output -> what a PNG file of the training's kind holds."""
    if spec.low is None or not spec.is_whole:
        return pixels
    levels = np.arange(2**spec.bits, dtype=spec.dtype)
    values = spec.restore(np.stack([levels] * spec.channels, -1)[None])[0]
    if not spec.has_alpha:
        return _looked_up(pixels, values[:, 0])
    sides = (pixels[..., :3], values[:, 0]), (pixels[..., 3:], values[:, 3])
    return tf.concat([_looked_up(*side) for side in sides], -1)


def _fitted(pixels, contents, spec):
    """As `ImageSpec.fit`, of files that have whole numbers; `[H, W, 3 or 4]`."""
    if spec.low is None:
        return images.with_channels(images.to_bits(pixels, spec.bits), spec.planes)
    # A PNG's fourth is its transparency, which has no range.
    values, alpha = pixels[..., :3], pixels[..., 3:]
    if not spec.takes_8_bits:
        sentence = f"Files must be PNG of 16 bits, whose values are {spec}."
        check = _require(~_is_jpeg(contents) & _is_deep(contents), sentence)
        with tf.control_dependencies([check]):
            values = tf.identity(values)
    every = np.arange(2**16, dtype=np.uint16)[:, None, None]
    levels = _looked_up(values, dataclasses.replace(spec, channels=1).fit(every))
    if spec.planes == 4:
        return tf.concat([levels, images.to_bits(alpha, spec.bits)], -1)
    return images.with_channels(levels, spec.planes)


def _looked_up(numbers, table):
    """What a table, made by `ImageSpec` itself, has for each of some whole numbers.

    A served graph computes otherwise than NumPy where a value lies between two levels.
    """
    return tf.gather(tf.constant(table.ravel()), tf.cast(numbers, tf.int32))


def _is_png(head):
    return tf.equal(tf.strings.substr(head, 0, 8), _PNG) & tf.equal(
        tf.strings.substr(head, 12, 4), b"IHDR"
    )


def _is_jpeg(contents):
    return tf.equal(tf.strings.substr(contents, 0, 3), _JPEG)


def _png_size(head):
    numbers = tf.reshape(
        tf.cast(tf.io.decode_raw(tf.strings.substr(head, 16, 8), tf.uint8), tf.int64),
        (2, 4),
    )
    places = tf.constant([2**24, 2**16, 2**8, 1], tf.int64)
    return tf.reverse(tf.reduce_sum(numbers * places, axis=1), [0])


def _is_deep(png):
    return tf.equal(tf.strings.substr(png + bytes(_HEADER), 24, 1), b"\x10")


def _jpeg_size(contents):
    return tf.cast(tf.io.extract_jpeg_shape(contents)[:2], tf.int64)


def _png(contents, bits, channels, spec):
    # Grey by the same weights as everywhere; TensorFlow's decoder has others.
    dtype = tf.uint16 if bits == 16 else tf.uint8
    pixels = tf.io.decode_png(contents, channels, dtype)
    if channels == 4:
        pixels = _with_whole_alpha(pixels, contents)
    if spec.low is not None or spec.labels:  # The file's own values count.
        values = tf.cast(pixels[..., :3], tf.int32)
        values = tf.where(_is_deep(contents), values, values // images.STEP_16)
        if spec.labels:
            values //= _spread(contents)
        pixels = tf.concat([tf.cast(values, tf.uint16), pixels[..., 3:]], -1)
    return pixels


def _spread(png):
    """What the decoder has multiplied the numbers of a grey PNG of 1 to 4 bits with."""
    depth = tf.io.decode_raw(tf.strings.substr(png, 24, 1), tf.uint8)[0]
    depth = tf.minimum(tf.cast(depth, tf.int32), 8)
    return 255 // (tf.bitwise.left_shift(1, depth) - 1)


def _with_whole_alpha(pixels, contents):
    """Grey or palettes of 1, 2 or 4 bits that are opaque but for a key.

    TensorFlow's decoder does not spread the alpha that it makes up for them.
    """
    header = tf.io.decode_raw(tf.strings.substr(contents, 24, 2), tf.uint8)
    is_grey, is_palette = tf.equal(header[1], 0), tf.equal(header[1], 3)
    has_key = tf.strings.regex_full_match(contents, rb"\C*tRNS\C*")
    # What a palette says of transparency is whole.
    is_short = (header[0] < 8) & (is_grey | (is_palette & ~has_key))
    alpha = tf.where(pixels[..., 3:] > 0, pixels.dtype.max, 0)
    alpha = tf.where(is_short, tf.cast(alpha, pixels.dtype), pixels[..., 3:])
    return tf.concat([pixels[..., :3], alpha], -1)


def _jpeg(contents, bits, spec):
    # The accurate transform is Pillow's; TensorFlow's default is a faster one.
    pixels = tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE")
    if spec.low is not None or spec.labels:
        return tf.cast(pixels, tf.uint16)
    return images.to_bits(pixels, bits)


def _orientation(contents):
    """1, upright, to 8; from 5 on rows are columns."""
    start = tf.strings.substr(contents, 0, _SEARCHED)
    length = tf.strings.length(contents)
    # Some writers of PNG put it behind the pixels. At the end of a JPEG may lie another
    # image, with an orientation of its own.
    end = tf.strings.substr(contents, tf.maximum(length - _SEARCHED, 0), _SEARCHED)
    start += tf.where(_is_png(contents + bytes(_HEADER)), end, b"")
    found = [
        tf.strings.regex_full_match(start, _ORIENTATION % (number, number))
        for number in range(2, 9)
    ]
    return tf.argmax([False, *found]) + 1  # 1 if none is found.


def _upright(pixels, contents):
    orientation = _orientation(contents)

    def turned(numbers, turn, image):
        wanted = tf.reduce_any(tf.equal(orientation, numbers))
        return tf.cond(wanted, lambda: turn(image), lambda: image)

    pixels = turned([5, 6, 7, 8], lambda image: tf.transpose(image, (1, 0, 2)), pixels)
    pixels = turned([2, 3, 6, 7], lambda image: tf.reverse(image, [1]), pixels)
    return turned([3, 4, 7, 8], lambda image: tf.reverse(image, [0]), pixels)


def _require(condition, sentence):
    return tf.debugging.Assert(condition, [sentence])
