"""TIFFs that Pillow cannot read, or not as they are.

Deep colours, bands, stacks, and BigTIFFs whose high byte comes first.
"""

import math

import numpy as np
import tifffile
from PIL import Image

from pan_tf import images
from pan_tf.image_files import pillow
from pan_tf.image_files.picture import Header
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.picture import Picture
from pan_tf.image_files.pillow import KEPT_TAGS
from pan_tf.image_files.pillow import MASK
from pan_tf.image_files.pillow import ORIENTATION
from pan_tf.image_files.pillow import REDUCED

_WHITE_IS_ZERO = tifffile.PHOTOMETRIC.MINISWHITE
_PLAIN = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_OTHER_COLOURS = tuple(
    tifffile.PHOTOMETRIC[name]
    for name in ("PALETTE", "SEPARATED", "YCBCR", "CIELAB", "ICCLAB", "ITULAB")
)
_PREMULTIPLIED = tifffile.EXTRASAMPLE.ASSOCALPHA
_ALPHA = (_PREMULTIPLIED, tifffile.EXTRASAMPLE.UNASSALPHA)
_MORE = "pip install imagecodecs reads more kinds of TIFF"


def pages_of(file):
    """The pages of a TIFF that is tifffile's; None if Pillow reads all that there is."""
    try:
        tiff = tifffile.TiffFile(file)
        pages = [page.aspage() for page in tiff.pages]
        pages = [p for p in pages if not p.subfiletype & (REDUCED | MASK)]
        first = pages[0]
        is_stack = len(pages) > 1 and all(
            (p.shape, p.dtype) == (first.shape, first.dtype) and p.samplesperpixel == 1
            for p in pages
        )
        is_deep = first.dtype is not None and first.dtype != np.uint8
        is_bands = first.samplesperpixel > 4 or 0 in first.extrasamples
        # Which Pillow does not know at all.
        is_big = tiff.is_bigtiff and tiff.byteorder == ">" and first.photometric in _PLAIN
        if is_stack or is_big:
            return pages
        if len(pages) == 1 and first.bitspersample > 1 and (is_deep or is_bands):
            return pages
    # What tifffile cannot even list, Pillow may.
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError):
        pass
    finally:
        file.seek(0)
    return None


def read(file, pages):
    """`Picture` of a TIFF by the pages that `pages_of` found."""
    first = pages[0]
    if any(len(page.dataoffsets) < math.prod(page.chunked) for page in pages):
        raise ImageFileError("is damaged: parts of its pixels are missing")
    try:
        planes = [page.asarray() for page in pages]
    except (KeyError, ValueError) as error:
        file.seek(0)
        if first.samplesperpixel == 1 and len(pages) == 1:
            with Image.open(file, formats=["TIFF"]) as image:  # It has more codecs.
                return pillow.read(image, file, False)
        raise ImageFileError(f"cannot be read: {error}; {_MORE}") from error
    if first.photometric in _OTHER_COLOURS:
        raise ImageFileError(
            f"holds {first.photometric.name} colours of {first.bitspersample} bits; save "
            "it as grey or RGB"
        )
    if first.photometric == _WHITE_IS_ZERO:
        if first.dtype.kind != "u":
            raise ImageFileError(f"holds numbers {first.dtype} whose 0 is white")
        planes = [np.iinfo(plane.dtype).max - plane for plane in planes]
    pixels = np.stack(planes, -1) if len(planes) > 1 else planes[0]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if first.axes.startswith("S"):  # Channels are stored one after the other.
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pillow.upright(pixels, _orientation(first))
    tags = {
        tag.code: (int(tag.dtype), _value(tag))
        for tag in first.tags
        if tag.code in KEPT_TAGS
    }
    place = _alpha_place(pages)
    if place is None:
        return Picture(pixels, None, tags)
    is_last = place == pixels.shape[-1] - 1
    colors = pixels[..., :place] if is_last else np.delete(pixels, place, axis=-1)
    alpha = pixels[..., place]
    if alpha.dtype.kind == "f":  # From 0 to 1.
        alpha = np.round(images.PEAK_16 * np.nan_to_num(np.clip(alpha, 0.0, 1.0)))
        return Picture(colors, alpha.astype(np.uint16), tags)
    if alpha.dtype not in (np.uint8, np.uint16):
        return Picture(colors, None, tags)
    if _PREMULTIPLIED in first.extrasamples:
        colors = _straight(colors, alpha)
    return Picture(colors, alpha, tags)


def _straight(colors, alpha):
    """Colours that were multiplied by their alpha, as they were; as Pillow has it."""
    most = np.iinfo(colors.dtype).max
    alpha = alpha[..., None].astype(np.uint32)
    found = colors.astype(np.uint32) * most // np.maximum(alpha, 1)
    return np.where(alpha, np.minimum(found, most), 0).astype(colors.dtype)


def _value(tag):
    if isinstance(tag.value, str):  # Bytes: writers' own ideas of text differ.
        return tag.value.encode()
    is_ratio = int(tag.dtype) in (5, 10) and len(tag.value) == 2
    return tag.value[0] / tag.value[1] if is_ratio else tag.value


def _alpha_place(pages):
    """The channel of pages that is transparency; None without."""
    extra = list(pages[0].extrasamples) if len(pages) == 1 else []
    first = pages[0].samplesperpixel - len(extra)
    places = [first + i for i, kind in enumerate(extra) if kind in _ALPHA]
    return places[0] if places else None


def _colors(pages):
    """Channels of pages without transparency."""
    count = len(pages) if len(pages) > 1 else pages[0].samplesperpixel
    return count - (_alpha_place(pages) is not None)


def _orientation(page):
    found = page.tags.get(ORIENTATION)
    return int(found.value) if found else 1


def header(pages):
    """`Header` of a TIFF by the pages that `pages_of` found."""
    first = pages[0]
    height, width = first.imagelength, first.imagewidth
    orientation = _orientation(first)
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    channels = _colors(pages)
    has_alpha = len(pages) == 1 and channels < first.samplesperpixel
    return Header(
        height, width, channels, str(first.dtype), has_alpha, "TIFF", orientation
    )
