"""Files of every kind, from training to the served model, and back into their kind."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from pan_tf import doctor
from pan_tf import image_files
from pan_tf import metrics
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.data import open_data
from pan_tf.data import with_found
from pan_tf.data.specs import of_files
from pan_tf.evaluation import Evaluation
from pan_tf.export import Export
from pan_tf.export import decoding
from pan_tf.image_files import Picture
from pan_tf.image_files import write_picture
from pan_tf.images import ImageSpec
from pan_tf.inference import TranslationJob
from pan_tf.inference import Translator
from pan_tf.runs.folder import RunFolder
from tests.hostile import encoded
from tests.trained import few_metrics
from tests.trained import train

SIZE = 64, 96


@pytest.fixture(scope="module", autouse=True)
def few():
    """What holds of one metric holds of all."""
    with few_metrics():
        yield


def waves(random, channels):
    """float64 `[*SIZE, channels]` in [0, 1], smooth."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1], :1][:2]
    return 0.5 + 0.5 * np.sin(
        x / random.uniform(4, 9, channels) + y / random.uniform(4, 9, channels)
    )


def eight(path, values):
    write_picture(path, Picture(np.round(values * 255).astype(np.uint8)), "PNG")


def webp(path, values):
    write_picture(path, Picture(np.round(values * 255).astype(np.uint8)), "WEBP")


def jpeg(path, values):
    write_picture(path, Picture(np.round(values * 255).astype(np.uint8)), "JPEG")


def sixteen(path, values):
    write_picture(path, Picture(np.round(values * 65535).astype(np.uint16)), "PNG")


def twelve(path, values):
    write_picture(path, Picture(np.round(values * 4095).astype(np.uint16)), "PNG")


def heights(path, values):
    tifffile.imwrite(path, (values[..., 0] * 900 - 100).astype(np.float32))


def pages(path, values):
    stack = np.round(values * 60000).astype(np.uint16).transpose(2, 0, 1)
    tifffile.imwrite(path, stack, photometric="minisblack")


def array(path, values):
    np.save(path, (values * 3 - 1).astype(np.float32))


def labels(path, values):
    indices = (values[..., 0] * 4.99).astype(np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.save(path)


# id -> (writer, ending, channels) of sources, of targets; settings; what is found.
KINDS = {
    "grey16-to-rgb16": (
        (sixteen, "png", 1),
        (sixteen, "png", 3),
        {},
        "sources grey of 16 bits, targets RGB of 16 bits",
    ),
    "rgb8-to-12of16": (
        (webp, "webp", 3),
        (twelve, "png", 1),
        {"target_range": "0,4095"},
        "sources RGB of 8 bits, targets grey of 16 bits",
    ),
    "photo-to-heights": (
        (jpeg, "jpg", 3),
        (heights, "tif", 1),
        {},
        "sources RGB of 8 bits, targets grey of 16 bits",
    ),
    "pages-to-rgb": (
        (pages, "tiff", 5),
        (eight, "png", 3),
        {},
        "sources 5 channels of 16 bits, targets RGB of 8 bits",
    ),
    "arrays-to-arrays": (
        (array, "npy", 3),
        (array, "npy", 4),
        {"source_range": "full"},
        "sources RGB of 16 bits, targets four channels of 16 bits",
    ),
    "labels-to-rgb": (
        (labels, "png", 1),
        (eight, "png", 3),
        {"source_labels": 5},
        "sources 5 labels, targets RGB of 8 bits",
    ),
}


# They share every path with those that are kept.
_SLOW = ("rgb8-to-12of16", "arrays-to-arrays")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(kind, marks=[pytest.mark.slow] if kind in _SLOW else [])
        for kind in KINDS
    ],
)
def run(request, tmp_path_factory):
    """(run folder, folder of its data, key of `KINDS`)."""
    root = tmp_path_factory.mktemp(request.param)
    random = np.random.default_rng(0)
    *sides, settings, _ = KINDS[request.param]
    for split, count in (("train", 4), ("test", 2)):
        for side, (write, ending, channels) in zip("AB", sides, strict=True):
            folder = root / "data" / f"{split}{side}"
            folder.mkdir(parents=True)
            for i in range(count):
                write(folder / f"{i}.{ending}", waves(random, channels))
    train(
        Config(
            dataset="folder",
            data_dir=str(root / "data"),
            recipe="l1",
            preprocess="crop",
            image_size=64,
            width=1 / 16,
            learning_rate=0.01,
            iterations=6,
            validate_every=6,
            run_dir=str(root / "run"),
            **settings,
        )
    )
    return root / "run", root / "data", request.param


def files_of(folder):
    return sorted(folder.iterdir())


