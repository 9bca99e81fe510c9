"""Bytes in a graph: as Pillow decodes them, or refused in a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf.export import decoding
from pan_tf.image_files import read_picture
from pan_tf.images import ImageSpec
from tests import hostile
from tests.conftest import smooth_noise
from tests.hostile import encoded

PIXELS = smooth_noise(np.random.default_rng(0), 37, 53)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode(contents):
    size = decoding.image_size(contents)
    with tf.control_dependencies([size]):
        return size, decoding.decode(contents)


def check(contents):
    size, pixels = decode(contents)
    expected = read_picture(io.BytesIO(contents)).pixels
    assert (pixels.numpy() == expected).all()
    assert tuple(size.numpy()) == expected.shape[:2]


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "LA", "RGBA", "I;16"])
def test_a_png_is_what_pillow_sees(mode):
    image = Image.fromarray(PIXELS)
    if mode == "I;16":
        random = np.random.default_rng(0)
        image = Image.fromarray(random.integers(0, 65536, (9, 7), np.uint16))
    check(encoded(image if mode == "I;16" else image.convert(mode)))


def packed(values, bits):
    """A row of numbers of few bits, as bytes."""
    return np.packbits(
        np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
    ).tobytes()


def grey_png(values, bits, key=None):
    """A file of one row, written by hand: Pillow writes no grey of 2 or 4 bits."""
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + packed(values, bits)))]
    if key is not None:
        parts.insert(1, (b"tRNS", key.to_bytes(2, "big")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big")
        + name
        + data
        + zlib.crc32(name + data).to_bytes(4, "big")
        for name, data in (*parts, (b"IEND", b""))
    )


def grey_tiff(values, bits):
    """As `grey_png`."""
    row = packed(values, bits)
    # Width, height, bits, no compression, black is 0, offset, rows, bytes.
    tags = {256: len(values), 257: 1, 258: bits, 259: 1, 262: 1, 273: 8}
    tags |= {278: 1, 279: len(row)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(row))
    return head + row + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("key", [None, 0])
def test_grey_of_few_bits_is_opaque_as_a_fourth_channel(bits, key):
    values = np.arange(8) % 2**bits
    contents = grey_png(values, bits, key)
    spec = ImageSpec(4, 8)
    for depth, most in ((8, 255), (16, 65535)):
        found = decoding.decode(tf.constant(contents), ImageSpec(4, depth)).numpy()[0]
        expected = np.where(values == key, 0, most) if key is not None else most
        np.testing.assert_array_equal(found[:, 3], expected)
    own = read_picture(io.BytesIO(contents), spec).pixels
    theirs = decoding.decode(tf.constant(contents), spec).numpy()
    np.testing.assert_array_equal(own[..., :3], theirs[..., :3])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_labels_of_few_bits_are_the_numbers_of_the_file(bits):
    """Decoders spread them over 0 to 255, as levels of grey."""
    labels = np.arange(8) % 2**bits
    spec = ImageSpec(labels=2**bits)
    found = decoding.decode(tf.constant(grey_png(labels, bits)), spec)
    np.testing.assert_array_equal(found.numpy()[0, :, 0], labels)
    for contents in (grey_png(labels, bits), grey_tiff(labels, bits)):
        found = read_picture(io.BytesIO(contents), spec).pixels
        np.testing.assert_array_equal(found[0, :, 0], labels)
        grey = read_picture(io.BytesIO(contents), ImageSpec(1, 8)).pixels
        np.testing.assert_array_equal(grey[0, :, 0], labels * (255 // (2**bits - 1)))


_RANGED = {"low": 10.0, "high": 200.0, "kind": "uint8"}


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(1, 8, **_RANGED),
        ImageSpec(4, 8, **_RANGED, has_alpha=True),
        ImageSpec(3, 16, low=0.0, high=150.0, kind="int32"),
        ImageSpec(1, 16),
        ImageSpec(4, 16),
    ],
    ids=["grey range", "alpha range", "deep range", "deep grey", "deep alpha"],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "JPEG"])
def test_ranges_and_depths_are_what_the_reader_makes_of_them(spec, mode):
    """First the range, then the luma; transparency has no range."""
    if mode == "JPEG":
        contents = encoded(Image.fromarray(PIXELS), "JPEG")
    elif mode == "P":
        contents = encoded(Image.fromarray(PIXELS).quantize(16), "PNG")
    else:
        rgba = Image.fromarray(np.dstack([PIXELS, PIXELS[..., 1]]))
        contents = encoded(rgba.convert(mode), "PNG")
    expected = read_picture(contents, spec).pixels
    np.testing.assert_array_equal(decoding.decode(tf.constant(contents), spec), expected)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("bits", "kind"), [(8, "uint8"), (16, "uint16")])
def test_a_served_file_holds_what_a_written_one_does(channels, bits, kind):
    spec = ImageSpec(channels, bits, None, 10.0, 180.0, kind, has_alpha=channels == 4)
    levels = np.random.default_rng(0).integers(0, 2**bits, (9, 7, channels))
    levels = levels.astype(spec.dtype)
    values = spec.restore(levels)
    np.testing.assert_array_equal(decoding.restored(tf.constant(levels), spec), values)
    if channels == 4:  # Not from 10 to 180.
        np.testing.assert_array_equal(values[..., 3], levels[..., 3])
    assert values[..., 0].min() >= 10 and values[..., 0].max() <= 180


@pytest.mark.parametrize("place", ["behind the pixels", "behind 20 kB"])
def test_an_orientation_may_stand_far_from_the_beginning(place):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(PIXELS)
    if place == "behind 20 kB":
        contents = encoded(image, "JPEG", exif=exif)
        begin = contents.index(b"\xff\xe1")
        other = b"\xff\xec" + struct.pack(">H", 20_002) + bytes(20_000)
        contents = contents[:begin] + other + contents[begin:]
    else:
        noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
        contents = encoded(Image.fromarray(noise), "PNG", exif=exif)
        begin = contents.index(b"eXIf") - 4
        (length,) = struct.unpack(">I", contents[begin : begin + 4])
        chunk = contents[begin : begin + 12 + length]
        contents = contents[:begin] + contents[begin + 12 + length :]
        contents = contents[:-12] + chunk + contents[-12:]
    assert contents.index(b"Exif" if place == "behind 20 kB" else b"eXIf") > 2**14
    check(contents)


def test_16_bits_of_colour_keep_their_upper_8():
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7, 3)).astype(np.uint16)
    contents = tf.io.encode_png(deep).numpy()
    assert (decode(contents)[1].numpy() == deep >> 8).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "quality": 50}])
def test_a_jpeg_is_what_pillow_sees(mode, options):
    check(encoded(Image.fromarray(PIXELS).convert(mode), "JPEG", **options))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byte_order", ["II", "MM"])
def test_a_turned_jpeg_is_stood_upright(orientation, byte_order):
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif.endian = {"II": "<", "MM": ">"}[byte_order]
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    contents = encoded(image, "JPEG", exif=exif)
    assert b"Exif\0\0" + byte_order.encode() in contents
    check(contents)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_turned_png_is_stood_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    contents = encoded(PIXELS, exif=exif)
    assert b"eXIf" in contents
    check(contents)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(3, "H"), (4, "I")])
def test_the_first_directory_turns_and_a_thumbnails_does_not(order, kind, code):
    def directory(orientation, following):
        value = struct.pack(order + code, orientation).ljust(4, b"\0")
        return (
            struct.pack(order + "HHHI", 2, 0x0110, 2, 3)
            + b"me\0\0"
            + struct.pack(order + "HHI", 0x0112, kind, 1)
            + value
            + struct.pack(order + "I", following)
        )

    mark = {"<": b"II", ">": b"MM"}[order]
    header = mark + struct.pack(order + "HI", 42, 8)
    for first, second in ((1, 6), (6, 1), (8, 3)):
        data = header + directory(first, 38) + directory(second, 0)
        check(encoded(PIXELS, "JPEG", exif=b"Exif\0\0" + data))


REFUSED = hostile.refused(PIXELS)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_hostile_bytes_are_refused_in_a_sentence(name, exported_session):
    contents, sentence = REFUSED[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        exported_session("serving_default", np.array([contents], object))


@pytest.fixture(scope="module")
def exported_session(exported):
    """Calls a signature of the exported SavedModel through the C++ session loader."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        load = tf.compat.v1.saved_model.loader.load
        signatures = load(session, ["serve"], str(exported[1])).signature_def

    def run(signature, value):
        (source,) = signatures[signature].inputs.values()
        (result,) = signatures[signature].outputs.values()
        return session.run(result.name, {source.name: value})

    yield run
    session.close()


