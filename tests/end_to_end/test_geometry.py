"""What is trained, measured and translated is the same thing, whatever the files are."""

import json

import numpy as np
import pytest
from PIL import Image

from pan_tf import metrics
from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.export import Export
from pan_tf.inference import TranslationJob
from pan_tf.inference import Translator
from pan_tf.runs import loop
from pan_tf.runs import training
from pan_tf.runs.folder import RunFolder
from tests.conftest import smooth_noise
from tests.trained import few_metrics
from tests.trained import train

HEIGHT, WIDTH = 90, 150


@pytest.fixture(scope="module", autouse=True)
def few():
    """What holds of one metric holds of all."""
    with few_metrics():
        yield


def folder_of(root, height, width, count=2):
    """Pairs whose target is the source's negative; so few of a size are not traced."""
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for i in range(count):
            source = smooth_noise(random, height, width)
            for side, pixels in (("A", source), ("B", 255 - source)):
                (root / f"{split}{side}").mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / f"{split}{side}" / f"{i}.png")
    return root


def config_of(data_dir, run_dir, **changes):
    settings = {
        "dataset": "folder",
        "recipe": "l1",
        "image_size": 64,
        "width": 1 / 16,
        "iterations": 8,
        "learning_rate": 0.01,
        "validate_every": 8,
    }
    folders = {"data_dir": str(data_dir), "run_dir": str(run_dir)}
    return Config(**settings | folders | changes)