def test_what_files_hold_is_found_and_recorded(run):
    run_dir, _, kind = run
    known = json.loads((run_dir / "manifest.json").read_text())["data"]["images"]
    ranges = {name: (spec.get("low"), spec.get("high")) for name, spec in known.items()}
    if kind == "rgb8-to-12of16":
        assert ranges == {"source": (None, None), "target": (0.0, 4095.0)}
    elif kind == "photo-to-heights":
        low, high = ranges["target"]
        assert -100 <= low < -99 and 799 < high <= 800
    elif kind == "arrays-to-arrays":
        assert ranges["source"] == pytest.approx((-1, 2), abs=1e-3)
    else:
        assert ranges == {"source": (None, None), "target": (None, None)}
    config = RunFolder(run_dir).config()
    left_open = config.replace(source_channels=None, target_bits=None)
    assert with_found(left_open) == (config, f"Found: {KINDS[kind][3]}.")
    # What is given is said as given, not as the files have it.
    if config.source_labels is None:
        other = config.replace(source_channels=5, target_bits=None)
        assert "sources 5 channels of" in with_found(other)[1]


def test_the_doctor_reads_what_training_reads(run):
    _, data_dir, _ = run
    items, lonely = doctor.of_folder(data_dir)
    assert len(items) == 6 and not lonely
    for item in items:
        pair, _, _ = item.inspect()
        assert all(side.shape == (*SIZE, 3) and np.ptp(side) > 8 for side in pair)


def test_the_reports_number_is_that_of_the_files(run, tmp_path):
    run_dir, data_dir, kind = run
    record = Evaluation([run_dir], output_dir=tmp_path / "report").run()
    names = {"mean_color", "color_table"}
    if kind not in ("labels-to-rgb", "pages-to-rgb"):
        names.add("copy_input")
    assert set(record["baselines"]) == names
    translator = Translator(run_dir)
    job = TranslationJob(data_dir / "testA", tmp_path / "out", keep_format=False)
    outcome = job.run(translator)
    assert len(outcome.written) == 2 and not outcome.failures
    scores = []
    for source, target in zip(
        files_of(data_dir / "testA"), files_of(data_dir / "testB"), strict=True
    ):
        pixels = image_files.read_picture(source, translator.source).pixels
        truth = image_files.read_picture(target, translator.target).pixels
        output = translator(pixels)
        assert output.shape == truth.shape and output.dtype == truth.dtype
        scores.append(float(metrics.psnr(truth[None], output[None])[0]))
    assert record["metrics"]["psnr"]["mean"] == pytest.approx(np.mean(scores), abs=1e-3)


def test_outputs_are_of_the_targets_kind(run, tmp_path):
    run_dir, data_dir, kind = run
    _, ending, _ = KINDS[kind][1]
    source = files_of(data_dir / "testA")[0]
    job = TranslationJob(source, tmp_path / f"out.{ending}")
    outcome = job.run(Translator(run_dir))
    assert not outcome.failures
    made = image_files.read_raw(tmp_path / f"out.{ending}").pixels
    truth = image_files.read_raw(files_of(data_dir / "testB")[0]).pixels
    assert made.dtype == truth.dtype and made.shape == truth.shape
    # Of the same values, not of levels of [0, 255] or [0, 65535].
    spread = float(np.ptp(truth.astype(np.float64)))
    assert np.abs(made.astype(np.float64) - truth).max() <= spread * 1.01


def test_it_is_exported_and_proven(run, tmp_path):
    run_dir, data_dir, kind = run
    path, report = Export(run_dir, tmp_path / "model").run()
    signatures = {"image", "float_image", "serving_default"}
    if kind == "pages-to-rgb":
        signatures.remove("serving_default")
    assert set(report) == signatures
    served, own = Translator(path), Translator(run_dir)
    assert (served.source, served.target) == (own.source, own.target)
    file = files_of(data_dir / "testA")[0]
    pixels = image_files.read_picture(file, own.source).pixels[:50, :70]
    gap = served(pixels).astype(int) - own(pixels)
    assert np.abs(gap).max() <= 1, own.target