def test_an_animation_is_found_behind_other_chunks(exported_session):
    contents = REFUSED["animated PNG"][0]
    late = contents[:33] + hostile.chunk(b"tEXt", bytes(20_000)) + contents[33:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not animations"):
        exported_session("serving_default", np.array([late], object))


def test_a_bad_image_among_good_ones_refuses_the_request(exported_session):
    good = encoded(PIXELS)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be PNG or JPEG"):
        exported_session("serving_default", np.array([good, b"bad"], object))


def test_the_limit_is_that_of_the_whole_request(exported_session):
    # 2**16 pixels; each side counts as rounded up to 64.
    small = encoded(PIXELS)
    sixteen = exported_session("serving_default", np.array([small] * 16, object))
    assert len(sixteen) == 16
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 65536 pixels"):
        exported_session("serving_default", np.array([small] * 17, object))
    for signature, dtype in (("image", np.uint8), ("float_image", np.float32)):
        assert exported_session(signature, np.zeros((16, 9, 9, 3), dtype)).any()
        with pytest.raises(tf.errors.InvalidArgumentError, match="more than 65536"):
            exported_session(signature, np.zeros((17, 9, 9, 3), dtype))


def test_empty_tensors_are_refused_and_an_empty_list_is_empty(exported_session):
    for shape in ((0, 9, 9, 3), (1, 0, 9, 3), (1, 9, 0, 3)):
        for signature, dtype in (("image", np.uint8), ("float_image", np.float32)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="not be empty"):
                exported_session(signature, np.zeros(shape, dtype))
    assert exported_session("serving_default", np.array([], object)).shape == (0,)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (64, 64), (37, 53)])
