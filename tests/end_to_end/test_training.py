"""Training runs inside this process, on one device."""

import json
import os
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import data
from pan_tf import distribution
from pan_tf import evaluation
from pan_tf import files
from pan_tf import fingerprints
from pan_tf import runtime
from pan_tf.data.layouts import verification
from pan_tf.metrics import METRICS
from pan_tf.networks import WeightsNotFoundError
from pan_tf.runs import callbacks
from pan_tf.runs import guards
from pan_tf.runs import loop
from pan_tf.runs import training
from pan_tf.runs.checkpoints import damage
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.validation import Validation
from tests.disk import limited_files
from tests.trained import eagerly
from tests.trained import few_metrics


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    monkeypatch.setattr(distribution, "make_strategy", lambda: strategy)


@pytest.fixture
def config(toy, pair_folder, tmp_path):
    def make(data_dir=None, **changes):
        settings = {
            "dataset": "folder",
            "data_dir": str(data_dir or pair_folder()),
            "recipe": "pan_official",
            "width": 1 / 64,
            "log_every": 2,
            "save_every": 2,
            "validate_every": 4,
            "run_dir": str(tmp_path / "run"),
        }
        return toy(**{**settings, **changes})

    return make


@pytest.fixture(autouse=True)
def untraced():
    """Toy rounds take less time than to trace them."""
    with eagerly():
        yield


def train(config, stop=None):
    training.Training(config, stop or training.StopRequest()).run()


@pytest.fixture
def unmeasured(monkeypatch):
    """Runs end without the table of baselines, which takes longer than they do."""
    monkeypatch.setattr(loop, "conclude", lambda *_: None)


@pytest.fixture
def without_baselines(monkeypatch):
    """Runs end with what they measure of their own T."""
    monkeypatch.setattr(evaluation, "measure_baselines", lambda *_, **__: {})


@pytest.mark.usefixtures("unmeasured")
def test_a_non_finite_weight_stops_the_run_and_spares_the_checkpoint(
    config, tmp_path, monkeypatch
):
    """A NaN appears in T in the round after iteration 2's checkpoint."""
    looked = callbacks.Clock.on_train_batch_end

    def poison(self, batch, logs=None):
        looked(self, batch, logs)
        if self.model.iteration == 4:
            bias = self.model.transformer.get_layer("layer_1").bias
            bias.assign(bias * np.nan)

    monkeypatch.setattr(callbacks.Clock, "on_train_batch_end", poison)
    with pytest.raises(
        guards.NonFiniteError,
        match=r"layer_1/bias.*at iteration 4.*checkpoint of iteration 2 is intact",
    ):
        train(config(recipe="l1", iterations=8))
    newest = tf.train.latest_checkpoint(str(tmp_path / "run" / "checkpoints"))
    assert newest.endswith("ckpt-2") and damage(newest) is None
    reader = tf.train.load_checkpoint(newest)
    for name in reader.get_variable_to_shape_map():
        value = np.asarray(reader.get_tensor(name))
        assert value.dtype.kind != "f" or np.isfinite(value).all(), name


def test_a_diverging_learning_rate_is_named_by_its_losses(config):
    with pytest.raises(guards.NonFiniteError, match=r"not finite .* iteration"):
        train(config(iterations=40, learning_rate=1e30, save_every=100))


def test_weights_that_nothing_looks_for_are_refused_or_told(config, tmp_path, capsys):
    settings = config(recipe="l1", iterations=2, metric_weights=str(tmp_path))
    with pytest.raises(ValueError, match=r"goes with --metrics that need some: lpips\.$"):
        training.Training(settings, training.StopRequest())
    settings = settings.replace(metric_weights=None, vgg_weights="nowhere.h5")
    training.Training(settings, training.StopRequest())
    assert "nothing of this run looks through VGG" in capsys.readouterr().out


