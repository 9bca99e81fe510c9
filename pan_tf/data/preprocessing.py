"""Files to images: operations of a graph."""

import os

import numpy as np
import tensorflow as tf

from pan_tf import image_files
from pan_tf.files import UnusableFilesError
from pan_tf.images import ImageSpec


def decode(contents, spec=3):
    """An encoded image (string scalar) -> `[H, W, planes]`, as `image_files` reads it.

    Args:
        contents: bytes of a file.
        spec: `ImageSpec`, or a number of channels of 8 bits.
    """
    return _read(contents, ImageSpec.of(spec))


def read(path, spec=3):
    """As `decode`, of a file; `path` is a string scalar."""
    return _read(path, ImageSpec.of(spec), str)


def _read(source, spec, kind=bytes):
    def read(value):
        value = np.asarray(value).item()
        value = os.fsdecode(value) if kind is str else value
        try:
            return np.ascontiguousarray(image_files.read_picture(value, spec).pixels)
        except image_files.ImageFileError as error:
            where = f"{value} " if kind is str else "An image "
            raise UnusableFilesError(f"{where}{error}") from None
        except OSError as error:
            raise UnusableFilesError(f"{value}: {error.strerror or error}") from None

    pixels = tf.numpy_function(read, [source], spec.dtype.name, stateful=False)
    return tf.ensure_shape(pixels, (None, None, spec.planes))


def halve(pair):
    """Side-by-side `[H, 2 W, C]` -> (A, B), the left and the right half."""
    width = tf.shape(pair)[1] // 2
    return pair[:, :width], pair[:, width : 2 * width]
