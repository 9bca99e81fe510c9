"""Image files as users have them, and as nobody should: good, odd, damaged, not images.

A file is a function of (seed, number), its pixels where they are known as well; for the
rest Pillow is the judge.
"""

import dataclasses
import io
import math
import struct
import time
import zlib

import numpy as np
import tifffile
from PIL import Image
from PIL import ImageOps

from pan_tf import image_files
from tests import hostile
from tests.hostile import encoded

REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class Sample:
    """A file.

    Attributes:
        kind: what was made, for reports.
        name: its name, of bytes as the file system has them.
        contents: its bytes.
        truth: uint8 `[H, W, 3]`; `REFUSED`; or None, if Pillow is to judge.
        damaged: whether it was.
    """

    kind: str
    name: bytes
    contents: bytes
    truth: np.ndarray | str | None
    damaged: bool


def sample(seed, number, damaged=0.4):
    """The file of a number: damaged with this probability."""
    random = np.random.default_rng((seed, number))
    kinds = list(GOOD)
    kind = kinds[random.integers(len(kinds))]
    ending, contents, truth = GOOD[kind](random, pixels(random))
    is_damaged = random.random() < damaged
    if is_damaged:
        worse = list(DAMAGE)[random.integers(len(DAMAGE))]
        contents, truth = DAMAGE[worse](random, contents)
        kind = f"{worse}, {kind}"
    if random.random() < 0.1:  # The name lies.
        ending = ENDINGS[random.integers(len(ENDINGS))]
    return Sample(kind, _name(random, number, ending), contents, truth, is_damaged)


def judged(contents):
    """uint8 `[H, W, 3]` as Pillow reads it, or `REFUSED`."""
    if contents.startswith((b"\x93NUMPY", b"II", b"MM")):
        return None  # Of TIFFs, tifffile reads more kinds, and more exactly.
    try:
        with Image.open(io.BytesIO(contents)) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                return REFUSED
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):
                return _grey(_to_8(np.asarray(image)))
            if image.mode in ("I", "F"):
                return None
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            return np.asarray(image.convert("RGB"))
    # Its readers raise whatever their formats' accidents raise.
    except Exception:
        return REFUSED


def fault_of(seed, number, seconds=math.inf):
    """What is wrong with how a file is read, also if it takes too long; or None."""
    made = sample(seed, number)
    wanted = judged(made.contents) if made.truth is None else made.truth
    begun = time.monotonic()
    try:
        header = image_files.read_header(made.contents)
        found = image_files.read_picture(made.contents, 3).pixels
    except image_files.ImageFileError as error:
        found, header = str(error), None
    except Exception as error:
        return f"{number}, {made.kind}: {error!r}"
    took, problem = time.monotonic() - begun, None
    if took > seconds:
        problem = f"{took:.0f} s"
    elif isinstance(found, str):
        # What was not damaged is read; of what was, Pillow may make more than we do.
        may_be_refused = isinstance(wanted, str) or (
            made.damaged and (wanted is None or "is damaged" in found)
        )
        if "{{" in found or not may_be_refused:
            problem = f"refused, it {found}"
    elif (header.height, header.width) != found.shape[:2]:
        problem = f"{header}, but {found.shape}"
    elif isinstance(wanted, str):
        problem = "read"
    elif wanted is not None and not np.array_equal(found, wanted):
        problem = "other pixels"
    return problem and f"{number}, {made.kind}: {problem}"


def pixels(random):
    """uint8 `[H, W, 3]`, smooth, of any shape from 1 x 1 up."""
    kind = random.integers(8)
    height, width = (int(v) for v in random.integers(1, 160, 2))
    if kind == 0:
        height, width = 1, int(random.integers(1, 600))
    elif kind == 1:
        height, width = int(random.integers(1, 600)), 1
    elif kind == 2:
        height, width = (int(v) for v in random.integers(1, 4, 2))
    small = random.integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _grey(values):
    return np.repeat(values[..., None], 3, -1)


