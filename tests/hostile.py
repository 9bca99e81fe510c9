"""Payloads that a server must refuse, or bear; shared by tests and benchmarks."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(image, format="PNG", **options):
    """The bytes of a Pillow image or of uint8 pixels."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, format=format, **options)
    return file.getvalue()


def png(width, height, data=b"", depth=8, kind=2, extra=b""):
    """A PNG with a header of one's choice."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            extra,
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND", b""),
        )
    )


def chunk(name, data):
    """A chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def jpeg_claiming(pixels, width, height):
    """A JPEG whose frame header claims another size."""
    contents = bytearray(encoded(pixels, "JPEG"))
    place = contents.index(b"\xff\xc0")
    contents[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(contents)


def refused(pixels):
    """Name -> (payload, part of the sentence with which it must be refused).

    Args:
        pixels: uint8 `[H, W, 3]`, a good picture.
    """
    good, photo = encoded(pixels), encoded(pixels, "JPEG", quality=90)
    moving = {"save_all": True, "append_images": [Image.fromarray(255 - pixels)]}
    large = np.zeros((257, 257, 3), np.uint8)
    return {
        "nothing": (b"", "must be PNG or JPEG"),
        "one byte": (b"\x89", "must be PNG or JPEG"),
        "text": (b"hello, world" * 9, "must be PNG or JPEG"),
        "signature only": (good[:8], "must be PNG or JPEG"),
        "header only": (good[:33], "PNG"),
        "cut PNG": (good[: len(good) // 2], "PNG"),
        "PNG without its end": (good[:-16], "PNG"),
        "flipped bit": (flipped(good, len(good) // 2), "PNG"),
        "JPEG start": (photo[:3], "JPEG"),
        "cut JPEG": (photo[: len(photo) // 2], "JPEG"),
        "JPEG header": (photo[:200], "JPEG"),
        "a gigabyte when decoded": (png(20_000, 18_000), "must not hold more than"),
        "the largest PNG": (png(2**31 - 1, 2**31 - 1), "must not hold more than"),
        "beyond the largest": (png(2**32 - 1, 2**32 - 1), "must not hold more than"),
        "a very wide PNG": (png(2**31 - 1, 1), "must not hold more than"),
        "no pixels": (png(0, 7), "must not be empty"),
        "a huge JPEG": (jpeg_claiming(pixels, 65_000, 65_000), "must not hold more than"),
        "a claim that is not kept": (png(60, 60, b"\0" * 9), "PNG"),
        "just too large": (encoded(large), "must not hold more than"),
        "GIF": (encoded(pixels, "GIF"), "must be PNG or JPEG"),
        "animated GIF": (encoded(pixels, "GIF", **moving), "must be PNG or JPEG"),
        "animated PNG": (encoded(pixels, "PNG", **moving), "not animations"),
        "WebP": (encoded(pixels, "WEBP"), "must be PNG or JPEG"),
        "BMP": (encoded(pixels, "BMP"), "must be PNG or JPEG"),
        "TIFF": (encoded(pixels, "TIFF"), "must be PNG or JPEG"),
        "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "must be PNG or JPEG"),
        "PDF": (b"%PDF-1.7\n" + bytes(99), "must be PNG or JPEG"),
    }


def flipped(contents, place):
    """The same bytes, one of them inverted."""
    return contents[:place] + bytes([contents[place] ^ 255]) + contents[place + 1 :]


def fuzzed(random, good):
    """One malformed payload, made from good ones by a seeded generator.

    Args:
        random: `np.random.Generator`.
        good: list of bytes, PNG and JPEG files.
    """
    contents = bytearray(good[random.integers(len(good))])
    kind = random.integers(7)
    if kind == 0:  # Noise of any length.
        return random.bytes(int(random.integers(0, 600)))
    if kind == 1:  # The right beginning, then noise.
        return bytes(contents[: random.integers(3, 40)]) + random.bytes(200)
    if kind == 2:  # Cut anywhere.
        return bytes(contents[: random.integers(len(contents))])
    if kind == 3:  # Some bytes changed.
        for place in random.integers(0, len(contents), random.integers(1, 9)):
            contents[place] = random.integers(256)
        return bytes(contents)
    if kind == 4:  # A piece twice, or missing.
        a, b = sorted(random.integers(0, len(contents), 2))
        return bytes(contents[:b] + contents[a:])
    if kind == 5:  # Any header over any data.
        width, height = (int(2 ** random.uniform(0, 32)) - 1 for _ in range(2))
        depth = int(random.choice([1, 2, 4, 8, 16, 3]))
        kind = int(random.choice([0, 2, 3, 4, 6, 5]))
        return png(width, height, random.bytes(300), depth, kind)
    # A header changed: sizes, markers, orientation.
    for place in random.integers(0, min(64, len(contents)), 3):
        contents[place] = random.integers(256)
    return bytes(contents)