@pytest.mark.usefixtures("without_baselines")
def test_a_run_that_failed_before_it_saved_begins_anew_as_advised(config, monkeypatch):
    settings = config(recipe="l1", batch_size=4, iterations=2)

    def fail(self, batch, logs=None):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Clock, "on_train_batch_end", fail)
        with pytest.raises(files.TroubleError, match="too little memory"):
            train(settings)
    smaller = settings.replace(batch_size=2)
    folder = RunFolder(smaller.run_dir)
    train(smaller)
    assert folder.config().batch_size == 2
    assert "failure" not in folder._read_manifest()
    with pytest.raises(RunFolderError, match="--batch_size: 2 there, 4 now"):
        train(settings.replace(iterations=4))


@pytest.mark.usefixtures("without_baselines")
def test_a_stop_while_the_result_is_measured_loses_nothing(config, monkeypatch, capsys):
    settings, stop = config(recipe="l1", iterations=2), training.StopRequest()

    def interrupted(*_):
        assert stop.at_once
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "conclude", interrupted)
        assert not training.Training(settings, stop).run()
    assert "the same command measures it" in capsys.readouterr().out
    folder = RunFolder(settings.run_dir)
    assert folder.last_iteration() == 2 and not folder._result.exists()
    assert training.Training(settings, training.StopRequest()).run()
    assert folder._result.exists()


@pytest.mark.usefixtures("without_baselines")
def test_signs_of_collapse_are_told_at_once_at_the_end_and_in_the_report(
    config, tmp_path, capsys
):
    settings = config(margin=100.0, collapse_after=4, iterations=10, save_every=100)
    train(settings)
    told = RunFolder(tmp_path / "run").warnings()  # An untrained T is blank, too.
    (warning,) = (sentence for sentence in told if "the hinge" in sentence)
    assert warning.startswith("Since iteration 2, the hinge has been active in 100%")
    assert f"Warning: {warning}" in capsys.readouterr().out
    record = evaluation.Evaluation(
        [tmp_path / "run"], output_dir=tmp_path / "report"
    ).run()
    assert any(warning in note for note in record["notes"])


def test_a_stop_request_before_the_first_cycle_trains_nothing(config, tmp_path, capsys):
    stop = training.StopRequest()
    stop.requested = True
    train(config(), stop)
    assert "Stopped at iteration 0 of 4" in capsys.readouterr().out
    assert not list((tmp_path / "run").glob("checkpoints/*.index"))


@pytest.mark.usefixtures("unmeasured")
def test_a_full_disk_costs_nothing_that_was_saved(config, tmp_path):
    begun = config(recipe="l1", iterations=2, validate_every=0)
    train(begun)
    checkpoints = tmp_path / "run" / "checkpoints"
    size = max(file.stat().st_size for file in checkpoints.iterdir() if file.is_file())
    with (
        limited_files(size // 2),
        pytest.raises(
            files.TroubleError,
            match=r"ckpt-4\S+: File too large\. .* from iteration 2, wh",
        ),
    ):
        train(begun.replace(iterations=4))
    assert not list(checkpoints.glob("*_temp"))
    train(begun.replace(iterations=4))
    assert damage(str(checkpoints / "ckpt-4")) is None


@pytest.mark.usefixtures("unmeasured")
def test_a_run_folder_that_may_not_be_written_to_is_named(config, tmp_path, monkeypatch):
    train(config(recipe="l1", iterations=2, validate_every=0))
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"run_dir=\S+/run: \S+ may not be written"):
        train(config(recipe="l1", iterations=4, data_dir=tmp_path / "pairs"))


@pytest.mark.usefixtures("unmeasured")
def test_changed_files_are_refused_on_resume(config, pair_folder, tmp_path):
    data_dir = pair_folder()
    train(config(data_dir, recipe="l1", iterations=2))
    victim = data_dir / "train" / "000.png"
    victim.write_bytes((data_dir / "train" / "001.png").read_bytes())
    with pytest.raises(RunFolderError, match="other files than folder"):
        training.Training(config(data_dir, recipe="l1"), training.StopRequest())


@pytest.mark.usefixtures("unmeasured")
def test_the_policy_that_auto_chose_stays_with_the_run(config, monkeypatch, capsys):
    settings = config(recipe="l1", iterations=2, dtype_policy="auto")
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: 1.9)
    train(settings)
    assert "--dtype_policy=auto: mixed_bfloat16" in capsys.readouterr().out
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: 0.5)  # On another machine.
    run = training.Training(settings.replace(iterations=4), training.StopRequest())
    assert run.config.dtype_policy == "mixed_bfloat16"
    assert run.folder.config().dtype_policy == "mixed_bfloat16"
    with pytest.raises(RunFolderError, match="--dtype_policy: mixed_bfloat16 there"):
        train(settings.replace(dtype_policy="float32"))