def _to_8(values):
    return (values >> 8).astype(np.uint8)  # As `images.to_bits` has it.


def _alpha(random, shape):
    return random.integers(0, 256, shape[:2], np.uint8)


def _png(random, image):
    return ".png", encoded(image), image


def _png_grey(random, image):
    return ".png", encoded(image[..., 0]), _grey(image[..., 0])


def _png_grey_16(random, image):
    values = image[..., 0].astype(np.uint16) * 257 - (image[..., 0] > 0) * np.uint16(99)
    return ".png", encoded(Image.fromarray(values)), _grey(_to_8(values))


def _png_rgb_16(random, image):
    values = image.astype(np.uint16) * 257 - (image > 0) * np.uint16(99)
    rows = values.astype(">u2").reshape(len(values), -1).view(np.uint8)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    height, width = image.shape[:2]
    return ".png", hostile.png(width, height, data, depth=16), _to_8(values)


def _png_rgba(random, image):
    four = np.dstack([image, _alpha(random, image.shape)])
    return ".png", encoded(four), image


def _png_la(random, image):
    both = np.dstack([image[..., 0], _alpha(random, image.shape)])
    return ".png", encoded(Image.fromarray(both, "LA")), _grey(image[..., 0])


def _palette(format, ending, **options):
    def make(random, image):
        count = int(random.choice([2, 3, 16, 17, 256]))
        reduced = Image.fromarray(image).quantize(count)
        contents = encoded(reduced, format, **options)
        return ending, contents, np.asarray(reduced.convert("RGB"))

    return make


def _png_two_levels(random, image):
    levels = Image.fromarray(image).convert("1")
    return ".png", encoded(levels), np.asarray(levels.convert("RGB"))


