"""Files as nobody should have them; `benchmarks/hostile_files.py` reads thousands."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from pan_tf import image_files
from pan_tf import memory
from tests import corpus
from tests import hostile
from tests.conftest import smooth_noise


@pytest.fixture
def pixels():
    return smooth_noise(np.random.default_rng(5), 20, 30)


@pytest.mark.parametrize("seed", range(400, 410))
def test_a_corpus_has_its_pixels_or_a_sentence(seed):
    faults = [corpus.fault_of(seed, number) for number in range(40)]
    assert not list(filter(None, faults))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "layout",
    [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}, {"planarconfig": "separate"}],
)
def test_strips_of_a_tiff_that_are_missing_are_not_black(layout, dtype, pixels):
    values = np.tile(pixels, (2, 2, 1)).astype(dtype)
    if "planarconfig" in layout:
        values = np.moveaxis(values, -1, 0)
    file = io.BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", **layout)
    contents = bytearray(file.getvalue())
    assert image_files.read_picture(bytes(contents)).pixels.shape == (40, 60, 3)
    entry = contents.index(struct.pack("<HH", 257, 4))
    for length in (49, 90, 40_000):
        contents[entry + 8 : entry + 12] = struct.pack("<I", length)
        with pytest.raises(image_files.ImageFileError, match=r"pixels are missing|read:"):
            image_files.read_picture(bytes(contents))


@pytest.mark.parametrize("tag", [256, 257])
def test_damage_that_leaves_no_image_is_a_sentence(tag, pixels):
    """A grey TIFF of 16 bits whose width or length is 0."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels[..., 0].astype(np.uint16) * 257)
    contents = bytearray(file.getvalue())
    entry = contents.index(struct.pack("<HH", tag, 4 if contents[8] else 3))
    contents[entry + 8 : entry + 12] = bytes(4)
    with pytest.raises(image_files.ImageFileError):
        image_files.read_picture(bytes(contents))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("bits", "photometric"), [(8, 0), (8, 1), (16, 0), (16, 1)])
def test_grey_tiffs_are_what_they_look_like(order, big, bits, photometric, pixels):
    """Or refused: nobody reads a BigTIFF of this byte order whose white is 0."""
    grey = pixels[..., 0]
    stored = grey if photometric else 255 - grey
    if bits == 16:
        stored = stored.astype(np.uint16) * 257
    file = io.BytesIO()
    options = {"byteorder": order, "bigtiff": big, "photometric": photometric}
    tifffile.imwrite(file, stored, **options)
    try:
        found = image_files.read_picture(file.getvalue(), 1).pixels[..., 0]
    except image_files.ImageFileError:
        assert (order, big, bits, photometric) == (">", True, 8, 0)
        return
    np.testing.assert_array_equal(found, grey)


def test_colours_that_are_no_rgb_are_refused_where_nobody_converts_them(pixels):
    file = io.BytesIO()
    stored = np.dstack([pixels, pixels[..., :1]]).astype(np.uint16)
    tifffile.imwrite(file, stored, photometric="separated")
    with pytest.raises(image_files.ImageFileError, match="holds SEPARATED colours of 16"):
        image_files.read_picture(file.getvalue())


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layers", ["contig", "separate"])
def test_a_tiff_is_read_in_any_byte_order(order, big, layers, pixels):
    file = io.BytesIO()
    stored = pixels if layers == "contig" else np.moveaxis(pixels, -1, 0)
    options = {"byteorder": order, "bigtiff": big, "planarconfig": layers}
    tifffile.imwrite(file, stored, photometric="rgb", **options)
    found = image_files.read_picture(file.getvalue()).pixels
    np.testing.assert_array_equal(found, pixels)


def test_a_claim_that_no_file_of_the_length_can_keep_takes_no_memory(monkeypatch):
    # Nothing is known of memory: the length alone tells.
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    small = np.zeros((8, 8, 3), np.uint8)
    for contents in (
        hostile.png(60_000, 50_000),
        hostile.png(60_000, 50_000, depth=16, kind=6),
        hostile.jpeg_claiming(small, 60_000, 50_000),
    ):
        header = image_files.read_header(contents)
        assert (header.width, header.height) == (60_000, 50_000)
        with pytest.raises(image_files.ImageFileError, match="claims 60000 x 50000 pix"):
            image_files.read_picture(contents)


def test_what_is_flat_and_large_is_read(monkeypatch):
    """Deflate's best is no claim that is not kept."""
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    for mode, kind in (("1", "PNG"), ("L", "JPEG")):
        contents = hostile.encoded(Image.new(mode, (12_000, 9_000)), kind)
        assert image_files.read_raw(contents).pixels.shape == (9_000, 12_000, 1)


def test_more_than_is_free_is_refused_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**27)
    contents = hostile.encoded(np.zeros((5_000, 9_000, 3), np.uint8), "BMP")
    with pytest.raises(image_files.ImageFileError, match=r"9000 x 5000 pixels need 0\.4"):
        image_files.read_picture(contents)


def test_a_wrong_checksum_behind_the_pixels_of_a_png_is_no_matter(pixels):
    contents = hostile.encoded(pixels)
    text = bytearray(hostile.chunk(b"tEXt", b"Comment\0x"))
    text[-1] ^= 255
    contents = contents[:-12] + bytes(text) + contents[-12:] + text
    assert (image_files.read_picture(contents).pixels == pixels).all()
    assert image_files.read_header(contents).width == 30


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_exif_behind_the_pixels_of_a_png_turns_it(orientation, pixels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    contents = hostile.encoded(pixels)
    chunk = hostile.chunk(b"eXIf", exif.tobytes()[6:])
    contents = contents[:-12] + chunk + contents[-12:]
    header = image_files.read_header(contents)
    found = image_files.read_picture(contents).pixels
    turned = {1: pixels, 3: pixels[::-1, ::-1], 6: np.rot90(pixels, -1)}[orientation]
    np.testing.assert_array_equal(found, turned)
    assert (header.height, header.width) == turned.shape[:2]
    assert header.orientation == orientation


def test_the_header_of_a_png_needs_no_pixels(pixels):
    contents = bytearray(hostile.encoded(pixels))
    begin = contents.index(b"IDAT") + 4
    contents[begin : begin + 20] = bytes(20)
    header = image_files.read_header(bytes(contents))
    assert (header.height, header.width, header.orientation) == (20, 30, 1)
    with pytest.raises(image_files.ImageFileError):
        image_files.read_picture(bytes(contents))


def test_no_memory_for_the_pixels_is_no_damage_of_the_file(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    def fail(self, *args):
        raise OSError("codec configuration error when writing image file")

    monkeypatch.setattr(Image.Image, "tobytes", fail)
    with pytest.raises(image_files.ImageFileError, match="needs more memory"):
        image_files.read_picture(tmp_path / "a.png")