@pytest.mark.usefixtures("without_baselines")
def test_the_result_of_an_end_before_is_forgotten_where_a_run_goes_on(config):
    settings = config(recipe="l1", iterations=2)
    train(settings)
    run = RunFolder(settings.run_dir)
    assert (run.path / "result.json").exists() and (run.path / "result.png").exists()
    train(settings)  # There is nothing to go on with.
    assert (run.path / "result.json").exists()
    stop = training.StopRequest()
    again = training.Training(settings.replace(iterations=8), stop)
    stop.requested = True
    again.run()
    left = {path.name for path in run.path.glob("result.*")}
    assert not left and run.last_iteration() == 2


def test_where_nothing_is_said_the_recipe_chooses(
    config, pair_folder, monkeypatch, capsys
):
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: 1.9)
    settings = config(pair_folder(), recipe="pan_plus", dtype_policy=None)
    run = training.Training(settings, training.StopRequest())
    assert run.config.dtype_policy == "mixed_bfloat16"
    assert "--dtype_policy=auto: mixed_bfloat16" in capsys.readouterr().out
    # Nobody has measured that this recipe learns as much in it.
    other = settings.replace(recipe="pan_fast")
    run = training.Training(other, training.StopRequest())
    assert run.config.dtype_policy == "float32"


def test_workers_do_not_choose_for_themselves(config, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: 1.9)
    monkeypatch.setattr(distribution, "num_workers", lambda strategy: 2)
    monkeypatch.setattr(distribution, "is_chief", lambda strategy: True)
    monkeypatch.setattr(distribution, "check_alike", lambda strategy, facts: None)
    settings = config(recipe="pan_plus", dtype_policy="auto")
    with pytest.raises(ValueError, match="workers could choose differently"):
        training.Training(settings, training.StopRequest())
    unsaid = settings.replace(dtype_policy=None)
    run = training.Training(unsaid, training.StopRequest())
    assert run.config.dtype_policy == "float32"
    assert "--dtype_policy: float32; workers" in capsys.readouterr().out


@pytest.mark.usefixtures("unmeasured")
def test_files_are_checked_beside_a_training_of_many(
    config, pair_folder, monkeypatch, capsys
):
    settings = config(pair_folder(), recipe="l1", iterations=4)
    straight = data.open_data(settings).fingerprint
    monkeypatch.setattr(training, "_PATIENCE", 0)
    stop = training.StopRequest()
    run = training.Training(settings, stop)
    run.folder.start(settings, run.data.describe(), [])
    assert run.folder.known_data()["fingerprint"].endswith(fingerprints.UNVERIFIED)
    train(settings)  # Goes on in the folder, whose files nobody has read.
    assert run.folder.known_data()["fingerprint"] == straight


@pytest.mark.parametrize("iterations", [4, 1000])
@pytest.mark.usefixtures("unmeasured")
def test_a_training_ends_where_files_turn_out_unusable(
    iterations, config, pair_folder, monkeypatch
):
    data_dir = pair_folder()
    for name in ("train/003.png", "val/001.png"):
        (data_dir / name).write_text("x")
    settings = config(data_dir, recipe="l1", iterations=iterations, validate_every=0)
    monkeypatch.setattr(training, "_PATIENCE", 0)
    # Whether the files' own thread finds it or T is given it.
    with pytest.raises(data.UnusableFilesError, match="2 of 8 pairs") as caught:
        train(settings)
    assert "003.png" in str(caught.value) and "001.png" in str(caught.value)
    assert "other files are another run" not in str(caught.value)
    for name in ("train/003.png", "val/001.png"):
        (data_dir / name).unlink()
    train(settings.replace(iterations=2))  # The folder is not lost.


