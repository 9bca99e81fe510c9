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
import tensorflow as tf
import tifffile
from PIL import Image
from PIL import ImageCms
from PIL import ImageOps

from pan_tf import images
from pan_tf.image_files.picture import Header
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.picture import Picture
from pan_tf.images import ImageSpec

# ImageDescription, resolution (3); GeoTIFF: pixel scale, tie points, transformation,
# three tables of keys; GDAL: metadata, value of missing pixels.
_KEPT_TAGS = (
    *(270, 282, 283, 296),
    *(33550, 33922, 34264, 34735, 34736, 34737),
    *(42112, 42113),
)
_REDUCED, _MASK = 1, 4  # Of NewSubfileType: a smaller copy, a mask.
_ORIENTATION = 0x0112
_NPY = b"\x93NUMPY"
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
_GREY = ("1", "L", "I", "F", *_DEEP)
_SRGB = ImageCms.createProfile("sRGB")
_FULL = {"tif": "pip install imagecodecs reads more kinds of TIFF"}


def read_picture(source, spec=3):
    """Reads a picture as a T takes it.

    Args:
        source: path, bytes, or file of bytes.
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
    try:
        if spec.channels == 4 and not spec.labels and picture.pixels.shape[-1] < 4:
            return _with_fourth(picture, spec)
        return Picture(spec.fit(picture.pixels), picture.alpha, picture.tags)
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
        if kind == "tiff" and (page := _deep_page(file)):
            return _read_tiff(file, page)
        with Image.open(file) as image:
            return _read_pillow(image, file, as_labels)


def read_header(source):
    """What a file is, without decoding it: `Header`; errors as of `read_raw`."""
    with _opened(source) as file:
        kind = _kind(file)
        if kind == "npy":
            array = _array(file)
            return Header(*array.shape, str(array.dtype), False, "NPY")
        if kind == "tiff" and (page := _deep_page(file)):
            return _tiff_header(file, page)
        with Image.open(file) as image:
            return _pillow_header(image, file)


def _with_fourth(picture, spec):
    """A picture of at most three channels as one of four: with its transparency."""
    rgb = ImageSpec(3, spec.bits, low=spec.low, high=spec.high, kind=spec.kind)
    pixels = rgb.fit(picture.pixels)
    if picture.alpha is None:
        return Picture(images.with_channels(pixels, 4), None, picture.tags)
    alpha = images.to_bits(picture.alpha, spec.bits)[..., None]
    return Picture(np.concatenate([pixels, alpha], axis=-1), None, picture.tags)


@contextlib.contextmanager
def _opened(source):
    """A file of bytes; whatever goes wrong with it is a sentence."""
    try:
        with contextlib.ExitStack() as stack:
            if isinstance(source, bytes):
                source = io.BytesIO(source)
            elif not hasattr(source, "read"):
                source = stack.enter_context(open(source, "rb"))
            stack.enter_context(_unlimited())
            yield source
    except ImageFileError:
        raise
    # The readers raise whatever their formats' accidents raise.
    except Exception as error:
        raise ImageFileError(_sentence(source, error)) from error


def _kind(file):
    head = file.read(8)
    file.seek(0)
    if head.startswith(_NPY):
        return "npy"
    if head[:4] in _TIFF:
        return "tiff"
    return "png" if head == _PNG else None


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


# What Pillow says of an image.


def _read_pillow(image, file, as_labels):
    if as_labels and image.mode == "P":
        _check_frames(image)
        labels = ImageOps.exif_transpose(_with_indices(image))
        return Picture(np.asarray(labels)[..., None])
    _check_frames(image)
    tags = _kept_tags(image)
    if _is_deep_png(image, file):
        return _read_deep_png(image, file)
    image.load()
    is_png = image.format == "PNG"
    turned = ImageOps.exif_transpose(image)
    if turned.mode in _GREY:
        return Picture(_grey(turned, is_png), _alpha_of_grey(turned), tags)
    alpha = None
    if turned.has_transparency_data:
        alpha = np.asarray(turned.convert("RGBA").getchannel("A"))
    if turned.mode == "LA":
        return Picture(np.asarray(turned.getchannel("L"))[..., None], alpha, tags)
    if turned.mode == "P" and alpha is not None:
        turned = turned.convert("RGBA")
    return Picture(np.asarray(_in_srgb(turned)), alpha, tags)


def _with_indices(image):
    """A palette image as grey: its numbers."""
    image.load()
    indices = Image.fromarray(np.asarray(image))
    indices.info["exif"] = image.getexif().tobytes()
    turned = image.getexif().get(_ORIENTATION, 1)
    indices.getexif()[_ORIENTATION] = turned
    return indices


def _grey(image, is_png):
    """`[H, W, 1]` of a grey image of any depth."""
    if image.mode == "1":
        image = image.convert("L")
    values = np.asarray(image)
    # Older versions of Pillow call 16-bit grey in a PNG "I".
    if image.mode in _DEEP or (image.mode == "I" and is_png):
        values = values.astype(np.uint16)
    return values[..., None]


def _alpha_of_grey(image):
    """Transparency of a grey image: of the one level that a PNG may name."""
    if image.mode not in ("L", "1") or not image.has_transparency_data:
        return None
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _in_srgb(image):
    """An image of colours as RGB, by its profile where it has one."""
    description = _profile(image)
    if image.mode in ("P", "RGBA", "RGBX", "PA", "RGBa"):
        info = image.info
        image = image.convert("RGB")
        image.info = info
    if description is not None:
        source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        image = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
    return image.convert("RGB")


def _profile(image):
    """Description of a colour profile other than sRGB, if it fits; else None."""
    contents = image.info.get("icc_profile")
    if not contents:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(contents))
        description = ImageCms.getProfileDescription(profile).strip()
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    wanted = "CMYK" if image.mode == "CMYK" else "RGB"
    is_ours = "srgb" in description.lower() or image.mode in _GREY
    return None if is_ours or space != wanted else description


def _is_deep_png(image, file):
    """Whether it is a PNG of 16 bits that Pillow would cut down to 8."""
    if image.format != "PNG" or image.mode in _GREY:
        return False
    place = file.tell()
    file.seek(24)
    depth = file.read(1)
    file.seek(place)
    return depth == b"\x10"


def _read_deep_png(image, file):
    turned = image.getexif().get(_ORIENTATION, 1)
    file.seek(0)
    pixels = tf.io.decode_png(file.read(), channels=0, dtype=tf.uint16).numpy()
    pixels = _upright(pixels, turned)
    if pixels.shape[-1] in (2, 4):
        return Picture(pixels[..., :-1], pixels[..., -1])
    return Picture(pixels)


def _upright(pixels, orientation):
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _pillow_header(image, file):
    _check_frames(image)
    orientation = image.getexif().get(_ORIENTATION, 1)
    width, height = image.size
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    is_deep = _is_deep_png(image, file)
    is_deep = is_deep or image.mode in _DEEP or (image.mode == "I" and _is_png(image))
    kind = {"F": "float32", "I": "int32"}.get(image.mode, "uint8")
    return Header(
        height,
        width,
        1 if image.mode in (*_GREY, "LA") else 3,
        "uint16" if is_deep else kind,
        bool(image.has_transparency_data),
        "JPEG" if image.format == "MPO" else image.format,
        orientation,
        _profile(image),
    )


def _is_png(image):
    return image.format == "PNG"


def _check_frames(image):
    """Raises ImageFileError for a film; smaller copies and masks of a TIFF are none."""
    # MPO: what some telephones call JPEG.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if image.format == "TIFF" and frames > 1:
        kinds = []
        for frame in reversed(range(frames)):  # The first comes last, and stays.
            image.seek(frame)
            kinds.append(image.tag_v2.get(254, 0))
        frames = sum(not kind & (_REDUCED | _MASK) for kind in kinds)
    if frames > 1:
        raise ImageFileError(f"holds {frames} images; one is wanted")


def _kept_tags(image):
    known = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or known is None:
        return None
    return {t: (known.tagtype[t], known[t]) for t in _KEPT_TAGS if t in known}


# What tifffile says of an image that Pillow cannot read, or not as it is.


def _deep_page(file):
    """The pages of a TIFF that is tifffile's; None if Pillow reads all that there is."""
    try:
        tiff = tifffile.TiffFile(file)
        pages = [page.aspage() for page in tiff.pages]
        pages = [p for p in pages if not p.subfiletype & (_REDUCED | _MASK)]
        first = pages[0]
        is_stack = len(pages) > 1 and all(
            (p.shape, p.dtype) == (first.shape, first.dtype) and p.samplesperpixel == 1
            for p in pages
        )
        is_deep = first.dtype is not None and first.dtype != np.uint8
        is_bands = first.samplesperpixel > 4 or 0 in first.extrasamples
        if is_stack:
            return pages
        if len(pages) == 1 and first.bitspersample > 1 and (is_deep or is_bands):
            return pages
    # What tifffile cannot even list, Pillow may.
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError):
        pass
    finally:
        file.seek(0)
    return None


