"""The one reader of image files: training, the doctor, and translation see what it sees.

An image is stood upright by its EXIF, palettes and CMYK become RGB, colours of another
profile than sRGB become sRGB. 16 bits, float32 and more channels than three are kept for
`ImageSpec.fit` to judge. Pages of a TIFF that are grey and of one size are channels.
"""

import contextlib
import io
import pathlib
import threading

import numpy as np
from PIL import Image

from pan_tf import images
from pan_tf import memory
from pan_tf.image_files import pillow
from pan_tf.image_files import tiff
from pan_tf.image_files.picture import READ
from pan_tf.image_files.picture import Header
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.picture import Picture
from pan_tf.image_files.picture import not_a_file
from pan_tf.images import ImageSpec

_NPY = b"\x93NUMPY"
# Most pixels that a byte can hold: eight of 1-bit grey, 1032 times by deflate. JPEG holds
# fewer.
_DENSEST = 8 * 1032
# While an image is read, it lies in memory so many times; what is small is not counted.
_COPIES, _SMALL = 3, 2**26
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_picture(source, spec: int | images.ImageSpec = 3):
    """Reads a picture as a T takes it.

    Args:
        source: path, or what opens like one, bytes, or file of bytes.
        spec: `ImageSpec`, or a number of channels of 8 bits; of four the last is the
            picture's transparency.

    Returns:
        `Picture` whose pixels are `spec.dtype` `[H, W, spec.planes]`.

    Raises:
        ImageFileError: if it is not a still picture of a kind that can be read so.
    """
    spec = ImageSpec.of(spec)
    return fitted(read_raw(source, as_labels=bool(spec.labels)), spec)


def fitted(picture, spec, columns=slice(None)):
    """What `read_raw` gave as a T takes it, all of it or some columns.

    Raises:
        ImageFileError: if it does not fit.
    """
    picture = Picture(
        picture.pixels[:, columns],
        None if picture.alpha is None else picture.alpha[:, columns],
        picture.tags,
    )
    missing = None if spec.low is None else picture.missing
    try:
        if spec.channels == 4 and not spec.labels and picture.pixels.shape[-1] < 4:
            return _with_fourth(picture, spec, missing)
        pixels = spec.fit(picture.pixels, missing)
        return Picture(pixels, picture.alpha, picture.tags)
    except ValueError as error:
        raise ImageFileError(str(error)) from None


def read_raw(source, as_labels=False):
    """Reads a picture as its file has it.

    Args:
        source: as of `read_picture`.
        as_labels: whether a palette's numbers are wanted in place of its colours.

    Returns:
        `Picture` of any kind of number.

    Raises:
        ImageFileError: if it is not a still picture of a kind that can be read.
    """
    with _opened(source) as file:
        kind = _kind(file)
        if kind == "npy":
            return Picture(_array(file))
        if kind == "tiff" and (pages := tiff.pages_of(file)):
            _check_claim(tiff.header(pages), file)
            return _whole(tiff.read(file, pages))
        with Image.open(file, formats=READ) as image:
            _check_claim(pillow.header(image, file), file)
            return _whole(pillow.read(image, file, as_labels))


def read_header(source):
    """What a file is, without decoding it: `Header`; errors as of `read_raw`."""
    with _opened(source) as file:
        kind = _kind(file)
        if kind == "npy":
            array = _array(file)
            return Header(*array.shape, str(array.dtype), False, "NPY")
        if kind == "tiff" and (pages := tiff.pages_of(file)):
            return tiff.header(pages)
        with Image.open(file, formats=READ) as image:
            return pillow.header(image, file)


def _with_fourth(picture, spec, missing):
    """A picture of at most three channels as one of four: with its transparency."""
    rgb = ImageSpec(3, spec.bits, low=spec.low, high=spec.high, kind=spec.kind)
    pixels = rgb.fit(picture.pixels, missing)
    if picture.alpha is None:
        return Picture(images.with_channels(pixels, 4), None, picture.tags)
    alpha = images.to_bits(picture.alpha, spec.bits)[..., None]
    return Picture(np.concatenate([pixels, alpha], axis=-1), None, picture.tags)


@contextlib.contextmanager
def _opened(source):
    """A file of bytes; whatever goes wrong with it is a sentence."""
    place = None
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(source, bytes):
                source = io.BytesIO(source)
            elif not hasattr(source, "read"):
                if problem := not_a_file(source):
                    raise ImageFileError(problem)
                place = source if hasattr(source, "open") else pathlib.Path(source)
                source = stack.enter_context(place.open("rb"))
            stack.enter_context(_GUARD)
            yield source
    except ImageFileError:
        raise
    # The readers raise whatever their formats' accidents raise.
    except Exception as error:
        raise ImageFileError(_sentence(place or source, error)) from error


def _kind(file):
    head = file.read(8)
    file.seek(0)
    if head.startswith(_NPY):
        return "npy"
    if head[:4] in _TIFF:
        return "tiff"
    return None


def _array(file):
    """A .npy file as `[H, W, C]`."""
    array = np.load(file, allow_pickle=False)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "buif":
        raise ImageFileError(
            f"holds an array {array.dtype} {list(array.shape)}; numbers [H, W] or "
            "[H, W, C] are wanted"
        )
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _check_claim(header, file):
    """Raises ImageFileError if a header claims more than its file, or memory, can hold.

    Readers take the memory first, and a few damaged bytes can claim a terabyte.
    """
    count = header.height * header.width
    wanted = _COPIES * count * header.channels * np.dtype(header.kind).itemsize
    if wanted < _SMALL:
        return
    size = f"{header.width} x {header.height} pixels"
    length = _length(file)
    file.seek(0)
    if header.format in ("PNG", "JPEG") and length and count > _DENSEST * length:
        raise ImageFileError(
            f"is damaged: it claims {size}, more than its {length} bytes can hold"
        )
    free = memory.available_bytes()
    if free is not None and wanted > free:
        raise ImageFileError(
            f"is too large: its {size} need {wanted / 2**30:.1f} GiB of memory, and "
            f"{free / 2**30:.1f} are free"
        )


def _whole(picture):
    """A picture as it is; raises ImageFileError if damage has left no image of it."""
    if picture.pixels.ndim != 3 or 0 in picture.pixels.shape:
        raise ImageFileError(
            f"is damaged: it holds numbers {list(picture.pixels.shape)}, no image"
        )
    return picture


def _sentence(source, error):
    # Nothing is written here: so Pillow says that it has no memory to hand pixels over.
    if isinstance(error, MemoryError) or "error when writing" in str(error):
        return "needs more memory than there is"
    if _length(source) == 0:
        return "is empty"
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "is not an image, or of a kind that cannot be read"
    return f"cannot be read: {str(error).splitlines()[0] if str(error) else name}"


def _length(source):
    """In bytes, of a place or of an open file; None if it cannot be told."""
    if hasattr(source, "stat"):
        return source.stat().st_size if source.is_file() else None
    if not getattr(source, "closed", False):
        return source.seek(0, io.SEEK_END)
    return None


class _Guard:
    """Pillow's guard against huge files, off while one of the user's own is read."""

    def __init__(self):
        self._lock, self._readers, self._limit = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if not self._readers:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._readers += 1

    def __exit__(self, *error):
        with self._lock:
            self._readers -= 1
            if not self._readers:
                Image.MAX_IMAGE_PIXELS = self._limit


_GUARD = _Guard()
