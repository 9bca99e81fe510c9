"""The one writer of image files: whole or not at all."""

import math
import pathlib

import numpy as np
import tensorflow as tf
import tifffile
from PIL import Image
from PIL import TiffImagePlugin

from pan_tf import files
from pan_tf import images
from pan_tf.image_files.picture import FORMATS
from pan_tf.image_files.picture import OPAQUE
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.reading import read_header
from pan_tf.images import ImageSpec

# Level 6, zlib's own, takes 2.5 times as long and makes photographs 1 to 7 % smaller.
_PNG_LEVEL = 3
_SAVE = {
    "PNG": {"compress_level": _PNG_LEVEL},
    "JPEG": {"quality": 95},
    "TIFF": {},
    "BMP": {},
    "WEBP": {"lossless": True, "exact": True},  # Colours under alpha 0 as well.
}
_DESCRIPTION, _X, _Y, _UNIT = 270, 282, 283, 296


def write_picture(path, picture, format, spec=None):
    """Writes a picture.

    Args:
        path: the file.
        picture: `Picture`.
        format: key of `FORMATS`. JPEG, BMP and NPY have no transparency, JPEG, BMP and
            WEBP 8 bits; only TIFF has tags; TIFF and NPY hold any kind of number.
        spec: `ImageSpec` of its pixels, by which values of a file's kind are restored;
            None: the pixels are what is written.

    Raises:
        ImageFileError: if the format cannot hold it, or the disk.
    """
    path = pathlib.Path(path)
    pixels, alpha = picture.pixels, picture.alpha
    if spec is not None:
        pixels = _values(pixels, ImageSpec.of(spec), format)
    if pixels.shape[-1] == 4 and format in OPAQUE and format != "NPY":
        raise ImageFileError(f"has four channels, which {format} cannot hold")
    if alpha is not None and (format in OPAQUE or pixels.shape[-1] not in (1, 3)):
        alpha = None
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path) as partial:
        try:
            _save(partial, pixels, alpha, picture.tags, format)
        # The writers raise whatever their formats' limits raise.
        except Exception as error:
            raise ImageFileError(f"cannot be written as {format}: {error}") from error


def format_kept(path):
    """The format to write in to keep that of a file; PNG where it cannot be."""
    try:
        format = read_header(path).format
    except ImageFileError:
        return "PNG"  # Reading it will tell what is wrong with it.
    return format if format in FORMATS else "PNG"


def loses_values(format, spec):
    """Whether a format does not hold the values of a file's kind, or all channels."""
    if format in ("TIFF", "NPY"):
        return False
    return not spec.is_whole or spec.planes > 4


def _values(pixels, spec, format):
    """What a file of a format is to hold of pixels."""
    is_8_bits = np.dtype(spec.kind) == np.uint8
    holds_16 = format == "PNG" and np.dtype(spec.kind) == np.uint16
    if format in ("TIFF", "NPY") or is_8_bits or holds_16:
        pixels = spec.restore(pixels)
    return pixels if format in ("TIFF", "NPY", "PNG") else images.shown(pixels)


def _save(path, pixels, alpha, tags, format):
    if format == "NPY":
        with open(path, "wb") as file:
            np.save(file, pixels)
        return
    if alpha is not None and pixels.dtype in (np.uint8, np.uint16):
        alpha = images.to_bits(alpha, 8 * pixels.dtype.itemsize)
    is_plain = pixels.dtype == np.uint8 and pixels.shape[-1] in (1, 3, 4)
    # Both writers take bytes as they are, and no text that is not ASCII.
    tags = {
        tag: (kind, value.encode() if isinstance(value, str) else value)
        for tag, (kind, value) in (tags or {}).items()
    }
    if format == "TIFF" and not is_plain:
        _save_tiff(path, pixels, alpha, tags)
    elif format == "PNG" and pixels.dtype == np.uint16:
        if alpha is not None:
            pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
        path.write_bytes(tf.io.encode_png(pixels, _PNG_LEVEL).numpy())
    else:
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        options = dict(_SAVE[format])
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        if format == "TIFF" and tags:
            options["tiffinfo"] = _directory(tags)
        image.save(path, format=format, **options)


def _directory(tags):
    """Tags as Pillow writes them."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in tags.items():
        directory[tag] = value
        directory.tagtype[tag] = kind
    return directory


def _save_tiff(path, pixels, alpha, tags):
    """A TIFF of any kind of number and any number of channels."""
    count = pixels.shape[-1]
    if alpha is not None and alpha.dtype == pixels.dtype:
        pixels = np.concatenate([pixels, alpha[..., None]], axis=-1)
    else:
        alpha = None
    values = {tag: value for tag, (_, value) in tags.items()}
    extra = [
        (
            tag,
            kind,
            0 if isinstance(value, bytes) else np.size(value),
            value,
            True,
        )
        for tag, (kind, value) in tags.items()
        if tag not in (_DESCRIPTION, _X, _Y, _UNIT)
    ]
    has_rgb = count in (3, 4)
    others = pixels.shape[-1] - (3 if has_rgb else 1)
    tifffile.imwrite(
        path,
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        photometric="rgb" if has_rgb else "minisblack",
        planarconfig=None if pixels.shape[-1] == 1 else "contig",
        extrasamples=_extra(others, alpha is not None),
        description=values.get(_DESCRIPTION),
        resolution=_resolution(values),
        resolutionunit=values.get(_UNIT),
        metadata=None,
        extratags=extra,
    )


def _resolution(values):
    """Pixels a unit along both axes, as tifffile takes them; None if they are none."""
    try:
        found = float(values[_X]), float(values[_Y])
    except (KeyError, TypeError):
        return None
    return found if all(0.0 < each < math.inf for each in found) else None


def _extra(count, has_alpha):
    """What the channels beside colours are."""
    if not count:
        return None
    return ["unassalpha" if has_alpha else "unspecified", *["unspecified"] * (count - 1)]
