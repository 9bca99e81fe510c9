"""Pictures as users have them: turned, grey, transparent, with tags, broken."""

import dataclasses
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image
from PIL import ImageCms
from PIL import TiffImagePlugin

from pan_tf import image_files
from pan_tf import images
from pan_tf.data import specs
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import Picture
from pan_tf.image_files import format_kept
from pan_tf.image_files import read_picture
from pan_tf.image_files import write_picture
from pan_tf.images import ImageSpec
from tests import hostile
from tests.conftest import smooth_noise


@pytest.fixture
def pixels():
    return smooth_noise(np.random.default_rng(0), 30, 50)


def test_rgb_is_read_as_it_is(pixels, tmp_path):
    for ending in ("png", "bmp", "tif"):
        Image.fromarray(pixels).save(tmp_path / f"x.{ending}")
        picture = read_picture(tmp_path / f"x.{ending}")
        assert (picture.pixels == pixels).all() and picture.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright(pixels, tmp_path, orientation):
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[274] = orientation
    image.save(tmp_path / "photo.png", exif=exif)
    assert (read_picture(tmp_path / "photo.png").pixels == pixels).all()


def test_grey_palette_and_cmyk_become_rgb(pixels, tmp_path):
    image = Image.fromarray(pixels)
    for mode, ending in (("L", "png"), ("1", "png"), ("P", "gif"), ("CMYK", "tif")):
        path = tmp_path / f"{mode}.{ending}"
        image.convert(mode).save(path)
        picture = read_picture(path)
        expected = np.asarray(image.convert(mode).convert("RGB"))
        assert (picture.pixels == expected).all()


def test_the_upper_8_of_16_bits_count(tmp_path):
    deep = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    for ending in ("png", "tif"):
        Image.fromarray(deep).save(tmp_path / f"deep.{ending}")
        picture = read_picture(tmp_path / f"deep.{ending}")
        assert picture.pixels[0, :, 2].tolist() == [0, 0, 0, 1, 128, 255]


def test_transparency_comes_back(pixels, tmp_path):
    alpha = pixels[..., 0]
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "in.png")
    picture = read_picture(tmp_path / "in.png")
    assert (picture.pixels == pixels).all() and (picture.alpha == alpha).all()
    write_picture(tmp_path / "out" / "out.png", picture, "PNG")
    again = np.asarray(Image.open(tmp_path / "out" / "out.png"))
    assert (again == np.dstack([pixels, alpha])).all()
    write_picture(tmp_path / "out.jpg", picture, "JPEG")
    assert Image.open(tmp_path / "out.jpg").mode == "RGB"


