"""What a file of an image holds, and the formats that there are."""

import dataclasses
import os
import pathlib

import numpy as np

# format -> endings of its files; the first is what outputs get.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "NPY": (".npy",),
}
# What Pillow is let read, whatever a file is called: its rarer readers have had holes.
# (Its reader of JPEG reads MPO.)
READ = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "PPM", "TGA", "ICO")
ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
OPAQUE = ("JPEG", "BMP", "NPY")  # Formats without transparency.


_NODATA = 42113  # GDAL's tag, a text.


class ImageFileError(Exception):
    """A file that cannot be read as a still picture; the message is a sentence."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture and what goes around T.

    Attributes:
        pixels: `[H, W, C]`, upright; grey, RGB, or RGB and alpha, or more channels.
        alpha: `[H, W]`, uint8 or uint16, or None.
        tags: TIFF tags that stay with an image: number -> (type, value); of a text that
            was read its bytes. Or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    tags: dict | None = None

    @property
    def nodata(self):
        """The value of missing pixels, by GDAL's tag; None without."""
        _, found = (self.tags or {}).get(_NODATA, (None, b""))
        try:
            return float(found.strip(b" \0"))
        except (AttributeError, ValueError):  # A number, or no number.
            return None

    @property
    def missing(self):
        """Which values are none, bool as `pixels`: NaN, infinite, or GDAL's nodata."""
        if self.pixels.dtype.kind != "f":
            return self.pixels == self.nodata  # A kind too small for nodata has none.
        # The text of the tag may say more digits than the pixels have.
        nodata = np.float64("nan" if self.nodata is None else self.nodata)
        with np.errstate(over="ignore"):
            nodata = nodata.astype(self.pixels.dtype)
        return ~np.isfinite(self.pixels) | (self.pixels == nodata)


@dataclasses.dataclass(frozen=True)
class Header:
    """What is known of a file before it is decoded.

    Attributes:
        height, width: in pixels, upright.
        channels: 1, 3, or as many as there are; without transparency.
        kind: NumPy dtype of its values.
        has_alpha: whether it is transparent.
        format: key of `FORMATS`, or Pillow's name of another one.
        orientation: by its EXIF, 1 to 8; 1 is upright.
        profile: description of its colour profile, if that is another than sRGB.
    """

    height: int
    width: int
    channels: int
    kind: str
    has_alpha: bool
    format: str
    orientation: int = 1
    profile: str | None = None


def is_image(path):
    """Whether a file is an image by its name; what is hidden is none."""
    name = os.path.basename(path)
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in ENDINGS


def not_a_file(path):
    """Why a path cannot be read as a file, a sentence; None if it can.

    To open a pipe would wait for its writer; a device may never end.
    """
    path = path if hasattr(path, "is_file") else pathlib.Path(path)
    if path.is_file():
        return None
    if path.is_symlink() and not path.exists():
        return "is a link to nothing"
    return "is not a file" if path.exists() else "is not there"


def format_of(path):
    """The format that a file name asks for; None if it asks for another one, or none."""
    ending = pathlib.Path(path).suffix.lower()
    return next((name for name, all_ in FORMATS.items() if ending in all_), None)


def ending_of(format):
    """The file name's ending of a format."""
    return FORMATS[format][0]