def _png_interlaced(random, image):
    """Adam7, by hand: Pillow reads it, but does not write it."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
    passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = (image[y::dy, x::dx] for y, x, dy, dx in passes)
    rows = (b"\0" + row.tobytes() for part in parts if part.size for row in part)
    height, width = image.shape[:2]
    fields = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    data = zlib.compress(b"".join(rows))
    chunks = ((b"IHDR", fields), (b"IDAT", data), (b"IEND", b""))
    head = b"\x89PNG\r\n\x1a\n"
    return ".png", head + b"".join(hostile.chunk(*c) for c in chunks), image


def _png_much_text(random, image):
    contents = encoded(image)
    text = hostile.chunk(b"tEXt", b"Comment\0" + bytes(random.integers(60_000)))
    return ".png", contents[:33] + text + contents[33:], image


def _turned(format, ending, is_exact):
    def make(random, image):
        exif = Image.Exif()
        exif[0x0112] = int(random.integers(0, 12))  # 0 and 9 up mean nothing.
        contents = encoded(image, format, exif=exif)
        upright = Image.fromarray(image)
        upright.getexif()[0x0112] = exif[0x0112]
        truth = np.asarray(ImageOps.exif_transpose(upright)) if is_exact else None
        return ending, contents, truth

    return make


def _icon(random, image):
    """Of at least 16 px; Pillow writes none that is smaller."""
    small = Image.fromarray(image).resize((32, 32))
    return ".ico", encoded(small, "ICO"), None


def _pillow(format, ending, mode="RGB", is_exact=False, **options):
    def make(random, image):
        wanted = Image.fromarray(image).convert(mode)
        truth = np.asarray(wanted.convert("RGB")) if is_exact else None
        return ending, encoded(wanted, format, **options), truth

    return make


def _trailing(make):
    def with_more(random, image):
        ending, contents, truth = make(random, image)
        return ending, contents + random.bytes(int(random.integers(1, 300))), truth

    return with_more


def _jpeg(random, image):
    options = {
        "quality": int(random.integers(20, 100)),
        "progressive": bool(random.integers(2)),
        "subsampling": int(random.integers(3)),
        "optimize": bool(random.integers(2)),
    }
    if random.integers(2):
        options["comment"] = random.bytes(int(random.integers(1, 2000)))
    return ".jpg", encoded(image, "JPEG", **options), None


def _tiff(random, image):
    options = {"photometric": "rgb"}
    if random.integers(2):
        options["byteorder"] = ">"
    if random.integers(2):
        options["bigtiff"] = True
    if random.integers(2):
        options["tile"] = (16, 32)
    if random.integers(2):
        options["planarconfig"] = "separate"
    values = image
    kind = random.integers(3)
    if kind == 1:
        values = image.astype(np.uint16) * 257
    file = io.BytesIO()
    if options.get("planarconfig"):
        values = np.moveaxis(values, -1, 0)
    tifffile.imwrite(file, values, compression="zlib" if kind == 2 else None, **options)
    return ".tif", file.getvalue(), image


def _tiff_grey_16(random, image):
    values = image[..., 0].astype(np.uint16) * 257
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="minisblack")
    return ".tif", file.getvalue(), _grey(image[..., 0])


def _tiff_white_is_zero(random, image):
    file = io.BytesIO()
    tifffile.imwrite(file, 255 - image[..., 0], photometric="miniswhite")
    return ".tif", file.getvalue(), _grey(image[..., 0])


def _npy(random, image):
    values = image
    kind = random.integers(4)
    if kind == 1:
        values = np.asfortranarray(image)
    elif kind == 2:
        values = (image.astype(np.uint16) * 257).astype(">u2")
    elif kind == 3:
        values, image = image[..., 0], _grey(image[..., 0])
    file = io.BytesIO()
    np.save(file, values)
    return ".npy", file.getvalue(), image


def _npy_pickled(random, image):
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return ".npy", file.getvalue(), REFUSED


def _npy_of_a_kind(random, image):
    """Of numbers or axes that no image has."""
    made = [
        np.zeros(7, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.full((4, 4, 3), "a"),
        np.zeros((4, 4, 3), complex),
        np.zeros((4, 4), "datetime64[s]"),
        np.zeros((4, 4), [("a", "u1")]),
    ]
    file = io.BytesIO()
    np.save(file, made[random.integers(len(made))])
    return ".npy", file.getvalue(), REFUSED


def _npy_claims_much(random, image):
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 9999, 3), }"
    head = head.ljust(117) + b"\n"
    return ".npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head, REFUSED


def _film(format, ending):
    def make(random, image):
        more = [Image.fromarray(255 - image)]
        if (image == 255 - image).all():
            more = []
        contents = encoded(image, format, save_all=True, append_images=more)
        return ending, contents, REFUSED if more else None

    return make


GOOD = {
    "PNG": _png,
    "grey PNG": _png_grey,
    "grey PNG of 16 bits": _png_grey_16,
    "PNG of 16 bits": _png_rgb_16,
    "transparent PNG": _png_rgba,
    "grey transparent PNG": _png_la,
    "palette PNG": _palette("PNG", ".png"),
    "palette PNG with a transparent colour": _palette("PNG", ".png", transparency=0),
    "PNG of two levels": _png_two_levels,
    "interlaced PNG": _png_interlaced,
    "PNG with much text": _png_much_text,
    "turned PNG": _turned("PNG", ".png", True),
    "PNG and more": _trailing(_png),
    "JPEG": _jpeg,
    "JPEG and more": _trailing(_jpeg),
    "turned JPEG": _turned("JPEG", ".jpeg", False),
    "grey JPEG": _pillow("JPEG", ".jpg", "L"),
    "CMYK JPEG": _pillow("JPEG", ".jpg", "CMYK"),
    "turned WebP": _turned("WEBP", ".webp", False),
    "WebP": _pillow("WEBP", ".webp", is_exact=True, lossless=True),
    "transparent WebP": _pillow("WEBP", ".webp", "RGBA", lossless=True),
    "BMP": _pillow("BMP", ".bmp", is_exact=True),
    "BMP of 32 bits": _pillow("BMP", ".bmp", "RGBA"),
    "palette BMP": _palette("BMP", ".bmp"),
    "GIF": _palette("GIF", ".gif"),
    "film of GIF": _film("GIF", ".gif"),
    "film of PNG": _film("PNG", ".png"),
    "film of WebP": _film("WEBP", ".webp"),
    "TIFF": _tiff,
    "grey TIFF of 16 bits": _tiff_grey_16,
    "TIFF whose white is 0": _tiff_white_is_zero,
    "LZW TIFF": _pillow("TIFF", ".tif", is_exact=True, compression="tiff_lzw"),
    "packed TIFF": _pillow("TIFF", ".tif", is_exact=True, compression="packbits"),
    "JPEG TIFF": _pillow("TIFF", ".tif", compression="jpeg"),
    "CMYK TIFF": _pillow("TIFF", ".tif", "CMYK"),
    "Lab TIFF": _pillow("TIFF", ".tif", "LAB"),
    "PPM": _pillow("PPM", ".ppm", is_exact=True),
    "TGA": _pillow("TGA", ".tga", is_exact=True),
    "ICO": _icon,
    "array": _npy,
    "pickled array": _npy_pickled,
    "array that is no image": _npy_of_a_kind,
    "array that claims much": _npy_claims_much,
}
ENDINGS = (".png", ".jpg", ".PNG", ".JPG", ".tif", ".bmp", ".webp", ".npy", ".jfif")


def _cut(random, contents):
    return contents[: random.integers(len(contents))], None


def _flip(random, contents):
    changed = bytearray(contents)
    for place in random.integers(0, len(changed), random.integers(1, 9)):
        changed[place] = random.integers(256)
    return bytes(changed), None


def _flip_head(random, contents):
    changed = bytearray(contents)
    for place in random.integers(0, min(64, len(changed)), 3):
        changed[place] = random.integers(256)
    return bytes(changed), None


def _pieces(random, contents):
    a, b = sorted(random.integers(0, len(contents), 2))
    return contents[:b] + contents[a:], None


def _empty(random, contents):
    return b"", REFUSED


def _noise(random, contents):
    return random.bytes(int(random.integers(1, 600))), None


def _text(random, contents):
    return b"<html>404 Not Found</html>" * int(random.integers(1, 40)), REFUSED


def _fuzzed(random, contents):
    return hostile.fuzzed(random, [contents]), None


def _bomb(random, contents):
    """A header that claims gigabytes."""
    width, height = (int(v) for v in random.integers(20_000, 65_000, 2))
    kind = random.integers(3)
    if kind == 0:
        return hostile.png(width, height), REFUSED
    if kind == 1:
        return hostile.png(width, height, bytes(99), depth=16, kind=6), REFUSED
    small = np.zeros((8, 8, 3), np.uint8)
    return hostile.jpeg_claiming(small, width, height), REFUSED


DAMAGE = {
    "cut": _cut,
    "changed": _flip,
    "changed at its head": _flip_head,
    "in pieces": _pieces,
    "empty": _empty,
    "noise": _noise,
    "text": _text,
    "fuzzed": _fuzzed,
    "claiming much": _bomb,
}

_STEMS = (
    "plain",
    "with a space",
    " leading",
    "-dash",
    "--flag=1",
    "100% sure %s %d {0}",
    "a[1-3]*?",
    "写真",
    "Ünïcode",
    "e\u0301",  # Not the same as é.
    "\U0001f600",
    "new\nline",
    "tab\tand\rreturn",
    "\x1b[31mred",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)<!--script>",
    "'quoted' \"twice\" `x` $(id)",
    "a&b;c|d",
    "back\\slash",
    "a.b.c",
    "...",
    "CON",
    "rtl\u202egnp",
    "n" * 200,
)


def _name(random, number, ending):
    if random.random() < 0.5:
        return f"{number}{ending}".encode()
    stem = _STEMS[random.integers(len(_STEMS))]
    raw = stem.encode()
    if random.random() < 0.1:
        raw += b"\xff\xfe"  # No UTF-8.
    return raw + f" {number}{ending}".encode()