def test_any_size_comes_back_in_its_size(exported_session, size):
    pixels = PIXELS[: size[0], : size[1]]
    if size == (1, 90):
        pixels = smooth_noise(np.random.default_rng(1), *size)
    if size == (64, 64):
        pixels = smooth_noise(np.random.default_rng(2), *size)
    (output,) = exported_session("serving_default", np.array([encoded(pixels)], object))
    assert Image.open(io.BytesIO(output)).size == size[::-1]
    assert exported_session("image", pixels[None]).shape == (1, *size, 3)


def test_files_of_different_sizes_go_in_one_request(exported_session):
    files = [encoded(PIXELS), encoded(PIXELS[:5, :9]), encoded(PIXELS, "JPEG")]
    together = exported_session("serving_default", np.array(files, object))
    for file, output in zip(files, together, strict=True):
        (alone,) = exported_session("serving_default", np.array([file], object))
        assert alone == output


def test_fuzzed_bytes_are_refused_or_decoded_but_nothing_worse(exported_session):
    random = np.random.default_rng(0)
    good = [encoded(PIXELS), encoded(PIXELS, "JPEG"), encoded(PIXELS[..., 0], "PNG")]
    before = exported_session("serving_default", np.array(good, object))
    refused = 0
    for _ in range(300):
        payload = np.array([hostile.fuzzed(random, good)], object)
        try:
            exported_session("serving_default", payload)
        except tf.errors.InvalidArgumentError:
            refused += 1
    assert 200 < refused < 300
    after = exported_session("serving_default", np.array(good, object))
    assert (before == after).all()


def test_8_bits_are_refused_where_they_would_be_dark():
    spec = ImageSpec(1, 16, low=0, high=4095, kind="uint16")
    deep = encoded(Image.fromarray(np.full((4, 4), 4095, np.uint16)))
    assert (decoding.decode(tf.constant(deep), spec).numpy() == 65535).all()
    for format in ("PNG", "JPEG"):
        file = io.BytesIO()
        Image.fromarray(np.full((4, 4), 255, np.uint8)).save(file, format=format)
        with pytest.raises(tf.errors.InvalidArgumentError, match="PNG of 16 bits, whose"):
            decoding.decode(tf.constant(file.getvalue()), spec)