def test_labels_take_the_nearest_pixel_in_every_resize(tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    random = np.random.default_rng(0)
    for i in range(3):
        indices = random.integers(0, 3, (40, 60)).astype(np.uint8) * 2
        image = Image.fromarray(indices, "P")
        image.putpalette([255, 0, 0] * 5)
        image.save(tmp_path / "trainA" / f"{i}.png")
        eight(tmp_path / "trainB" / f"{i}.png", random.uniform(size=(40, 60, 3)))
    config = Config(
        dataset="folder",
        data_dir=str(tmp_path),
        source_labels=5,
        preprocess="scale",
        image_size=64,
    )
    opened = open_data(config)
    group = opened.train.load(0)
    for view in (opened.geometry.whole, opened.geometry.centre):
        source, _ = view(group, opened.train.specs)
        planes = source.numpy()
        assert planes.shape[-1] == 5
        # One plane is 1, the others are -1, and no label is in between: 1 or 3.
        assert set(np.unique(planes)) == {-1.0, 1.0}
        assert (planes.max(-1) == 1).all() and (planes.sum(-1) == -3).all()
        assert set(np.unique(planes.argmax(-1))) == {0, 2, 4}
    with pytest.raises(ValueError, match=r"0\.png holds label 4; --source_labels=4"):
        open_data(config.replace(source_labels=4))


@pytest.mark.parametrize("mode", ["squash", "scale", "crop"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_mode_takes_every_format(kind, mode, tmp_path):
    """What training, evaluation and pictures see; the rest is one path for all."""
    *sides, settings, _ = KINDS[kind]
    random = np.random.default_rng(1)
    for side, (write, ending, channels) in zip("AB", sides, strict=True):
        (tmp_path / f"train{side}").mkdir()
        for i in range(2):
            write(tmp_path / f"train{side}" / f"{i}.{ending}", waves(random, channels))
    config = Config(
        dataset="folder",
        data_dir=str(tmp_path),
        preprocess=mode,
        image_size=64,
        **settings,
    )
    config, _ = with_found(config)
    opened = open_data(config)
    whole = {"squash": (64, 64), "scale": (72, 108), "crop": SIZE}[mode]
    specs = opened.train.specs
    seed = tf.constant([1, 2], tf.int64)
    views = {
        (64, 64): opened.geometry.jitter(opened.train.load(0), seed, ("flip",), specs),
        whole: opened.geometry.whole(opened.train.load(0), specs),
    }
    for size, group in views.items():
        for image, spec in zip(group, specs, strict=True):
            assert image.shape == (*size, spec.channels)
            assert image.dtype == tf.float32
            assert -1 <= float(tf.reduce_min(image)) < float(tf.reduce_max(image)) <= 1
    # Whole files in memory are their values, to a level of their bits.
    if mode == "crop":
        for image, spec, split in zip(views[whole], specs, "AB", strict=True):
            path = files_of(tmp_path / f"train{split}")[0]
            found = spec.to_levels(image).numpy()
            expected = image_files.read_picture(path, spec).pixels
            np.testing.assert_array_equal(found, expected)


def served(contents, count):
    return decoding.decode(contents, ImageSpec(count, 8, count)).numpy()[..., 0]


def test_a_server_takes_numbers_of_classes_and_nothing_else(tmp_path):
    numbers = np.arange(5, dtype=np.uint8)[None].repeat(3, 0)
    grey = encoded(Image.fromarray(numbers))
    np.testing.assert_array_equal(served(grey, 5), numbers)
    deep = encoded(Image.fromarray(numbers.astype(np.uint16)))
    np.testing.assert_array_equal(served(deep, 5), numbers)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels must be 0 to 3"):
        served(grey, 4)
    palette = Image.fromarray(numbers, "P")
    palette.putpalette([9, 9, 9] * 5)
    for wrong in (encoded(palette), encoded(Image.new("RGB", (4, 4)), "JPEG")):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be grey PNG"):
            served(wrong, 5)


def test_labels_beside_colours_in_one_file_are_refused(tmp_path):
    (tmp_path / "train").mkdir()
    image = Image.fromarray(np.zeros((64, 128), np.uint8), "P")
    image.putpalette([0, 0, 0])
    image.save(tmp_path / "train" / "0.png")
    config = Config(dataset="folder", data_dir=str(tmp_path), source_labels=2)
    with pytest.raises(ValueError, match=r"0\.png holds A and B: one cannot be labels"):
        open_data(config)


def test_a_range_of_8_bits_is_undone_in_every_format(tmp_path):
    spec = ImageSpec(1, 8, low=0.0, high=100.0)
    picture = Picture(np.full((8, 8, 1), 255, np.uint8))
    for format in ("PNG", "TIFF", "BMP", "WEBP", "NPY"):
        path = tmp_path / f"x.{format}"
        write_picture(path, picture, format, spec)
        assert (image_files.read_raw(path).pixels[..., :1] == 100).all(), format


@pytest.mark.parametrize("asked", [None, "full"])
def test_missing_values_are_told_and_leave_the_range_alone(asked, tmp_path, caplog):
    """NaN, and GDAL's value of missing pixels, of which a range would be another."""
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    rows = np.linspace(0.0, 100.0, 64 * 64, dtype=np.float32).reshape(64, 64)
    rows[-1] = -9999.0
    tag = (42113, 2, 0, "-9999", True)
    tifffile.imwrite(tmp_path / "trainA" / "0.tif", rows, extratags=[tag])
    eight(tmp_path / "trainB" / "0.png", np.zeros((64, 64, 3)))
    config = Config(dataset="folder", data_dir=str(tmp_path), source_range=asked)
    found, _ = recipes.with_found(config.replace(recipe="pan"))
    spec = open_data(found).train.source.spec
    assert spec.low >= 0.0 and spec.high < 100.0
    assert "trainA: values are missing in some files" in caplog.text


def test_12_bits_in_files_of_16_are_told(tmp_path, caplog):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    twelve(tmp_path / "trainA" / "0.png", np.ones((64, 64, 1)))
    eight(tmp_path / "trainB" / "0.png", np.zeros((64, 64, 3)))
    open_data(Config(dataset="folder", data_dir=str(tmp_path), source_bits=16))
    assert "whose largest value is 4095" in caplog.text
    assert "as 0,4095" in caplog.text


def test_of_16_bits_among_8_only_those_of_16_may_be_dark(tmp_path, caplog):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for i in range(3):
            eight(tmp_path / f"train{side}" / f"{i}.png", np.ones((64, 64, 3)))
    Image.fromarray(np.full((64, 64), 65535, np.uint16)).save(
        tmp_path / "trainA" / "1.png"
    )
    config = Config(dataset="folder", data_dir=str(tmp_path), recipe="pan")
    found, _ = recipes.with_found(config)
    assert open_data(found).train.source.spec.bits == 16
    assert "largest value" not in caplog.text


def test_the_file_of_a_kind_that_goes_with_no_other_is_named(tmp_path):
    eight(tmp_path / "0.png", np.ones((64, 64, 3)))
    Image.fromarray(np.full((64, 64), 999, np.uint16)).save(tmp_path / "1.png")
    tifffile.imwrite(
        tmp_path / "2.tif", np.linspace(0, 1, 64 * 64 * 3, dtype="f").reshape(64, 64, 3)
    )
    with pytest.raises(ValueError, match=r"of float.*0\.png and .*2\.tif"):
        of_files([tmp_path / name for name in ("0.png", "1.png", "2.tif")])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_descriptions_of_a_tiff_may_be_in_any_letters(kind, tmp_path):
    tags = {270: (2, "unit=µm"), 33550: (12, (0.5, 0.5, 0.0))}
    pixels = np.arange(8 * 8 * 4).astype(kind).reshape(8, 8, 4)
    write_picture(tmp_path / "x.tif", Picture(pixels, tags=tags), "TIFF")
    again = image_files.read_raw(tmp_path / "x.tif")
    planes = again.pixels
    if again.alpha is not None:  # Four channels of 8 bits are transparent.
        planes = np.dstack([planes, again.alpha])
    assert (planes == pixels).all()
    assert again.tags[270] == (2, "unit=µm".encode())
    assert tuple(again.tags[33550][1]) == (0.5, 0.5, 0.0)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: np.save(p, np.zeros((2, 3, 4, 5))), r"holds an array float64"),
        (lambda p: np.save(p, np.array(["a"])), "holds an array"),
        (lambda p: np.save(p, np.full((64, 64), np.nan)), "none is finite"),
        (lambda p: np.save(p, np.zeros((64, 64))), "all values are equal"),
    ],
)
def test_arrays_that_are_no_images_are_named(write, message, tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    write(tmp_path / "trainA" / "x.npy")
    eight(tmp_path / "trainB" / "x.png", np.zeros((64, 64, 3)))
    with pytest.raises(ValueError, match=message):
        open_data(Config(dataset="folder", data_dir=str(tmp_path)))


def test_channels_of_one_side_must_agree(tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    for i, channels in enumerate((3, 5)):
        np.save(tmp_path / "trainA" / f"{i}.npy", np.zeros((64, 64, channels), np.uint8))
        eight(tmp_path / "trainB" / f"{i}.png", np.zeros((64, 64, 3)))
    with pytest.raises(ValueError, match=r"equal channels.*3 in .*0\.npy, 5 in .*1\.npy"):
        with_found(Config(dataset="folder", data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("channels", "is_taken"), [(1, True), (4, True), (6, False), (5, False)]
)
def test_what_cannot_become_rgb_is_refused_by_the_headers(channels, is_taken, tmp_path):
    """Before any file is read: many are read beside a training only."""
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
    np.save(tmp_path / "trainA" / "0.npy", np.zeros((64, 64, channels), np.uint8))
    eight(tmp_path / "trainB" / "0.png", np.zeros((64, 64, 3)))
    config = Config(
        dataset="folder",
        data_dir=str(tmp_path),
        recipe="multiscale_cyclegan",
        identity_weight=1.0,
    )
    if is_taken:
        _, said = recipes.with_found(config)
        assert said.endswith("--recipe=multiscale_cyclegan takes them as RGB.")
    else:
        with pytest.raises(ValueError, match=f"source_channels={channels}"):
            recipes.with_found(config)