@pytest.mark.usefixtures("unmeasured")
def test_what_was_trained_on_unusable_files_is_not_gone_on_with(
    config, pair_folder, monkeypatch
):
    data_dir = pair_folder()
    settings = config(data_dir, recipe="l1", iterations=40, validate_every=0)
    settings = settings.replace(save_every=1)
    monkeypatch.setattr(training, "_PATIENCE", 0)
    folder, check = RunFolder(settings.run_dir), verification._check

    def late(*each):
        while not folder.has_checkpoint():
            time.sleep(0.01)
        (data_dir / "val" / "001.png").write_text("x")
        return check(*each)

    monkeypatch.setattr(verification, "_check", late)
    with pytest.raises(data.UnusableFilesError, match=r"1 of 8 .*--init_from=") as caught:
        train(settings)
    assert "Restore them, and the same command goes on from" in str(caught.value)
    last = folder.last_iteration()
    monkeypatch.setattr(verification, "_check", check)
    for is_whole, name, sentence in (
        (False, "001.png", "cannot be used"),
        (True, "002.png", "was trained on other files"),
    ):  # Still damaged; then another file, though whole.
        if is_whole:
            (data_dir / "val" / "001.png").rename(data_dir / "val" / name)
            shutil.copy(data_dir / "val" / "000.png", data_dir / "val" / name)
        with pytest.raises((RunFolderError, ValueError), match=sentence):
            train(settings.replace(iterations=last + 4))
    (data_dir / "val" / "002.png").rename(data_dir / "val" / "001.png")
    train(settings.replace(iterations=last + 4))
    assert folder.last_iteration() == last + 4
    assert "restorable" not in folder.known_data()


@pytest.mark.usefixtures("unmeasured")
def test_a_run_folder_that_is_gone_ends_the_training(config, pair_folder, monkeypatch):
    settings = config(pair_folder(), recipe="l1", iterations=40, validate_every=0)
    folder, append = RunFolder(settings.run_dir), RunFolder.append_metrics

    def late(run, row):
        shutil.rmtree(run.path)
        append(run, row)

    monkeypatch.setattr(RunFolder, "append_metrics", late)
    with pytest.raises(files.TroubleError, match=r"--run_dir=.*: The folder is gone"):
        train(settings.replace(save_every=40, log_every=2))
    assert not folder.path.exists()


@pytest.mark.parametrize("name", ["train/003.png", "val/001.png"])
@pytest.mark.usefixtures("unmeasured")
def test_a_file_that_is_damaged_in_the_middle_of_a_training_is_named(
    name, config, pair_folder
):
    data_dir = pair_folder()
    settings = config(data_dir, recipe="l1", iterations=2, validate_every=4)
    train(settings)
    whole = (data_dir / name).read_bytes()
    half = len(whole) // 2
    # Neither name nor size has changed: it is not read before its turn.
    (data_dir / name).write_bytes(whole[:half].ljust(len(whole)))
    said = rf"{name} is damaged: .* from iteration 2, which is saved, once that file can"
    with pytest.raises(files.TroubleError, match=said):
        train(settings.replace(iterations=8))
    (data_dir / name).write_bytes(whole)
    train(settings.replace(iterations=4))


def test_without_validation_pairs_it_still_trains(config, pair_folder, tmp_path, capsys):
    train(config(pair_folder(val=0), recipe="l1"))
    assert "nothing is measured" in capsys.readouterr().out


def test_default_run_folder_carries_the_data_sets_real_name(toy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = toy(
        dataset="maps", download=False, fallback_dataset="bluemarble", image_size=256
    )
    run = training.Training(settings, training.StopRequest())
    assert run.config.run_dir == "runs/pan-bluemarble-256"
    assert run.data.describe()["requested"] == "maps"


def test_settings_that_do_not_go_with_the_replicas_are_refused(toy):
    with pytest.raises(ValueError, match="multiple of the 3 replicas"):
        distribution.check_replicas(toy(batch_size=4), 3)
    with pytest.raises(ValueError, match="--jit_compile goes with one replica"):
        distribution.check_replicas(toy(jit_compile=True), 2)


@pytest.mark.usefixtures("unmeasured")
def test_metrics_name_iterations(config, narrow_vgg, tmp_path):
    train(config(metrics=("vgg_distance",), vgg_weights=str(narrow_vgg)))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["iteration"] for row in rows] == [2, 4, 4]
    assert "t_perceptual_adversarial" in rows[0]
    usual = {f"val_{name}" for name, row in METRICS.items() if row.is_usual}
    assert usual | {"val_vgg_distance"} < rows[2].keys()


