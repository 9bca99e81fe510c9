"""Images on disk: PNG, JPEG, TIFF, BMP, WebP and NumPy arrays, read and written.

Training, the doctor, evaluation, translation and the client read files here and nowhere
else, so that all of them see the same pixels.
"""

from pan_tf.image_files.picture import ENDINGS
from pan_tf.image_files.picture import FORMATS
from pan_tf.image_files.picture import OPAQUE
from pan_tf.image_files.picture import Header
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.picture import Picture
from pan_tf.image_files.picture import ending_of
from pan_tf.image_files.picture import format_of
from pan_tf.image_files.picture import is_image
from pan_tf.image_files.picture import not_a_file
from pan_tf.image_files.reading import fitted
from pan_tf.image_files.reading import read_header
from pan_tf.image_files.reading import read_picture
from pan_tf.image_files.reading import read_raw
from pan_tf.image_files.writing import format_kept
from pan_tf.image_files.writing import loses_values
from pan_tf.image_files.writing import write_picture

__all__ = [
    "ENDINGS",
    "FORMATS",
    "OPAQUE",
    "Header",
    "ImageFileError",
    "Picture",
    "ending_of",
    "fitted",
    "format_kept",
    "format_of",
    "is_image",
    "loses_values",
    "not_a_file",
    "read_header",
    "read_picture",
    "read_raw",
    "write_picture",
]