def _read_tiff(file, pages):
    first = pages[0]
    try:
        planes = [page.asarray() for page in pages]
    except (KeyError, ValueError) as error:
        file.seek(0)
        if first.samplesperpixel == 1 and len(pages) == 1:
            with Image.open(file) as image:  # Which has codecs of its own.
                return _read_pillow(image, file, False)
        raise ImageFileError(f"cannot be read: {error}; {_FULL['tif']}") from error
    pixels = np.stack(planes, -1) if len(planes) > 1 else planes[0]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if first.axes.startswith("S"):  # Channels are stored one after the other.
        pixels = np.moveaxis(pixels, 0, -1)
    orientation = first.tags.get(_ORIENTATION)
    pixels = _upright(pixels, int(orientation.value) if orientation else 1)
    tags = {
        tag.code: (int(tag.dtype), _value(tag))
        for tag in first.tags
        if tag.code in _KEPT_TAGS
    }
    count = _colors(pages)
    alpha = pixels[..., count] if count < pixels.shape[-1] else None
    if alpha is not None and alpha.dtype not in (np.uint8, np.uint16):
        alpha = None
    return Picture(pixels[..., :count], alpha, tags)


def _value(tag):
    is_ratio = int(tag.dtype) in (5, 10) and len(tag.value) == 2
    return tag.value[0] / tag.value[1] if is_ratio else tag.value


