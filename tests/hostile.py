"""Payloads that a server must refuse, or bear; shared by tests and benchmarks."""

import base64
import io
import json
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


# Name -> what it takes: alias and type; and such as there are none of.
_SIGNATURES = {
    "serving_default": ("image_bytes", "bytes"),
    "image": ("image", "uint8"),
    "float_image": ("image", "float32"),
    "": ("image_bytes", "bytes"),
    "train": ("image", "float32"),
}
_ALIASES = ("image_bytes", "image", "IMAGE", "", "x" * 300)
_DTYPES = ("uint8", "uint16", "float32", "float64", "int32", "int64", "bool", "bytes")


def tensors(random, good):
    """One request whose tensors are seldom right.

    Args:
        random: `np.random.Generator`.
        good: list of bytes, PNG and JPEG files.

    Returns:
        (name of the signature, alias -> array, aliases that are asked for).
    """

    def pick(values):
        return values[random.integers(len(values))]

    signature = pick(tuple(_SIGNATURES))
    right_alias, right_dtype = _SIGNATURES[signature]
    feeds = {}
    for _ in range(pick((0, 1, 1, 1, 1, 1, 2))):
        rank = int(pick((0, 1, 1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 9)))
        shape = [int(pick((0, 1, 1, 2, 3, 4, 17, 33))) for _ in range(rank)]
        if rank == 4 and random.integers(2):
            shape[3] = 3
        dtype = right_dtype if random.integers(4) else pick(_DTYPES)
        while np.prod(shape) > (100 if dtype == "bytes" else 40_000):
            shape[int(np.argmax(shape))] = 1
        if dtype == "bytes":
            count = int(np.prod(shape))
            flat = [fuzzed(random, good) for _ in range(min(count, 4))]
            value = np.resize(np.array(flat, object), shape) if count else None
            value = np.zeros(shape, object) if value is None else value
        else:
            value = random.normal(0, 10.0 ** random.integers(-3, 39), shape)
            with np.errstate(invalid="ignore", over="ignore"):
                value = value.astype(dtype)
            if dtype.startswith("float") and value.size:
                value.flat[0] = pick((np.nan, np.inf, -np.inf, 0.0))
        feeds[right_alias if random.integers(6) else pick(_ALIASES)] = value
    wanted = [pick(_ALIASES)] if random.integers(6) == 0 else []
    return signature, feeds, wanted


def body(random, good):
    """The body of a REST request: bytes that are seldom the JSON they should be.

    Args:
        random: `np.random.Generator`.
        good: list of bytes, PNG and JPEG files.
    """

    def pick(values):
        return values[random.integers(len(values))]

    encoded_ = base64.b64encode(fuzzed(random, good)).decode()
    value = pick(
        (
            {"b64": encoded_},
            {"b64": encoded_[: len(encoded_) // 2] + "*"},
            {"b64": 7},
            {"b64": encoded_, "b65": encoded_},
            {},
            [],
            [[[[0, 0, 0]]]],
            [[[[0, 0]], [[0]]]],
            [[[["a", None, True]]]],
            [[[[1e999, -1e999, float("nan")]]]],
            [[[[2**70, 300, -1]]]],
            "text",
            None,
        )
    )
    key = pick(("instances", "inputs", "Instances", "", "outputs"))
    request = pick(
        (
            {key: [value]},
            {key: value},
            {key: {pick(_ALIASES): [value]}},
            {key: [{pick(_ALIASES): value}, {pick(_ALIASES): value}]},
            {"instances": [value], "inputs": [value]},
            [value],
            value,
        )
    )
    if isinstance(request, dict) and random.integers(2):
        request["signature_name"] = pick((*_SIGNATURES, 7, None, []))
    contents = json.dumps(request).encode()
    if random.integers(3) == 0:
        contents = contents[: random.integers(len(contents) + 1)]
    if random.integers(6) == 0 and contents:
        contents = bytearray(contents)
        contents[random.integers(len(contents))] = random.integers(256)
    return bytes(contents)
