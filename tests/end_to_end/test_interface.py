"""From pairs to an export in Python, as in a notebook."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import pan_tf
from pan_tf import distribution
from pan_tf import evaluation
from pan_tf import interface
from pan_tf.export import exporter
from pan_tf.export import optimized
from pan_tf.runs import callbacks
from pan_tf.runs.folder import RunFolderError
from tests.trained import eagerly
from tests.trained import few_metrics


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    monkeypatch.setattr(distribution, "make_strategy", lambda: strategy)


@pytest.fixture(scope="module", autouse=True)
def few():
    """What holds of one metric holds of all."""
    with few_metrics():
        yield


@pytest.fixture(scope="module")
def settings(small_pairs, tmp_path_factory):
    return {
        "recipe": "l1",
        "dataset": "folder",
        "data_dir": str(small_pairs),
        "image_size": 64,
        "width": 1 / 64,
        "batch_size": 2,
        "iterations": 10,
        "run_dir": str(tmp_path_factory.mktemp("runs") / "mine"),
    }


@pytest.fixture(scope="module")
def run(settings):
    with pytest.MonkeyPatch.context() as patch, eagerly():
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        patch.setattr(distribution, "make_strategy", lambda: strategy)
        return pan_tf.train(**settings)


def test_a_run_has_a_history(run):
    assert run.history["iteration"].tolist() == [10]
    assert np.isfinite(run.history["val_psnr"]).all()
    assert "t_pixel" in run.history.columns and len(run.history) == 1
    with pytest.raises(KeyError, match="must be one of: iteration"):
        run.history["psnr"]
    assert "<td>10</td>" in run.history._repr_html_()


def test_lines_of_one_iteration_are_one_row():
    lines = [
        {"iteration": 4, "loss": 1.0},
        {"iteration": 4, "val_psnr": 20.0},
        {"iteration": 6, "warning": "Oh."},
        {"iteration": 8, "loss": None},
    ]
    history = interface.History(lines)
    assert [row["iteration"] for row in history.rows] == [4, 8]
    np.testing.assert_array_equal(history["loss"], [1.0, np.nan])
    np.testing.assert_array_equal(history["val_psnr"], [20.0, np.nan])


def test_a_short_run_logs_validates_and_leaves_samples(run):
    assert [path.name for path in run.path.glob("samples/*")] == ["0000010.png"]
    assert run.result["best"]["checkpoint"] == 10
    assert {"t_pixel", "val_psnr"} <= run.history.rows[-1].keys()


def test_a_run_is_evaluated_translated_with_and_exported(run, small_pairs, tmp_path):
    report = run.evaluate(split="val", output_dir=tmp_path / "report")
    last = run.result["last"]["metrics"]
    assert report.metrics["psnr"] == pytest.approx(last["psnr"], rel=1e-4)
    assert report.path.exists() and "baseline: mean_color" in repr(report)
    assert json.loads((report.path.parent / "metrics.json").read_text())["n"] == 5
    assert "<pre>" in report._repr_html_()

    outcome = run.translate(small_pairs / "test", tmp_path / "out")
    assert len(outcome.written) == 4 and not outcome.failures
    assert str(outcome).endswith("4 in, 4 out, 0 failed.")
    picture = run.translator.picture(small_pairs / "test" / "test-0.png")
    assert np.array_equal(picture, Image.open(tmp_path / "out" / "test-0.png"))

    version = run.export(tmp_path / "exported")
    assert version == tmp_path / "exported" / "1"
    assert pan_tf.export.Export and callable(pan_tf.export)
    served = pan_tf.Translator(version)
    pixels = np.asarray(picture)
    difference = served(pixels).astype(int) - run.translator(pixels)
    assert np.abs(difference).max() <= 1


def test_names_that_there_are_not_are_refused(run):
    with pytest.raises(ValueError, match="--checkpoint must be one of: best, last"):
        pan_tf.Translator(run.path, checkpoint="newest")
    with pytest.raises(ValueError, match="--rank_by must be one of"):
        run.evaluate(rank_by="pnsr")
    with pytest.raises(ValueError, match="--rank_by must be one of"):
        run.evaluate(rank_by=["psnr"])


def test_a_run_shows_itself(run):
    shown = run._repr_html_()
    assert "data:image/" in shown and "baseline: mean_color" in shown
    assert repr(run) == f"<Run {run.path}: l1 on folder, iteration 10 of 10>"
    assert run.picture.size[1] > 5 * 64


def test_what_is_wrong_is_an_exception(settings, tmp_path):
    with pytest.raises(ValueError, match="`task` must be one of: aerial2map"):
        pan_tf.train(task="aerial2mars")
    with pytest.raises(ValueError, match="--recipe must be one of"):
        pan_tf.train(recipe="pna")
    for wrong, message in {
        "epochs": "use --iterations",
        "recip": "Did you mean: recipe",
    }.items():
        with pytest.raises(ValueError, match=message):
            pan_tf.train(**{wrong: 3})
    for name, value in {
        "iterations": "2000",
        "iterations ": 2.5,
        "width": "x",
        "flip": "no",
        "augment": "rot90",
    }.items():
        with pytest.raises(ValueError, match=f"--{name.strip()} must be"):
            pan_tf.train(**{name.strip(): value})
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="file is a file"):
        pan_tf.train(**settings | {"run_dir": tmp_path / "file" / "run"})
    with pytest.raises(ValueError, match="--existing must be one of"):
        pan_tf.translate("x", input="a.png", output="b.png", existing="foo")
    with pytest.raises(ValueError, match="--format must be one of"):
        pan_tf.translate("x", input="a.png", output="b.png", format="jpg")
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        pan_tf.Run(tmp_path)
    with pytest.raises(ValueError, match="Either --run_dir or --saved_model"):
        pan_tf.translate(input="a.png", output="b.png")


def test_a_training_leaves_keras_as_it_was(pair_folder, tmp_path):
    """A user's own models of the same notebook are made after it."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    pan_tf.train(
        dataset="folder",
        data_dir=str(pair_folder()),
        recipe="l1",
        image_size=64,
        width=1 / 64,
        batch_size=2,
        iterations=1,
        dtype_policy="float32",
        dry_run=True,
    )
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_a_dry_run_trains_nothing(settings, tmp_path, capsys):
    settings = settings | {"run_dir": tmp_path / "run", "dry_run": True}
    assert pan_tf.train(**settings) is None
    assert "An epoch: 3 iterations of 2" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_metrics_of_both_directions_are_kept_apart():
    def part(value):
        return {"runs": {"a": {"metrics": {"c2st": {"mean": value}}}}}

    record = {"directions": {"AtoB": part(0.1), "BtoA": part(0.9)}}
    metrics = interface.Report(record, "index.html").metrics
    assert metrics == {"AtoB": {"a": {"c2st": 0.1}}, "BtoA": {"a": {"c2st": 0.9}}}


