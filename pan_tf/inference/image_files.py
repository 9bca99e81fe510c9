"""Pictures on disk: whatever Pillow reads, upright, as 8-bit RGB, and back.

Transparency goes around T and comes back with the output, unless T takes four channels.
Grey, palette and CMYK become RGB, or the grey that T takes; of 16 bits the upper eight
count, as in TensorFlow's decoder. TIFF tags that say where on Earth an image lies, or at
which scale, stay with a TIFF.
"""

import contextlib
import dataclasses
import os
import pathlib

import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import TiffImagePlugin

from pan_tf import images

# ImageDescription, resolution (3); GeoTIFF: pixel scale, tie points, transformation,
# three tables of keys; GDAL: metadata, value of missing pixels.
_KEPT_TAGS = (
    *(270, 282, 283, 296),
    *(33550, 33922, 34264, 34735, 34736, 34737),
    *(42112, 42113),
)
_NEW_SUBFILE_TYPE, _REDUCED, _MASK = 254, 1, 4
_SAVE = {
    "PNG": {},
    "JPEG": {"quality": 95},
    "TIFF": {},
    "BMP": {},
    "WEBP": {"lossless": True},
}
OPAQUE = ("JPEG", "BMP")  # Formats without transparency.
_ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}
_OTHER_ENDINGS = {
    ".jpeg": ".jpg",
    ".jpe": ".jpg",
    ".jfif": ".jpg",
    ".mpo": ".jpg",
    ".tiff": ".tif",
}


class ImageFileError(Exception):
    """A file that cannot be read as a still picture; the message is a sentence."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture and what goes around T.

    Attributes:
        pixels: uint8 `[H, W, C]`, upright: grey, RGB, or RGB and alpha.
        alpha: uint8 `[H, W]`, or None.
        tags: `TiffImagePlugin.ImageFileDirectory_v2` of kept tags, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    tags: object = None


def read_picture(path, channels=3):
    """Reads a picture.

    Args:
        path: the file.
        channels: of the pixels: 1, 3, or 4, whose last is the picture's transparency.

    Raises:
        ImageFileError: if it is not a still picture of a kind that can be read.
    """
    try:
        with _unlimited(), Image.open(path) as image:
            picture = _picture(image)
    except ImageFileError:
        raise
    # Pillow's readers raise whatever their formats' accidents raise.
    except Exception as error:
        raise ImageFileError(_sentence(path, error)) from error
    pixels = images.with_channels(picture.pixels, channels)
    if channels == 4 and picture.alpha is not None:
        pixels = np.concatenate([picture.pixels, picture.alpha[..., None]], axis=-1)
        return dataclasses.replace(picture, pixels=pixels, alpha=None)
    return dataclasses.replace(picture, pixels=pixels)


def write_picture(path, picture, format):
    """Writes a picture whole or not at all.

    Args:
        path: the file.
        picture: `Picture`.
        format: "PNG", "JPEG", "TIFF", "BMP" or "WEBP". JPEG and BMP have no transparency;
            only TIFF has tags.

    Raises:
        ImageFileError: if the format cannot hold it, or the disk.
    """
    path = pathlib.Path(path)
    pixels = picture.pixels
    if pixels.shape[-1] == 4 and format in OPAQUE:
        raise ImageFileError(f"has four channels, which {format} cannot hold")
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    options = dict(_SAVE[format])
    if picture.alpha is not None and format not in OPAQUE and pixels.shape[-1] < 4:
        image.putalpha(Image.fromarray(picture.alpha))
    if format == "TIFF" and picture.tags is not None:
        options["tiffinfo"] = picture.tags
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        try:
            image.save(partial, format=format, **options)
        # Pillow's writers raise whatever their formats' limits raise.
        except Exception as error:
            raise ImageFileError(f"cannot be written as {format}: {error}") from error
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def format_kept(path):
    """The format to write in to keep that of a file; PNG where it cannot be."""
    try:
        with _unlimited(), Image.open(path) as image:
            format = _format(image)
    except Exception:
        return "PNG"  # Reading it will tell what is wrong with it.
    return format if format in _SAVE else "PNG"


def format_of(path):
    """The format that a file name asks for; None if it asks for another one, or none."""
    ending = pathlib.Path(path).suffix.lower()
    ending = _OTHER_ENDINGS.get(ending, ending)
    return next((name for name, e in _ENDINGS.items() if e == ending), None)


def ending_of(format):
    """The file name's ending of a format."""
    return _ENDINGS[format]


def _picture(image):
    is_png = image.format == "PNG"  # What is turned has no format.
    frames = _num_frames(image)
    if frames > 1:
        raise ImageFileError(f"holds {frames} images; one is wanted")
    tags = _kept_tags(image)
    image.load()
    turned = ImageOps.exif_transpose(image)
    # Older versions of Pillow call 16-bit grey in a PNG "I".
    if turned.mode.startswith("I;16") or (turned.mode == "I" and is_png):
        grey = np.asarray(turned).astype(np.int64) >> 8
        pixels = images.with_channels(grey.astype(np.uint8)[..., None], 3)
        return Picture(pixels, None, tags)
    if turned.mode in ("I", "F"):
        raise ImageFileError(
            f"holds pixels of kind {turned.mode}; 8 bits, or 16 bits of grey, are wanted"
        )
    alpha = None
    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        alpha = np.asarray(turned.getchannel("A"))
    return Picture(np.asarray(turned.convert("RGB")), alpha, tags)


def _format(image):
    # MPO: what some telephones call JPEG.
    return "JPEG" if image.format == "MPO" else image.format


def _num_frames(image):
    """Pictures in a file, without smaller copies, and masks, of the first."""
    if image.format == "MPO":
        return 1
    frames = getattr(image, "n_frames", 1)
    if image.format != "TIFF":
        return frames
    kinds = []
    for frame in reversed(range(frames)):  # The first comes last, and stays.
        image.seek(frame)
        kinds.append(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0))
    return sum(not kind & (_REDUCED | _MASK) for kind in kinds)


def _kept_tags(image):
    known = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or known is None:
        return None
    kept = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in _KEPT_TAGS:
        if tag in known:
            kept[tag] = known[tag]
            kept.tagtype[tag] = known.tagtype[tag]
    return kept


def _sentence(path, error):
    path = pathlib.Path(path)
    if isinstance(error, FileNotFoundError):
        return "is not there"
    if path.is_file() and not path.stat().st_size:
        return "is empty"
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "is not an image, or of a kind that Pillow cannot read"
    return f"cannot be read: {str(error).splitlines()[0] if str(error) else name}"


@contextlib.contextmanager
def _unlimited():
    """Pillow's guard against huge files is for strangers' ones, not for one's own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