def _colors(pages):
    """Channels of pages without transparency."""
    if len(pages) > 1:
        return len(pages)
    first = pages[0]
    has_alpha = any(kind in (1, 2) for kind in first.extrasamples)
    return first.samplesperpixel - has_alpha


def _tiff_header(file, pages):
    first = pages[0]
    height, width = first.imagelength, first.imagewidth
    found = first.tags.get(_ORIENTATION)
    orientation = int(found.value) if found else 1
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    channels = _colors(pages)
    has_alpha = len(pages) == 1 and channels < first.samplesperpixel
    return Header(
        height, width, channels, str(first.dtype), has_alpha, "TIFF", orientation
    )


def _sentence(source, error):
    if isinstance(error, FileNotFoundError):
        return "is not there"
    if _length(source) == 0:
        return "is empty"
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "is not an image, or of a kind that cannot be read"
    return f"cannot be read: {str(error).splitlines()[0] if str(error) else name}"


def _length(source):
    if hasattr(source, "seek") and not getattr(source, "closed", False):
        return source.seek(0, io.SEEK_END)
    name = getattr(source, "name", source)
    if isinstance(name, str | pathlib.Path) and pathlib.Path(name).is_file():
        return pathlib.Path(name).stat().st_size
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


def _unlimited():
    return _GUARD
