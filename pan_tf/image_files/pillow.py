"""Files that Pillow reads."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image
from PIL import ImageCms
from PIL import ImageOps

from pan_tf import images
from pan_tf.image_files import png
from pan_tf.image_files.picture import Header
from pan_tf.image_files.picture import ImageFileError
from pan_tf.image_files.picture import Picture

# ImageDescription, resolution (3); GeoTIFF: pixel scale, tie points, transformation,
# three tables of keys; GDAL: metadata, value of missing pixels.
KEPT_TAGS = (
    *(270, 282, 283, 296),
    *(33550, 33922, 34264, 34735, 34736, 34737),
    *(42112, 42113),
)
REDUCED, MASK = 1, 4  # Of NewSubfileType: a smaller copy, a mask.
ORIENTATION = 0x0112
_SUBFILE = 254  # NewSubfileType.
_PLANAR = 284  # PlanarConfiguration.
_SIDES = (256, 257)  # ImageWidth, ImageLength.
_BITS = 258  # BitsPerSample.
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
_GREY = ("1", "L", "I", "F", *_DEEP)
_SRGB = ImageCms.createProfile("sRGB")
_NEXT_TO = 8  # Levels by which makers' profiles of sRGB differ.


def read(image, file, as_labels):
    """An opened Pillow image as a `Picture`; `file` is what it was opened of."""
    _check_frames(image)
    if _is_png(image):
        png.check_pixels(file)
    if image.format == "TIFF":
        _check_strips(image)
    tags = _kept_tags(image)
    if as_labels and image.mode in ("P", "1"):
        # Numbers, not colours.
        turned = ImageOps.exif_transpose(_with_numbers(image))
        return Picture(np.asarray(turned)[..., None], None, tags)
    if _is_deep_png(image, file):
        return _read_deep_png(image, file)
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.mode in _GREY:
        spread = _spread(image, file) if turned.mode == "L" else 1
        grey, alpha = _grey(turned), _alpha_of_grey(turned, spread)
        if _is_deep_pgm(image):
            grey = grey.astype(np.uint16)
        return Picture(grey // spread if as_labels else grey, alpha, tags)
    alpha = None
    if turned.has_transparency_data:
        alpha = np.asarray(turned.convert("RGBA").getchannel("A"))
    if turned.mode == "LA":
        return Picture(np.asarray(turned.getchannel("L"))[..., None], alpha, tags)
    if turned.mode == "P" and alpha is not None:
        turned = turned.convert("RGBA")
    return Picture(np.asarray(_in_srgb(turned)), alpha, tags)


def _with_numbers(image):
    """A palette or 1-bit image as grey: its numbers."""
    image.load()
    numbers = Image.fromarray(np.asarray(image).astype(np.uint8))
    numbers.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
    return numbers


def _spread(image, file):
    """What Pillow has multiplied the numbers of a grey image of 2 or 4 bits with."""
    bits = png.depth(file) if _is_png(image) else 8
    if image.format == "TIFF":
        (bits, *_) = image.tag_v2.get(_BITS, (8,))
    return 255 // (2**bits - 1) if bits < 8 else 1


def _grey(image):
    """`[H, W, 1]` of a grey image of any depth."""
    if image.mode == "1":
        image = image.convert("L")
    values = np.asarray(image)
    if image.mode in _DEEP:
        values = values.astype(np.uint16)
    return values[..., None]


def _is_deep_pgm(image):
    """Whether it is a PGM of 16 bits, which Pillow gives 32."""
    return image.format == "PPM" and image.mode == "I"


def _alpha_of_grey(image, spread):
    """Transparency of a grey image: of the one level that a PNG may name, before it was
    spread over 8 bits."""
    if not image.has_transparency_data:
        return None
    if spread > 1:
        found = np.asarray(image) != spread * image.info["transparency"]
        return np.where(found, 255, 0).astype(np.uint8)
    if image.mode in ("L", "1"):
        return np.asarray(image.convert("RGBA").getchannel("A"))
    return _alpha_by_key(np.asarray(image)[..., None], image.info["transparency"])


def _alpha_by_key(pixels, key):
    """uint16 `[H, W]`, 0 where pixels of 16 bits are the one colour that is no colour."""
    is_key = np.all(pixels == np.array(key), axis=-1)
    return np.where(is_key, 0, images.PEAK_16).astype(np.uint16)


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
    if image.mode in _GREY or space != wanted:
        return None
    return None if _is_srgb(profile, description) else description


def _is_srgb(profile, description):
    """Whether a profile of colours is sRGB, by its name and by what it makes of greys.

    There are linear profiles with sRGB's primaries, and its name.
    """
    if "srgb" not in description.lower():
        return False
    greys = Image.fromarray(np.arange(0, 256, 17, np.uint8)[None, :, None].repeat(3, 2))
    made = ImageCms.profileToProfile(greys, profile, _SRGB, outputMode="RGB")
    return np.abs(np.asarray(made, int) - np.asarray(greys, int)).max() <= _NEXT_TO


def _is_deep_png(image, file):
    """Whether it is a PNG of 16 bits that Pillow would cut down to 8."""
    return _is_png(image) and image.mode not in _GREY and png.depth(file) == 16


def _read_deep_png(image, file):
    turned = _orientation(image, file)
    file.seek(0)
    try:
        pixels = tf.io.decode_png(file.read(), channels=0, dtype=tf.uint16).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ImageFileError("is damaged: its pixels cannot be decoded") from error
    pixels = upright(pixels, turned)
    if pixels.shape[-1] in (2, 4):
        return Picture(pixels[..., :-1], pixels[..., -1])
    key = image.info.get("transparency")
    return Picture(pixels, None if key is None else _alpha_by_key(pixels, key))


def upright(pixels, orientation):
    """`[H, W, ...]`, stood upright by an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def header(image, file):
    """`Header` of an opened Pillow image."""
    _check_frames(image)
    orientation = _orientation(image, file)
    width, height = image.size
    if image.format == "TIFF":  # Newer versions of Pillow swap its sides themselves.
        width, height = (image.tag_v2[tag] for tag in _SIDES)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    is_deep = _is_deep_png(image, file) or image.mode in _DEEP or _is_deep_pgm(image)
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


