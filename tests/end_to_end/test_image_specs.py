"""Sources and targets of other channels than RGB, and images that are not square."""

import json

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.export import Export
from pan_tf.inference import TranslationJob
from pan_tf.inference import Translator
from tests.conftest import smooth_noise
from tests.trained import train

HEIGHT, WIDTH = 64, 128
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# More of them in test_formats.py.
KINDS = [pytest.param((1, 3), marks=pytest.mark.slow), (4, 3)]


def picture(random, channels):
    """uint8 `[HEIGHT, WIDTH, channels]`."""
    pixels = [smooth_noise(random, HEIGHT, WIDTH) for _ in range(2)]
    return np.concatenate(pixels, -1)[..., :channels]


def save(pixels, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(pixels, MODES[1 if pixels.ndim == 2 else pixels.shape[-1]]).save(path)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "{}-to-{}".format(*kind))
def run(request, tmp_path_factory):
    """(run folder, folder of its data, channels of a source, of a target)."""
    root = tmp_path_factory.mktemp("specs")
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        for side, channels in zip("AB", request.param, strict=True):
            for i in range(count):
                save(picture(random, channels), root / "data" / f"{split}{side}/{i}.png")
    train(
        Config(
            dataset="folder",
            data_dir=str(root / "data"),
            recipe="pix2pix",
            source_channels=request.param[0],
            target_channels=request.param[1],
            image_size=f"{HEIGHT}x{WIDTH}",
            width=1 / 32,
            iterations=2,
            validate_every=2,
            run_dir=str(root / "run"),
        )
    )
    return root / "run", root / "data", *request.param


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    """(version 1, parity report): the run, exported."""
    place = tmp_path_factory.mktemp("export") / "model"
    return Export(run[0], place, "last", 2**16).run()


def test_it_trains_and_shows_what_it_does(run):
    run_dir, _, source, target = run
    system = json.loads((run_dir / "system.json").read_text())
    assert system["source"]["channels"] == source
    assert system["transformer"]["arguments"]["target_channels"] == target
    result = Image.open(run_dir / "result.png")
    assert result.size == (3 * (WIDTH + 4) - 4, 2 * (HEIGHT + 4) - 4)
    assert json.loads((run_dir / "result.json").read_text())["n"] == 2


def test_it_is_evaluated_beside_the_baselines(run):
    run_dir, _, _, _ = run
    record = Evaluation([run_dir], checkpoint="last").run()
    assert record["dataset"]["image_size"] == [HEIGHT, WIDTH]
    assert set(record["baselines"]) == {"copy_input", "mean_color", "color_table"}
    for metrics in (record["metrics"], *record["baselines"].values()):
        assert np.isfinite([value["mean"] for value in metrics.values()]).all()
    result = json.loads((run_dir / "result.json").read_text())
    for name, value in record["metrics"].items():
        assert value["mean"] == pytest.approx(result["last"]["metrics"][name], rel=1e-5)


def test_it_translates_arrays_and_files(run, tmp_path):
    run_dir, data_dir, source, target = run
    translator = Translator(run_dir, "last")
    pixels = picture(np.random.default_rng(1), source)
    output = translator(pixels)
    assert output.shape == (HEIGHT, WIDTH, target) and output.dtype == np.uint8
    tiled = translator(np.tile(pixels, (5, 3, 1)))
    assert tiled.shape == (5 * HEIGHT, 3 * WIDTH, target)
    with pytest.raises(ValueError, match=rf"must be uint8 \[H, W, {source}\]"):
        translator(picture(np.random.default_rng(1), 2))
    outcome = TranslationJob(data_dir / "testA", tmp_path / "out").run(translator)
    assert len(outcome.written) == 2 and not outcome.failures
    found = np.asarray(Image.open(outcome.written[0]))
    expected = translator(
        np.asarray(Image.open(data_dir / "testA" / "0.png")).reshape(
            HEIGHT, WIDTH, source
        )
    )
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def test_it_is_exported_and_proven(run, model):
    (run_dir, _, source, target), (path, report) = run, model
    assert set(report) == {"float_image", "image", "serving_default"}
    label = json.loads((path / "assets.extra" / "pan_tf.json").read_text())
    assert label["channels"] == {"source": source, "target": target}
    served, own = Translator(path), Translator(run_dir, "last")
    pixels = picture(np.random.default_rng(2), source)[:, :100]
    assert np.abs(served(pixels).astype(int) - own(pixels)).max() <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "id_cgan"}, "--recipe=id_cgan takes RGB"),
        ({"recipe": "cyclegan"}, "sources and targets need equal channels"),
        ({"recipe": "vgg_ms_cyclegan"}, "takes RGB"),
        ({"transformer": "fill", "synthesize": "hole"}, "--transformer=fill takes RGB"),
    ],
)
def test_what_needs_rgb_or_equal_channels_says_so(settings, message):
    from pan_tf import recipes

    with pytest.raises(ValueError, match=message):
        recipes.resolve(Config(source_channels=1, **settings))


def test_two_channels_are_none():
    with pytest.raises(ValueError, match="must be 1, 3, 4 or more"):
        Config(source_channels=2)


def test_grey_of_colour_files_is_one_everywhere(tmp_path):
    """What training reads is what `translate` and the server read."""
    from pan_tf.data import preprocessing
    from pan_tf.export import decoding
    from pan_tf.image_files import read_picture

    path = tmp_path / "a.png"
    for mode in ("RGB", "RGBA", "L"):
        pixels = picture(np.random.default_rng(3), 4)
        Image.fromarray(pixels, "RGBA").convert(mode).save(path)
        contents = path.read_bytes()
        for channels in (1, 3, 4):
            expected = read_picture(path, channels).pixels
            for found in (
                preprocessing.decode(contents, channels),
                decoding.decode(contents, channels),
            ):
                np.testing.assert_array_equal(found, expected)


def test_a_jpeg_is_opaque_where_four_channels_are_asked_for(tmp_path):
    from pan_tf.data import preprocessing

    path = tmp_path / "a.jpg"
    Image.fromarray(picture(np.random.default_rng(3), 3)).save(path)
    found = preprocessing.decode(path.read_bytes(), 4).numpy()
    assert found.shape == (HEIGHT, WIDTH, 4) and (found[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"synthesize": "rain", "source_channels": 1}, "channels must be equal"),
        (
            {"synthesize": "hole", "source_channels": 1, "target_channels": 1},
            "makes sources that are as their targets: RGB",
        ),
        ({"synthesize": "hole", "image_size": "64x128"}, "needs square images"),
    ],
)
def test_sources_are_made_of_what_is_as_they_are(settings, message):
    from pan_tf import recipes

    with pytest.raises(ValueError, match=message):
        recipes.resolve(Config(recipe="l1", **settings))


def test_runs_of_other_channels_are_not_compared(run, small_run):
    run_dir, data_dir, _, _ = run
    with pytest.raises(ValueError, match="What is compared must have equal channels"):
        Evaluation(
            [run_dir, small_run],
            dataset="folder",
            data_dir=str(data_dir),
            image_size=f"{HEIGHT}x{WIDTH}",
        )


def test_a_saved_model_says_which_channels_it_takes(run, model, tmp_path):
    (_, data_dir, source, _), (path, _) = run, model
    made = Evaluation(
        saved_models=[path],
        dataset="folder",
        data_dir=str(data_dir),
        image_size=f"{HEIGHT}x{WIDTH}",
        output_dir=tmp_path / "out",
    )
    assert made.config.source_channels == source
    assert made.run()["n"] == 2