@eagerly()  # Traced, runs are resumed in test_command_line.py.
def test_an_interrupted_cell_saves_and_returns(settings, tmp_path, monkeypatch, capsys):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    monkeypatch.setattr(distribution, "make_strategy", lambda: strategy)
    # A table of baselines takes longer than a training; there is one above.
    monkeypatch.setattr(evaluation, "measure_baselines", lambda *_, **__: {})
    step = callbacks.Saving.on_train_batch_end

    def interrupt(self, batch, logs=None):
        if self.model.iteration == 3:  # As the handler of SIGINT does.
            self.stop.requested = True
        step(self, batch, logs)

    monkeypatch.setattr(callbacks.Saving, "on_train_batch_end", interrupt)
    settings = settings | {"run_dir": str(tmp_path / "run")}
    run = pan_tf.train(**settings)
    assert "Stopped at iteration 3 of 10" in capsys.readouterr().out
    assert run.result is None and run.picture is None
    monkeypatch.setattr(callbacks.Saving, "on_train_batch_end", step)
    pan_tf.train(**settings)
    assert "Resuming at iteration 3." in capsys.readouterr().out
    assert run.result["last"]["checkpoint"] == 10
    # A finished run keeps its best checkpoint, and what chose it.
    pan_tf.train(**settings | {"best_by": "ssim"})
    assert run.result["best"]["chosen_by"] == "balanced"
    assert pan_tf.Translator(run.path).checkpoint["chosen_by"] == "balanced"
    # How it is watched may change, and for longer.
    more = {"iterations": 14, "log_every": 1, "best_by": "ssim", "sample_images": 2}
    pan_tf.train(**settings | more)
    out = capsys.readouterr().out
    assert "--best_by: balanced before, ssim now" in out
    assert pan_tf.Translator(run.path).checkpoint["chosen_by"] == "ssim"
    assert run.history["iteration"].tolist() == [10, 11, 12, 13, 14]
    assert run.result["best"]["chosen_by"] == "ssim"


def test_a_run_is_taken_for_its_folder(run, small_pairs, tmp_path):
    outcome = pan_tf.translate(run, input=small_pairs / "test", output=tmp_path / "out")
    assert len(outcome.written) == 4
    report = pan_tf.evaluate(run, split="val", output_dir=tmp_path / "report")
    assert report.metrics["psnr"] > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"run_dir": None}, "--run_dir or --saved_model must name"),
        ({"run_dir": 42}, "--run_dir must be a path"),
        ({"run_dir": ""}, "--run_dir must be a path"),
        ({"batch_size": 0}, "--batch_size must be a whole number, at least 1"),
        ({"limit": 1.5}, "--limit must be a whole number"),
        ({"dfi": "yes"}, "`dfi` must be true, false"),
    ],
)
def test_what_is_wrong_with_an_evaluation_is_named(run, wrong, message):
    with pytest.raises(ValueError, match=message):
        pan_tf.evaluate(**{"run_dir": run.path} | wrong)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_an_export_is_float32_whatever_the_policy(run, tmp_path, policy, monkeypatch):
    made = []
    monkeypatch.setattr(
        exporter, "optimized", lambda network: made.append(optimized(network)) or made[-1]
    )
    keras.config.set_dtype_policy(policy)
    try:
        assert run.export(tmp_path / "exported").name == "1"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in made[0].layers} == {"float32"}
    with pytest.raises(ValueError, match="--export_dir must be a path"):
        run.export("")
    with pytest.raises(ValueError, match="--max_pixels must be a whole number"):
        run.export(tmp_path / "exported", max_pixels="4096")


def test_a_damaged_result_names_its_file(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / "result.json").write_text("{")
    with pytest.raises(ValueError, match=r"result\.json is damaged"):
        _ = pan_tf.Run(copy).result