@pytest.fixture(scope="module", params=["squash", "scale", "crop"])
def run(request, tmp_path_factory):
    """(run folder, folder of its data, mode), of pairs of 150 x 90."""
    root = tmp_path_factory.mktemp(request.param)
    data_dir = folder_of(root / "data", HEIGHT, WIDTH)
    train(config_of(data_dir, root / "run", preprocess=request.param))
    return root / "run", data_dir, request.param


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The run as a SavedModel."""
    path, _ = Export(run[0], tmp_path_factory.mktemp("model"), max_pixels=2**16).run()
    return path


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """(What metrics.json holds of the run, folder of its report)."""
    folder = tmp_path_factory.mktemp("measured") / "report"
    return Evaluation([run[0]], output_dir=folder).run(), folder


def psnr_of_files(outputs, targets):
    scores = []
    for path in sorted(outputs.iterdir()):
        pair = [np.asarray(Image.open(p))[None] for p in (targets / path.name, path)]
        scores.append(float(metrics.psnr(*pair)[0]))
    return np.mean(scores)


def test_the_reports_number_is_that_of_the_translated_files(run, measured, tmp_path):
    (run_dir, data_dir, mode), (record, report) = run, measured
    found = record if mode == "crop" else record["native"]
    job = TranslationJob(data_dir / "testA", tmp_path / "out")
    outcome = job.run(Translator(run_dir))
    assert len(outcome.written) == 2 and not outcome.notes
    expected = psnr_of_files(tmp_path / "out", data_dir / "testB")
    assert found["metrics"]["psnr"]["mean"] == pytest.approx(expected, abs=1e-3)
    copied = psnr_of_files(data_dir / "testA", data_dir / "testB")
    baseline = found["baselines"]["copy_input"]["psnr"]["mean"]
    assert baseline == pytest.approx(copied, abs=1e-3)
    assert ("native" in record) == (mode != "crop")
    page = (report / "index.html").read_text()
    assert ("On your files as they are" in page) == (mode != "crop")
    assert "pairs of 150x90" in page


def test_training_measures_what_evaluation_does(run, measured):
    (run_dir, _, _), (record, _) = run, measured
    result = json.loads((run_dir / "result.json").read_text())
    for name, value in record["metrics"].items():
        assert value["mean"] == pytest.approx(result["best"]["metrics"][name], rel=1e-4)


def test_the_run_knows_its_geometry(run):
    run_dir, _, mode = run
    known = json.loads((run_dir / "manifest.json").read_text())["data"]["geometry"]
    assert known["preprocess"] == mode and known["files"]["median"] == [HEIGHT, WIDTH]
    assert f"--preprocess={mode}" in (run_dir / "run.cfg").read_text()
    scale = {"squash": (64 * 64 / (90 * 150)) ** 0.5, "scale": 72 / 90, "crop": 1.0}
    assert known["scale"]["median"] == pytest.approx(scale[mode], abs=0.005)
    translator = Translator(run_dir)
    seen = {"squash": (64, 64), "scale": (72, 120), "crop": (HEIGHT, WIDTH)}
    assert translator.seen_size(HEIGHT, WIDTH) == seen[mode]
    assert known["sentence"] in translator.describe_scale()


def test_the_export_brings_images_to_the_same_scale(run, exported):
    (run_dir, _, mode), path = run, exported
    label = json.loads((path / "assets.extra" / "pan_tf.json").read_text())
    assert label["geometry"]["preprocess"] == mode and label["scale"] == "auto"
    pixels = smooth_noise(np.random.default_rng(5), HEIGHT, WIDTH)
    gap = Translator(path)(pixels).astype(int) - Translator(run_dir)(pixels)
    assert np.abs(gap).max() <= 1


def test_a_saved_model_is_measured_as_its_run_was(run, measured, exported, tmp_path):
    (_, data_dir, _), (ours, _), path = run, measured, exported
    where = {"dataset": "folder", "data_dir": str(data_dir)}
    theirs = Evaluation((), [path], output_dir=tmp_path / "theirs", **where).run()
    pairs = [(ours, theirs)]
    if "native" in ours:
        pairs.append((ours["native"], theirs["native"]))
    for one, other in pairs:
        expected = {n: v["mean"] for n, v in one["metrics"].items()}
        assert {n: v["mean"] for n, v in other["metrics"].items()} == pytest.approx(
            expected, abs=1e-2
        )


def test_scales_can_be_asked_for_and_far_ones_are_told(run):
    run_dir, _, mode = run
    pixels = smooth_noise(np.random.default_rng(6), 80, 100)
    half = Translator(run_dir, scale="0.5")
    assert half.seen_size(80, 100) == (40, 50) and half(pixels).shape == (80, 100, 3)
    native = Translator(run_dir, scale="native")
    assert native.seen_size(80, 100) == (80, 100)
    auto = Translator(run_dir)
    assert (auto(pixels) == native(pixels)).all() == (mode == "crop")
    told = [t.scale_warning(400, 400) for t in (half, native, auto)]
    expected = {"squash": (0, 1, 1), "scale": (1, 0, 1), "crop": (1, 0, 0)}[mode]
    assert tuple(message is not None for message in told) == expected
    with pytest.raises(ValueError, match="--scale must be auto, native, or a number"):
        Translator(run_dir, scale="double")


@pytest.fixture
def unmeasured(monkeypatch):
    """Runs end without the table of baselines, which takes longer than they do."""
    monkeypatch.setattr(loop, "conclude", lambda *_: None)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("size", "mode"), [((64, 64), "squash"), ((80, 120), "crop"), ((300, 400), "scale")]
)
def test_own_files_choose_and_the_choice_stays(size, mode, tmp_path, capsys):
    data_dir = folder_of(tmp_path / "data", *size)
    config = config_of(data_dir, tmp_path / "run", iterations=1, validate_every=0)
    train(config)
    assert "(chosen: " in capsys.readouterr().out
    folder = RunFolder(tmp_path / "run")
    assert folder.config().preprocess == mode
    train(config.replace(iterations=2))  # The same command goes on.
    assert folder.known_data()["geometry"]["preprocess"] == mode
    other = {"squash": "scale", "scale": "squash", "crop": "squash"}[mode]
    with pytest.raises(training.REFUSALS, match=f"--preprocess: {mode} there, {other}"):
        train(config.replace(preprocess=other))


@pytest.mark.usefixtures("unmeasured")
def test_a_run_without_a_geometry_was_squashed(tmp_path):
    data_dir = folder_of(tmp_path / "data", HEIGHT, WIDTH)
    config = config_of(data_dir, tmp_path / "run", preprocess="squash", iterations=1)
    train(config)
    cfg, manifest = (tmp_path / "run" / n for n in ("run.cfg", "manifest.json"))
    text = cfg.read_text().replace("--preprocess=squash\n", "")
    cfg.write_text(text)
    known = json.loads(manifest.read_text())
    del known["data"]["geometry"]
    manifest.write_text(json.dumps(known))
    train(config.replace(preprocess=None, iterations=2))
    assert "--preprocess=squash" in cfg.read_text()
    cfg.write_text(text)
    manifest.write_text(json.dumps(known))
    translator = Translator(tmp_path / "run")
    assert "squashed to 72x72, cropped to 64x64" in translator.describe_scale()


@pytest.mark.usefixtures("unmeasured")
def test_runs_of_other_geometries_are_compared_if_one_is_named(tmp_path):
    data_dir = folder_of(tmp_path / "data", HEIGHT, WIDTH)
    runs = []
    for mode in ("squash", "crop"):
        runs.append(tmp_path / mode)
        train(config_of(data_dir, runs[-1], preprocess=mode, iterations=1))
    with pytest.raises(ValueError, match="one --preprocess, or the flag must be given"):
        Evaluation(runs, output_dir=tmp_path / "report")
    both = Evaluation(runs, output_dir=tmp_path / "report", preprocess="squash").run()
    assert set(both["runs"]) == set(both["native"]["runs"]) == {"squash", "crop"}


def test_large_images_are_measured_in_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr("pan_tf.inference.whole._WHOLE_PIXELS", 2**15)
    monkeypatch.setattr("pan_tf.inference.whole._TILE_SIZE", 256)
    data_dir = folder_of(tmp_path / "data", 200, 300, count=1)
    config = config_of(data_dir, tmp_path / "run", preprocess="crop", iterations=1)
    train(config.replace(validate_every=0))
    translator = Translator(tmp_path / "run", "last")
    assert translator.tiling(200, 300) is not None
    record = Evaluation([tmp_path / "run"], output_dir=tmp_path / "report").run()
    expected = translator(np.asarray(Image.open(data_dir / "testA" / "0.png")))
    target = np.asarray(Image.open(data_dir / "testB" / "0.png"))
    psnr = float(metrics.psnr(target[None], expected[None])[0])
    assert record["metrics"]["psnr"]["mean"] == pytest.approx(psnr, abs=1e-4)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["last"]["metrics"]["psnr"] == pytest.approx(psnr, abs=1e-4)
