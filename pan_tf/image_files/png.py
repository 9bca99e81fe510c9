"""Checksums of a PNG, its 16 bits, its texts: Pillow does not look at them."""

import io
import zlib

from PIL import Image

from pan_tf.image_files.picture import ImageFileError

_BODY = 33  # Where what follows signature and header begins.
_DEPTH = 24  # Where bits a channel stand.
_AT_ONCE = 2**20  # Bytes.


def depth(file):
    """Bits a channel of a PNG; the file stays where it was."""
    place = file.tell()
    file.seek(_DEPTH)
    found = file.read(1)
    file.seek(place)
    return int.from_bytes(found)


def check_pixels(file):
    """Raises ImageFileError if a checksum of the pixels is wrong.

    Pillow, which does not look, makes noise of damaged pixels. The file stays where it
    was.
    """
    place = file.tell()
    for kind, length in _chunks(file):
        if kind != b"IDAT":
            continue
        checksum, left = zlib.crc32(kind), length
        while left and (data := file.read(min(left, _AT_ONCE))):
            checksum, left = zlib.crc32(data, checksum), left - len(data)
        found = file.read(4)
        # The reader names a file that is cut short.
        if len(found) == 4 and found != checksum.to_bytes(4, "big"):
            raise ImageFileError("is damaged: a checksum of its pixels is wrong")
    file.seek(place)


def without_pixels(file):
    """Bytes of a PNG of one pixel, with another PNG's texts and EXIF."""
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "PNG")
    small = pixel.getvalue()
    parts = [small[:_BODY]]
    for kind, length in _chunks(file):
        if kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            data = file.read(length)
            # Pillow does not look at checksums behind the pixels.
            checksum = zlib.crc32(kind + data).to_bytes(4, "big")
            parts.append(len(data).to_bytes(4, "big") + kind + data + checksum)
    return b"".join([*parts, small[_BODY:]])


def _chunks(file):
    """Name and length of each chunk behind the header; the file stands at its data."""
    at = _BODY
    while True:
        file.seek(at)
        head = file.read(8)
        kind, length = head[4:], int.from_bytes(head[:4], "big")
        if len(head) < 8 or kind == b"IEND":
            return
        yield kind, length
        at += 12 + length