@pytest.mark.usefixtures("without_baselines")
@pytest.mark.parametrize("metric", ["uqi", "psnr_rgb"])
def test_the_best_checkpoint_is_chosen_by_the_flag(config, tmp_path, metric):
    settings = {"validate_every": 2, "iterations": 8, "learning_rate": 0.02}
    train(config(best_by=metric, recipe="l1", **settings))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if f"val_{metric}" in row]
    best = max(rows, key=lambda row: row[f"val_{metric}"])
    (index,) = (tmp_path / "run" / "checkpoints" / "best").glob("*.index")
    assert index.stem == f"transformer-{best['iteration']}"
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["best"]["chosen_by"] == metric


@few_metrics()
@pytest.mark.usefixtures("without_baselines")
def test_the_lowest_is_the_best_by_a_metric_whose_lower_value_is_better(
    config, tmp_path, narrow_vgg
):
    settings = {"validate_every": 2, "iterations": 8, "learning_rate": 0.02}
    settings |= {"best_by": "vgg_distance", "vgg_weights": str(narrow_vgg)}
    train(config(recipe="l1", **settings))
    rows = RunFolder(tmp_path / "run").read_metrics()
    rows = [row for row in rows if "val_vgg_distance" in row]
    best = min(rows, key=lambda row: row["val_vgg_distance"])
    (index,) = (tmp_path / "run" / "checkpoints" / "best").glob("*.index")
    assert index.stem == f"transformer-{best['iteration']}"

    # Each validation is a point of the plane of distortion and realism.
    made = evaluation.Evaluation(
        [tmp_path / "run"], output_dir=tmp_path / "out", vgg_weights=str(narrow_vgg)
    )
    trail = made.run()["planes"]["vgg_distance"]["run"]
    assert [point["iteration"] for point in trail] == [2, 4, 6, 8]
    assert [p["vgg_distance"] for p in trail] == [r["val_vgg_distance"] for r in rows]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<title>run, iteration ") == 4
    assert page.count("<title>run, measured here: ") == 1


@few_metrics()
def test_it_is_measured_by_an_evaluation_that_asks_for_it(
    small_run, narrow_vgg, tmp_path
):
    made = evaluation.Evaluation(
        [small_run],
        output_dir=tmp_path / "out",
        metrics=["vgg_distance"],
        vgg_weights=str(narrow_vgg),
    )
    record = made.run()
    for column in (record["metrics"], *record["baselines"].values()):
        assert column["vgg_distance"]["mean"] > 0.0
    assert "VGG distance" in (tmp_path / "out" / "index.html").read_text()
    with pytest.raises(WeightsNotFoundError, match="nowhere"):
        evaluation.Evaluation(
            [small_run], metrics=["vgg_distance"], vgg_weights="nowhere"
        )


def test_a_best_checkpoint_that_is_lost_is_chosen_anew(
    config, pair_folder, tmp_path, capsys
):
    settings = {"recipe": "l1", "data_dir": pair_folder()}
    train(config(**settings, iterations=4))
    best = tmp_path / "run" / "checkpoints" / "best"
    shutil.rmtree(best)
    # No T is as good as what the run remembers.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "_is_best", lambda self, score: self.state.best is None)
        train(config(**settings, iterations=8))
    assert [path.stem for path in best.glob("*.index")] == ["transformer-8"]
    assert "chooses the best checkpoint anew" in capsys.readouterr().out


def test_a_run_without_a_whole_checkpoint_is_a_sentence(config, pair_folder, tmp_path):
    settings = {"recipe": "l1", "data_dir": pair_folder()}
    train(config(**settings, iterations=4))
    for file in (tmp_path / "run" / "checkpoints").glob("ckpt-*.data-*"):
        file.write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"^--run_dir=.*None of the 2 checkpoints"):
        train(config(**settings, iterations=8))
