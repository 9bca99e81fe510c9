"""Whatever a file is, training, the doctor and translation see the same pixels of it."""

import io
import time

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image
from PIL import ImageCms
from PIL import ImageOps

from pan_tf import doctor
from pan_tf import image_files
from pan_tf.config import Config
from pan_tf.data import open_data
from pan_tf.data.layouts import halves
from pan_tf.data.layouts import listing
from pan_tf.images import ImageSpec
from tests import hostile
from tests.conftest import smooth_noise

SIZE = 40, 64


@pytest.fixture
def picture():
    return Image.fromarray(smooth_noise(np.random.default_rng(3), *SIZE))


def exif_of(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def display_p3():
    """An ICC profile of RGB with another red, made of sRGB's own bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    at = [int.from_bytes(profile[p + 4 : p + 8], "big") for p in (red, green)]
    swapped = bytearray(profile)
    swapped[at[0] : at[0] + 20], swapped[at[1] : at[1] + 20] = (
        profile[at[1] : at[1] + 20],
        profile[at[0] : at[0] + 20],
    )
    return bytes(swapped).replace("sRGB".encode("utf-16-be"), "WIDE".encode("utf-16-be"))


def bmp_565(image):
    """A BMP of 5, 6 and 5 bits, by hand."""
    pixels = np.asarray(image)[::-1].astype(np.uint16)
    packed = (
        (pixels[..., 0] >> 3) << 11 | (pixels[..., 1] >> 2) << 5 | pixels[..., 2] >> 3
    )
    rows = packed.astype("<u2").tobytes()
    height, width = pixels.shape[:2]
    masks = b"".join(v.to_bytes(4, "little") for v in (0xF800, 0x07E0, 0x001F))
    fields = [40, width, height]
    head = b"".join(v.to_bytes(4, "little") for v in fields)
    head += (1).to_bytes(2, "little") + (16).to_bytes(2, "little")
    head += b"".join(v.to_bytes(4, "little") for v in (3, len(rows), 0, 0, 0, 0))
    offset = 14 + len(head) + len(masks)
    begin = b"BM" + (offset + len(rows)).to_bytes(4, "little") + bytes(4)
    return begin + offset.to_bytes(4, "little") + head + masks + rows


VARIANTS = {
    "plain.png": lambda i, p: i.save(p),
    "plain.jpg": lambda i, p: i.save(p, quality=95),
    "grey.png": lambda i, p: i.convert("L").save(p),
    "palette.png": lambda i, p: i.quantize(32).save(p),
    "palette.bmp": lambda i, p: i.quantize(32).save(p),
    "two_levels.bmp": lambda i, p: i.convert("1").save(p),
    "five_six_five.bmp": lambda i, p: p.write_bytes(bmp_565(i)),
    "turned.jpg": lambda i, p: i.transpose(Image.ROTATE_90).save(p, exif=exif_of(6)),
    "mirrored.png": lambda i, p: i.transpose(Image.FLIP_LEFT_RIGHT).save(
        p, exif=exif_of(2)
    ),
    "cmyk.jpg": lambda i, p: i.convert("CMYK").save(p, quality=95),
    "profile.png": lambda i, p: i.save(p, icc_profile=display_p3()),
    "profile.jpg": lambda i, p: i.save(p, icc_profile=display_p3()),
    "transparent.png": lambda i, p: i.convert("RGBA").save(p),
    "grey_and_alpha.png": lambda i, p: i.convert("LA").save(p),
    "lossless.webp": lambda i, p: i.save(p, lossless=True),
    "photo.jfif": lambda i, p: i.save(p, format="JPEG"),
    "photo.jpe": lambda i, p: i.save(p, format="JPEG"),
    "plain.tif": lambda i, p: i.save(p),
    "packed.tiff": lambda i, p: i.save(p, compression="tiff_lzw"),
}


def pair_of(folder, name, image):
    """`image` as side A under a name, and an upright PNG of it as side B."""
    for side in "AB":
        (folder / f"train{side}").mkdir(parents=True, exist_ok=True)
    VARIANTS[name](image, folder / "trainA" / name)
    stem = name.rpartition(".")[0]
    image.save(folder / "trainB" / f"{stem}.png")


@pytest.mark.parametrize("name", VARIANTS)
def test_all_see_the_same_pixels(name, picture, tmp_path):
    pair_of(tmp_path, name, picture)
    path = tmp_path / "trainA" / name
    expected = image_files.read_picture(path).pixels
    assert expected.shape == (*SIZE, 3)
    config = Config(dataset="folder", data_dir=str(tmp_path), source_channels=3)
    opened = open_data(config)
    source, target = (side.numpy() for side in opened.train.load(0))
    np.testing.assert_array_equal(source, expected)
    # Upright, and about the same colours, unless a profile says otherwise.
    if "profile" not in name and "two" not in name and "gr" not in name:
        assert np.abs(source.astype(int) - target).mean() < 12
    (item,), _ = doctor.of_folder(tmp_path)
    # Grey files stay grey there, and are shown as RGB.
    np.testing.assert_array_equal(item.load()[0], expected)
    assert (opened.geometry.files.median) == SIZE


@pytest.mark.parametrize("name", [n for n in VARIANTS if "profile" not in n])
def test_pillow_sees_the_same(name, picture, tmp_path):
    VARIANTS[name](picture, tmp_path / name)
    with Image.open(tmp_path / name) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = image_files.read_picture(tmp_path / name).pixels
    np.testing.assert_array_equal(found, expected)


def test_littlecms_sees_the_same_colours(picture, tmp_path):
    picture.save(tmp_path / "x.png", icc_profile=display_p3())
    profile = ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
    srgb = ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(picture, profile, srgb)
    found = image_files.read_picture(tmp_path / "x.png").pixels
    np.testing.assert_array_equal(found, np.asarray(expected))


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4)])
def test_a_png_of_16_bits_written_by_hand_is_read(kind, channels):
    random = np.random.default_rng(4)
    values = random.integers(0, 65536, (5, 7, channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    raw = image_files.read_raw(hostile.png(7, 5, rows, depth=16, kind=kind))
    np.testing.assert_array_equal(raw.pixels, values[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(raw.alpha, values[..., 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_tensorflow_and_tifffile_read_what_is_written_with_16_bits(channels, tmp_path):
    random = np.random.default_rng(5)
    pixels = random.integers(0, 65536, (6, 9, channels)).astype(np.uint16)
    for format in ("PNG", "TIFF"):
        path = tmp_path / f"x.{format}"
        image_files.write_picture(path, image_files.Picture(pixels), format)
    png = tf.io.decode_png((tmp_path / "x.PNG").read_bytes(), dtype=tf.uint16)
    np.testing.assert_array_equal(png, pixels)
    found = tifffile.imread(tmp_path / "x.TIFF").reshape(pixels.shape)
    np.testing.assert_array_equal(found, pixels)


def test_colours_of_a_profile_become_srgb(picture, tmp_path):
    pair_of(tmp_path, "profile.png", picture)
    found = image_files.read_picture(tmp_path / "trainA" / "profile.png").pixels
    plain = np.asarray(picture)
    # The profile calls red green, and green red.
    assert np.abs(found.astype(int) - plain[..., [1, 0, 2]]).mean() < 6
    header = image_files.read_header(tmp_path / "trainA" / "profile.png")
    assert "WIDE" in header.profile


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp"])
def test_a_header_has_the_size_of_the_pixels(name, orientation, picture, tmp_path):
    picture.save(tmp_path / name, exif=exif_of(orientation))
    header = image_files.read_header(tmp_path / name)
    pixels = image_files.read_picture(tmp_path / name).pixels
    assert (header.height, header.width) == pixels.shape[:2]


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif"])
def test_masks_of_one_bit_are_two_labels(name, picture, tmp_path):
    mask = picture.convert("1")
    mask.save(tmp_path / name)
    found = image_files.read_picture(tmp_path / name, ImageSpec(2, 8, 2)).pixels
    np.testing.assert_array_equal(found[..., 0], np.asarray(mask).astype(np.uint8))


def test_a_broken_profile_is_left_out(picture, tmp_path):
    picture.save(tmp_path / "x.png", icc_profile=b"no profile at all")
    found = image_files.read_picture(tmp_path / "x.png").pixels
    np.testing.assert_array_equal(found, np.asarray(picture))


def test_what_is_hidden_is_no_image_and_what_is_left_alone_is_named(
    picture, tmp_path, caplog
):
    for i in range(3):
        pair_of(tmp_path, "plain.png", picture)
        for side in "AB":
            folder = tmp_path / f"train{side}"
            (folder / "plain.png").rename(folder / f"{i}.png")
    a = tmp_path / "trainA"
    (a / "._0.png").write_bytes(b"resource fork")
    (a / ".ipynb_checkpoints").mkdir()
    (a / "folder.png").mkdir()
    (a / "notes.txt").write_text("mine")
    (a / "9.heic").write_bytes(b"?")
    assert len(open_data(Config(dataset="folder", data_dir=str(tmp_path))).train) == 3
    assert "2 files are left alone" in caplog.text
    assert "9.heic; notes.txt" in caplog.text


def test_many_files_with_one_doubled_name_are_listed_at_once(tmp_path):
    folder = tmp_path / "trainA"
    folder.mkdir()
    for i in range(5000):
        (folder / f"{i}.png").touch()
    (folder / "17.jpg").touch()
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"more than their ending: .*17\.jpg"):
        listing.images_of(folder)
    assert time.process_time() - begin < 5  # It was quadratic: minutes.


def test_lists_without_pairs_may_share_names(picture, tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for ending in ("png", "jpg"):
            picture.save(tmp_path / f"train{side}" / f"x.{ending}")
    config = Config(dataset="folder", data_dir=str(tmp_path), recipe="cyclegan")
    assert len(open_data(config, paired=False).train) == 2
    with pytest.raises(ValueError, match="more than their ending"):
        open_data(config)


def test_pillows_guard_is_not_for_ones_own_files(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    pair_of(tmp_path, "plain.png", picture)
    assert len(open_data(Config(dataset="folder", data_dir=str(tmp_path))).train) == 1
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "cannot be read|is not an image"),
        (b"II*\0" + bytes(40), "cannot be read|is not an image"),
        (b"\x93NUMPY" + bytes(40), "cannot be read"),
        (b"BM" + bytes(60), "cannot be read|is not an image"),
    ],
)
def test_broken_files_are_named_with_a_sentence(contents, message, picture, tmp_path):
    pair_of(tmp_path, "plain.png", picture)
    (tmp_path / "trainA" / "plain.png").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"trainA.plain\.png ({message})"):
        open_data(Config(dataset="folder", data_dir=str(tmp_path)))


def test_half_a_file_is_named(picture, tmp_path):
    for name in ("plain.png", "plain.jpg", "plain.tif", "lossless.webp", "palette.bmp"):
        file = io.BytesIO()
        pair_of(tmp_path / name, name, picture)
        path = tmp_path / name / "trainA" / name
        contents = path.read_bytes()
        path.write_bytes(contents[: len(contents) // 2])
        with pytest.raises(ValueError, match=f"trainA.{name}"):
            open_data(Config(dataset="folder", data_dir=str(tmp_path / name)))
        assert not file.getvalue()


def halved(folder, pixels):
    folder.mkdir()
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{i}.png")
    return halves.suspicions(listing.side_by_side(folder))


def test_what_does_not_look_like_two_halves_is_told(tmp_path):
    random = np.random.default_rng(0)

    def noise(height, width):
        waves = random.uniform(-6, 6, (height, width, 3)).cumsum(1) + 128
        return (waves + random.uniform(-60, 60)).clip(0, 255).astype(np.uint8)

    one, two = ([noise(64, 64) for _ in range(6)] for _ in range(2))
    beside = [np.concatenate(pair, 1) for pair in zip(one, two, strict=True)]
    assert halved(tmp_path / "beside", beside) == []
    above = [np.concatenate(pair, 0) for pair in zip(one, two, strict=True)]
    (tall, *_) = halved(tmp_path / "above", above)
    assert "4.0 times as high as wide" in tall
    (single,) = halved(tmp_path / "single", [noise(64, 128) for _ in range(6)])
    assert "go on over their middle as one image does" in single
    flat = [np.full((64, 128, 3), 9, np.uint8)]
    assert halved(tmp_path / "flat", flat) == []