def test_geotiff_tags_stay_with_a_tiff(pixels, tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    values = {
        33550: (0.5, 0.5, 0.0),
        33922: (0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0),
        34735: (1, 1, 0, 1, 1024, 0, 1, 1),
        34736: (6378137.0, 298.25),
        34737: "WGS 84|",
        42113: "-9999",
        282: 300.0,
    }
    types = {33550: 12, 33922: 12, 34735: 3, 34736: 12, 34737: 2, 42113: 2, 282: 5}
    for tag, value in values.items():
        tags[tag] = value
        tags.tagtype[tag] = types[tag]
    Image.fromarray(pixels).save(tmp_path / "in.tif", tiffinfo=tags)
    picture = read_picture(tmp_path / "in.tif")
    write_picture(tmp_path / "out.tif", picture, format_kept(tmp_path / "in.tif"))
    with Image.open(tmp_path / "out.tif") as image:
        for tag, value in values.items():
            assert image.tag_v2[tag] == value, tag
            assert image.tag_v2.tagtype[tag] == types[tag]
    assert (read_picture(tmp_path / "out.tif").pixels == pixels).all()


@pytest.mark.parametrize("mode", ["L", "P"])
def test_label_maps_keep_a_geotiffs_tags(mode, tmp_path):
    labels = np.arange(64, dtype=np.uint8).reshape(8, 8) % 5
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette(bytes(range(255, 240, -1)))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags.tagtype[33550] = (0.5, 0.5, 0.0), 12
    image.save(tmp_path / "in.tif", tiffinfo=tags)
    picture = read_picture(tmp_path / "in.tif", ImageSpec(labels=5))
    assert (picture.pixels[..., 0] == labels).all()
    assert picture.tags[33550] == (12, (0.5, 0.5, 0.0))


@pytest.mark.parametrize("deep", [False, True])
def test_texts_of_a_tiff_keep_their_bytes(deep, pixels, tmp_path):
    """Whatever their encoding: Pillow writes ASCII, tifffile takes bytes as they are."""
    texts = {270: "Überflug".encode(), 42112: b"<GDALMetadata>5 \xb5m</GDALMetadata>"}
    given = pixels.astype(np.uint16) * 257 if deep else pixels
    extra = [(tag, 2, 0, text, True) for tag, text in texts.items()]
    tifffile.imwrite(
        tmp_path / "in.tif", given, photometric="rgb", metadata=None, extratags=extra
    )
    picture = read_picture(tmp_path / "in.tif")
    for kind in (np.uint8, np.uint16):
        written = dataclasses.replace(picture, pixels=picture.pixels.astype(kind))
        write_picture(tmp_path / "out.tif", written, "TIFF")
        with Image.open(tmp_path / "out.tif") as image:
            found = {tag: image.tag_v2[tag].encode("latin-1") for tag in texts}
        # tifffile reads what is not UTF-8 by a code page, of which UTF-8 is made.
        if deep:
            texts[42112] = "<GDALMetadata>5 µm</GDALMetadata>".encode()
        assert found == texts


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_premultiplied_colours_are_divided_at_any_depth(kind, tmp_path):
    most = np.iinfo(kind).max
    colors = np.array([[[200, 100, 50], [200, 100, 50], [9, 9, 9], [200, 0, 0]]])
    alpha = np.array([[255, 128, 0, 100]])  # The last is brighter than it can be.
    given = np.dstack([colors, alpha]) * (most // 255)
    tifffile.imwrite(
        tmp_path / "in.tif",
        given.astype(kind),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    spec = ImageSpec(3, 8 * np.dtype(kind).itemsize)
    picture = read_picture(tmp_path / "in.tif", spec)
    assert picture.pixels.dtype == kind
    found = picture.pixels // (most // 255)
    expected = [[200, 100, 50], [255, 199, 99], [0, 0, 0], [255, 0, 0]]
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(picture.alpha, alpha * (most // 255))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_colour_that_is_no_colour_of_a_deep_png(channels, tmp_path):
    random = np.random.default_rng(0)
    deep = random.integers(0, 65536, (4, 5, channels)).astype(np.uint16)
    deep[1, 2] = deep[3, 0] = [500, 65535, 7][:channels]
    contents = tf.io.encode_png(deep).numpy()
    key = b"tRNS" + deep[1, 2].astype(">u2").tobytes()
    chunk = (len(key) - 4).to_bytes(4, "big") + key + zlib.crc32(key).to_bytes(4, "big")
    (tmp_path / "in.png").write_bytes(contents[:33] + chunk + contents[33:])
    spec = ImageSpec(channels, 16)
    picture = read_picture(tmp_path / "in.png", spec)
    np.testing.assert_array_equal(picture.pixels, deep)
    expected = np.full((4, 5), 65535)
    expected[1, 2] = expected[3, 0] = 0
    np.testing.assert_array_equal(picture.alpha, expected)
    write_picture(tmp_path / "out.png", picture, "PNG")
    again = read_picture(tmp_path / "out.png", spec)
    np.testing.assert_array_equal(again.alpha, expected)


def test_colours_that_nobody_sees_stay_in_a_webp(pixels, tmp_path):
    picture = Picture(pixels, np.zeros(pixels.shape[:2], np.uint8))
    write_picture(tmp_path / "out.webp", picture, "WEBP")
    np.testing.assert_array_equal(read_picture(tmp_path / "out.webp").pixels, pixels)


def test_what_cannot_be_read_is_told_in_a_sentence(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("nowhere.png", "is not there"),
        ("empty.png", "is empty"),
        ("text.png", "is not an image"),
        ("cut.jpg", "(?i)truncated"),
        ("float.tif", "holds float32 pixels"),
        ("moving.gif", "holds 2 images"),
    ):
        with pytest.raises(ImageFileError, match=message):
            read_picture(tmp_path / name)


def test_rare_formats_are_not_opened_whatever_they_are_called(pixels, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, "PCX")
    with Image.open(path) as image:
        assert image.format == "PCX"
    with pytest.raises(ImageFileError, match="of a kind that cannot be read"):
        read_picture(path)


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_png_that_still_decodes_is_refused(deep, pixels, tmp_path):
    path = tmp_path / "a.png"
    values = pixels[..., 0].astype(np.uint16) * 257 if deep else pixels
    # Not compressed: every byte is a pixel's.
    Image.fromarray(values).save(path, compress_level=0)
    whole = path.read_bytes()
    read_picture(path, 1 if deep else 3)
    for place in (len(whole) // 3, len(whole) // 2):
        path.write_bytes(hostile.flipped(whole, place))
        with pytest.raises(ImageFileError, match="a checksum of its pixels is wrong"):
            read_picture(path, 1 if deep else 3)


def test_a_failed_write_leaves_nothing(pixels, tmp_path):
    picture = read_picture_of(pixels, tmp_path)
    wide = dataclasses.replace(picture, pixels=np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(ImageFileError, match="cannot be written as WEBP"):
        write_picture(tmp_path / "out.webp", wide, "WEBP")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png"]


def read_picture_of(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "in.png")
    return read_picture(tmp_path / "in.png")


def test_overviews_and_masks_of_a_geotiff_are_not_pictures(pixels, tmp_path):
    def save(name, *kinds):
        frames = [Image.fromarray(pixels // (i + 1)) for i in range(len(kinds))]
        with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / name), True) as file:
            for frame, kind in zip(frames, kinds, strict=True):
                tags = TiffImagePlugin.ImageFileDirectory_v2()
                tags[254] = kind
                frame.save(file, format="TIFF", tiffinfo=tags)
                file.newFrame()

    save("overviews.tif", 0, 1, 1, 4, 5)
    assert (read_picture(tmp_path / "overviews.tif").pixels == pixels).all()
    save("pages.tif", 0, 1, 0)
    with pytest.raises(ImageFileError, match="holds 2 images"):
        read_picture(tmp_path / "pages.tif")


@pytest.mark.parametrize("nodata", ["1e+20", "-9999.9", "nan", "3.4e38"])
def test_missing_values_become_the_lowest_level(nodata, tmp_path):
    """The tag's text may have more digits than the pixels, and lie above the range."""
    values = np.linspace(0, 100, 20, dtype=np.float32).reshape(4, 5)
    values[0, 0], values[1, 1] = np.float32(nodata), np.inf
    tag = (42113, 2, 0, nodata, True)
    tifffile.imwrite(tmp_path / "in.tif", values, extratags=[tag])
    spec = specs.of_files([tmp_path / "in.tif"])
    assert spec.kind == "float32" and 0 <= spec.low < spec.high <= 100
    levels = read_picture(tmp_path / "in.tif", spec).pixels[..., 0]
    assert levels[0, 0] == levels[1, 1] == 0 and levels[3, 4] == 65535


def test_a_tag_of_missing_values_that_is_no_text_says_nothing(tmp_path):
    values = np.linspace(0, 100, 20, dtype=np.float32).reshape(4, 5)
    tag = (42113, 3, 1, 5, True)
    tifffile.imwrite(tmp_path / "in.tif", values, extratags=[tag])
    spec = specs.of_files([tmp_path / "in.tif"])
    assert spec.kind == "float32" and 0 <= spec.low < spec.high <= 100


def test_transparency_is_the_channel_that_says_so(tmp_path):
    values = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
    tifffile.imwrite(
        tmp_path / "in.tif",
        values,
        photometric="rgb",
        planarconfig="contig",
        extrasamples=["unassalpha", "unspecified"],
    )
    picture = read_picture(tmp_path / "in.tif", ImageSpec(4))
    np.testing.assert_array_equal(picture.alpha, values[..., 3])
    np.testing.assert_array_equal(picture.pixels, values[..., [0, 1, 2, 4]])


def test_transparency_of_floats_is_from_0_to_1(tmp_path):
    values = np.random.default_rng(0).random((4, 5, 4)).astype(np.float32)
    tifffile.imwrite(
        tmp_path / "in.tif", values, photometric="rgb", extrasamples=["unassalpha"]
    )
    spec = ImageSpec(4, 16, low=0.0, high=1.0, kind="float32", has_alpha=True)
    picture = read_picture(tmp_path / "in.tif", spec)
    np.testing.assert_allclose(picture.pixels / 65535, values, atol=1e-5)
    np.testing.assert_allclose(spec.restore(picture.pixels), values, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 4])
def test_the_key_of_a_grey_png_of_few_bits_is_found(bits, tmp_path):
    # A row of filter 0 and of the numbers 0 to 3, packed.
    row = bytes([0]) + (bytes([0b00011011]) if bits == 2 else bytes([0x01, 0x23]))
    header = (4).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([bits, 0, 0, 0, 0])
    parts = (b"IHDR", header), (b"tRNS", b"\0\2"), (b"IDAT", zlib.compress(row))
    (tmp_path / "in.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            len(data).to_bytes(4, "big")
            + name
            + data
            + zlib.crc32(name + data).to_bytes(4, "big")
            for name, data in (*parts, (b"IEND", b""))
        )
    )
    picture = read_picture(tmp_path / "in.png", ImageSpec(1))
    np.testing.assert_array_equal(picture.alpha, [[255, 255, 0, 255]])


def test_a_linear_profile_is_not_srgb_whatever_its_name(pixels, tmp_path):
    """sRGB with its curve replaced by gamma 1, of the same length."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(tmp_path / "srgb.png", icc_profile=profile)
    assert (read_picture(tmp_path / "srgb.png").pixels == pixels).all()
    begin = profile.index(b"para\0\0\0\0\0\3") + 12
    linear = np.array([65536, 65536, 0, 65536, 0], ">i4").tobytes()
    changed = profile[:begin] + linear + profile[begin + 20 :]
    Image.fromarray(pixels).save(tmp_path / "linear.png", icc_profile=changed)
    found = read_picture(tmp_path / "linear.png").pixels / 255
    light = pixels / 255
    expected = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_pgm_of_16_bits_is_of_16_bits(tmp_path):
    values = np.array([[0, 1, 65535], [256, 4095, 40000]], np.uint16)
    contents = b"P5 3 2 65535\n" + values.astype(">u2").tobytes()
    (tmp_path / "in.pgm").write_bytes(contents)
    assert image_files.read_header(tmp_path / "in.pgm").kind == "uint16"
    found = read_picture(tmp_path / "in.pgm", ImageSpec(1, 16)).pixels
    np.testing.assert_array_equal(found[..., 0], values)


def test_an_array_of_another_byte_order_is_of_the_same_kind(tmp_path):
    np.save(tmp_path / "in.npy", np.ones((4, 6), ">f4"))
    assert image_files.read_header(tmp_path / "in.npy").kind == "float32"


def test_a_deep_tiff_is_stood_upright(tmp_path):
    values = np.arange(24, dtype=np.uint16).reshape(4, 6)
    tifffile.imwrite(tmp_path / "in.tif", values, extratags=[(274, 3, 1, 6, True)])
    found = image_files.read_raw(tmp_path / "in.tif").pixels[..., 0]
    np.testing.assert_array_equal(found, np.rot90(values, -1))


def test_pages_of_several_depths_are_no_channels(tmp_path):
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for kind in (np.uint8, np.uint16):
            file.write(np.zeros((8, 8), kind), photometric="minisblack", metadata=None)
    with pytest.raises(ImageFileError, match="holds 2 images"):
        image_files.read_raw(tmp_path / "in.tif")


def test_transparency_and_resolution_of_a_deep_tiff_come_back(tmp_path):
    random = np.random.default_rng(0)
    values = random.integers(0, 65536, (4, 5, 4)).astype(np.uint16)
    tags = {282: (5, 300.0), 283: (5, 300.0), 296: (3, 3)}
    picture = Picture(values[..., :3], values[..., 3], tags)
    write_picture(tmp_path / "out.tif", picture, "TIFF")
    found = image_files.read_raw(tmp_path / "out.tif")
    np.testing.assert_array_equal(found.alpha, values[..., 3])
    assert {tag: value for tag, (_, value) in found.tags.items()} == {
        282: 300.0,
        283: 300.0,
        296: 3,
    }


def test_for_the_eye_16_bits_are_rounded_and_bands_are_the_first():
    assert images.shown(np.array([128, 129, 65535], np.uint16)).tolist() == [0, 1, 255]
    bands = np.arange(5, dtype=np.uint8)[None, None]
    assert images.as_rgb(bands).tolist() == [[[0, 1, 2]]]
    assert images.as_rgb(bands[..., :2]).tolist() == [[[0, 0, 0]]]


def test_values_come_back_rounded_and_transparency_whole():
    spec = ImageSpec(1, 8, low=0, high=4095, kind="uint16")
    assert spec.restore(np.uint8([[[128]]])).item() == 2056  # 2055.5
    spec = ImageSpec(4, 16, low=0, high=4095, kind="uint16", has_alpha=True)
    values = np.array([[[0, 4095, 0, 65535], [0, 0, 0, 257]]], np.uint16)
    np.testing.assert_array_equal(spec.restore(spec.fit(values)), values)


@pytest.mark.parametrize(
    ("resolution", "written"),
    [
        (TiffImagePlugin.IFDRational(72, 1), 72.0),
        (TiffImagePlugin.IFDRational(0, 0), None),
        ((72.0,), None),
    ],
)
def test_a_resolution_that_is_none_costs_no_image(resolution, written, tmp_path):
    path, pixels = tmp_path / "in.tif", np.zeros((8, 8, 3), np.uint16)
    tifffile.imwrite(path, pixels, photometric="rgb", resolution=(300, 300))
    picture = read_picture(path)
    assert picture.tags[282] == (5, 300.0)
    tags = picture.tags | {282: (5, resolution), 283: (5, resolution)}
    write_picture(path, dataclasses.replace(picture, tags=tags), "TIFF")
    found = read_picture(path)
    np.testing.assert_array_equal(found.pixels, pixels)
    assert written is None or found.tags[282] == (5, written)