def _orientation(image, file):
    """EXIF orientation of an opened image, whose pixels are not decoded for it."""
    if image.format != "PNG":
        return image.getexif().get(ORIENTATION, 1)
    # Pillow decodes a PNG first, since EXIF may stand behind its pixels. It is asked of a
    # PNG of one pixel that says of itself what the file says.
    place = file.tell()
    with Image.open(io.BytesIO(png.without_pixels(file))) as small:
        orientation = small.getexif().get(ORIENTATION, 1)
    file.seek(place)
    return orientation


def _check_strips(image):
    """Raises ImageFileError if strips of a TIFF are missing: Pillow leaves them black.

    Not of one that libtiff reads, which looks itself.
    """
    parts = [part[1] for part in image.tile if part[0] != "libtiff"]
    covered = sum((right - left) * (low - top) for left, top, right, low in parts)
    if image.tag_v2.get(_PLANAR) == 2:  # Each channel has strips of its own.
        covered //= len(image.getbands())
    if parts and covered < image.width * image.height:
        raise ImageFileError("is damaged: parts of its pixels are missing")


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
            kinds.append(image.tag_v2.get(_SUBFILE, 0))
        frames = sum(not kind & (REDUCED | MASK) for kind in kinds)
    if frames > 1:
        raise ImageFileError(f"holds {frames} images; one is wanted")


def _kept_tags(image):
    known = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or known is None:
        return None

    def value(tag):
        # The bytes of a text: Pillow reads them as Latin-1, and writes ASCII.
        found = known[tag]
        return found.encode("latin-1") if isinstance(found, str) else found

    return {tag: (known.tagtype[tag], value(tag)) for tag in KEPT_TAGS if tag in known}
