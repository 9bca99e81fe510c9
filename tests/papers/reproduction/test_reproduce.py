"""A table in miniature, from the command line."""

import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
from PIL import Image

from pan_tf import files
from pan_tf import networks
from pan_tf.cli import reproduce
from pan_tf.data import DatasetNotFoundError
from pan_tf.evaluation import Evaluation
from pan_tf.networks import WeightsNotFoundError
from pan_tf.networks import vgg
from pan_tf.papers.reproduction import TABLES
from pan_tf.papers.reproduction import Budget
from pan_tf.papers.reproduction import Reproduction
from pan_tf.papers.reproduction import measuring
from pan_tf.papers.reproduction import report
from pan_tf.papers.reproduction import trials
from pan_tf.recipes import resolve
from pan_tf.runs import lock
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.stopping import StopRequest
from tests import commands
from tests.conftest import smooth_noise
from tests.trained import train

ROOT = pathlib.Path(__file__).parents[3]


def command(output_dir, *arguments):
    return [
        sys.executable,
        "scripts/reproduce.py",
        "--width=0.015625",
        f"--output_dir={output_dir}",
        *arguments,
    ]


def finish(*arguments):
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folders of photos, and of pairs side by side, of smooth noise."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for kind, width in (("photos", 64), ("pairs", 128)):
        for split, count in (("train", 4), ("test", 3)):
            place = root / kind / split
            place.mkdir(parents=True)
            for i in range(count):
                blocks = random.integers(0, 256, (8, width // 8, 3), np.uint8)
                pixels = blocks.repeat(8, 0).repeat(8, 1)
                Image.fromarray(pixels).save(place / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Two lists of smooth noise, eight to measure on."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("lists")
    for name, count in (("trainA", 9), ("trainB", 8), ("testA", 8), ("testB", 9)):
        (root / name).mkdir()
        for i in range(count):
            pixels = smooth_noise(random, 64, 64)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def check(output_dir, systems, seeds=1):
    """The page and the numbers are whole; returns results.json's only task."""
    record = json.loads((output_dir / "results.json").read_text())
    ((name, task),) = record["tasks"].items()
    assert list(task["systems"]) == systems
    for row in task["systems"].values():
        trained = row["recipe"] is not None
        assert len(row["seeds"]) == (seeds if trained else 1) and not row["failures"]
        assert all(np.isfinite(v["mean"]) for v in row["mean"].values())
        assert not trained or row["curves"][0].get("psnr", row["curves"][0])
    assert (output_dir / "results.md").read_text().count("|") > 20
    page = (output_dir / "index.html").read_text()
    for row in task["systems"].values():
        assert row["label"].replace(">", "&gt;") in page
    with Image.open(output_dir / f"{name}.png") as picture:
        columns = len(systems) + 2
        assert picture.width == columns * 64 + (columns - 1) * 4
        # Sources and targets are smooth noise, not white.
        for left in (0, picture.width - 64):
            side = np.asarray(picture.crop((left, 0, left + 64, 64)).convert("L"))
            assert len(np.unique(side)) > 4 and side.mean() < 200
    return task


def test_table_4_in_miniature_interrupted(photos, narrow_vgg, tmp_path, monkeypatch):
    """SIGTERM, then SIGKILL, to the command alone; the same command goes on."""
    out = tmp_path / "out"
    arguments = "--table=pan4", "--budget=8,64,1", f"--data_dir={photos / 'photos'}"
    first = subprocess.Popen(command(out, *arguments), cwd=ROOT, stdout=subprocess.PIPE)
    run = out / "inpaint" / "context_encoder" / "seed-1"
    while first.poll() is None and not (run / "manifest.json").exists():
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate()
    assert first.returncode == 0 and b"the same command goes on" in said
    assert json.loads((out / "results.json").read_text()) == {"table": "pan4"}
    # The training was stopped too, long before its end; saved, if there was a round.
    assert not (run / "result.json").exists()

    second = subprocess.Popen(command(out, *arguments), cwd=ROOT)
    while is_free(run):
        assert second.poll() is None
        time.sleep(0.1)
    second.kill()  # Its training is still there: it saves, and ends.
    second.wait()
    while not is_free(run):
        time.sleep(0.1)

    # The one that was interrupted, to its end in its own process; the other here.
    alone = trials.Trial.train

    def train_one(trial, stop):
        return alone(trial, stop) if trial.run_dir == run else train(trial.config)

    monkeypatch.setattr(trials.Trial, "train", train_one)
    flags = command(out, *arguments)[2:]
    result = commands.finish("reproduce", *flags)
    assert result.returncode == 0, result.stderr[-3000:]
    task = check(out, ["context_encoder", "pan"])
    # The missing centre is harder than the whole.
    for row in task["systems"].values():
        assert row["mean_of_centre"]["psnr"]["mean"] < row["mean"]["psnr"]["mean"]
        assert set(row["rank"]) == {"psnr", "ssim", "uqi", "vif"}
    assert task["systems"]["pan"]["paper_rank"]["psnr"] == 1
    assert task["dataset"]["synthesized"] == "hole"
    logs = [
        path / "seed-1" / "metrics.jsonl" for path in (run.parent, run.parents[1] / "pan")
    ]
    trained = [log.stat().st_mtime_ns for log in logs]

    # Nothing is trained twice, and results of other settings are not mixed in.
    same = {"data_dir": str(photos / "photos"), "width": 1 / 64, "output_dir": out}
    same |= {"table": "pan4", "budget": Budget(8, 64, 1)}
    realism = {"metrics": ["vgg_distance", "kid_vgg"], "vgg_weights": str(narrow_vgg)}
    assert Reproduction(**same, **realism).run(StopRequest())
    assert [log.stat().st_mtime_ns for log in logs] == trained
    task = check(out, ["context_encoder", "pan"])
    for row in (*task["baselines"].values(), task["systems"]["pan"]["mean"]):
        assert row["vgg_distance"]["mean"] > 0.0 and "kid_vgg" in row
    assert set(task["systems"]["pan"]["rank"]) == {"psnr", "ssim", "uqi", "vif"}
    assert "KID, VGG" in (out / "results.md").read_text()
    kept = (out / "results.json").read_bytes()
    with pytest.raises(RunFolderError, match="--width"):
        Reproduction(**same | {"width": 1 / 32})
    assert (out / "results.json").read_bytes() == kept


def is_free(run):
    try:
        lock.check_free(run)
    except lock.HeldError:
        return False
    return True


def test_a_training_of_others_is_waited_for(photos, tmp_path, failing, capfd):
    reproduction = Reproduction(
        "pan4", Budget(24, 64, 1), tmp_path / "out", data_dir=str(photos / "photos")
    )
    trial = reproduction.tasks[0][1][0]
    trial.run_dir.mkdir(parents=True)
    told = []
    with lock.hold(trial.run_dir):
        waiting = threading.Thread(target=lambda: told.append(trial.train(StopRequest())))
        waiting.start()
        said = ""
        while "Waiting for it" not in said:
            said += capfd.readouterr().out
            time.sleep(0.02)
        assert f"process {os.getpid()}" in said and not told
    waiting.join()
    assert told == [3]


@pytest.fixture
def failing(tmp_path, monkeypatch):
    """Every training ends with status 3."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(trials.sys, "executable", str(program))


def test_a_training_that_fails_is_named_and_the_others_go_on(photos, tmp_path, failing):
    reproduction = Reproduction(
        "pan4",
        Budget(4, 64, 1),
        tmp_path / "out",
        data_dir=str(photos / "photos"),
    )
    record = reproduction.run(StopRequest())
    rows = record["tasks"]["inpaint"]["systems"]
    for row in rows.values():
        assert row["failures"] == ["seed 1: exit status 3"] and row["mean"] is None
    assert "exit status 3" in (tmp_path / "out" / "index.html").read_text()
    said = (tmp_path / "out" / "results.md").read_text()
    for label in ("Context-Encoder", "PAN"):
        assert f"- failed: {label}, seed 1: exit status 3\n" in said


@pytest.mark.parametrize(
    ("budget", "folder"),
    [
        *((",,1", "runs/pan5-1"), ("64, 32,2", "runs/pan5-64-32-2")),
        *(("64,,2", "runs/pan5-64-paper-2"), (",64,2", "runs/pan5-paper-64-2")),
    ],
)
def test_each_budget_has_a_folder_of_its_own(budget, folder):
    options = reproduce.Options(table="pan5", budget=budget)
    assert reproduce.default_output_dir(options) == folder


def test_a_table_without_pairs_in_miniature(lists, tmp_path, monkeypatch):
    """In this process; in those of faces, which are slow, trainings have their own."""
    monkeypatch.setattr(trials.Trial, "train", lambda trial, stop: train(trial.config))
    # One two-sample test of each system in place of five.
    once = functools.partial(Evaluation, seeds=1)
    monkeypatch.setattr(measuring.evaluation, "Evaluation", once)
    out = tmp_path / "out"
    result = commands.finish(
        "reproduce",
        "--width=0.015625",
        f"--output_dir={out}",
        "--table=pan_fig11",
        "--systems=cyclegan_pa",
        "--budget=2,64,1",
        "--dataset=folder",
        f"--data_dir={lists}",
        "--epochs=1",
        "--limit=8",
    )
    assert result.returncode == 0, result.stderr[-3000:]
    task = check(out, ["cyclegan_pa"])
    for row in task["systems"].values():
        assert {"c2st", "attribute_log_loss"} <= set(row["mean"])
        assert row["mean_back"]["c2st"]["mean"] > 0.0
    assert set(task["baselines"]) == {"copy_input", "real"}
    assert "The inverse" in (out / "results.md").read_text()
    report = out / "horse2zebra" / "evaluation-seed-1" / "index.html"
    assert "cyclegan_pa" in report.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "task", "systems"),
    [
        ("pd1", "celeba_smile-Male", ["dfi", "dcgan", "vgg_gan"]),
        ("pd_fig4", "celebahq_smile-male", ["ms_cyclegan"]),
    ],
)
def test_tables_of_faces_in_miniature(table, task, systems, lists, tmp_path):
    weights = tmp_path / "vgg19.weights.h5"
    keras.applications.VGG19(include_top=False, weights=None).save_weights(weights)
    out = tmp_path / "out"
    result = finish(
        out,
        f"--table={table}",
        f"--tasks={task}",
        f"--systems={','.join(systems)}",
        "--budget=4,64,2",
        "--dataset=folder",
        f"--data_dir={lists}",
        f"--vgg_weights={weights}",
        *(["--dfi_iterations=2"] if "dfi" in systems else []),
        "--epochs=1",
        "--limit=8",
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = check(out, systems, seeds=2)
    begun = out / task / "autoencoder" / "seed-2" / "result.json"
    assert begun.exists() == (table == "pd_fig4")
    if table == "pd1":
        assert found["systems"]["dcgan"]["paper_rank"]["c2st"] == 4
        assert found["systems"]["vgg_gan"]["paper_rank"]["attribute_log_loss"] == 1


def test_trainings_without_pairs_that_fail_are_named(lists, tmp_path, failing):
    record = Reproduction(
        "pan_fig11",
        Budget(4, 64, 1),
        tmp_path / "out",
        dataset="folder",
        data_dir=str(lists),
    ).run(StopRequest())
    rows = record["tasks"]["horse2zebra"]["systems"]
    assert all(row["failures"] == ["seed 1: exit status 3"] for row in rows.values())
    assert "exit status 3" in (tmp_path / "out" / "index.html").read_text()


def test_what_is_begun_with_comes_first_and_vgg_star_has_its_own_weights(
    lists, narrow_vgg, tmp_path
):
    weights = {}
    for name in ("plain", "star"):
        network = vgg.APPLICATIONS["vgg19"](include_top=False)
        weights[name] = str(tmp_path / f"{name}.weights.h5")
        network.save_weights(weights[name])
    made = Reproduction(
        "pd_fig4",
        Budget(4, 64, 1),
        tmp_path / "out",
        systems=["vgg_ms_cyclegan", "vgg_star_ms_cyclegan", "autoencoder"],
        dataset="folder",
        data_dir=str(lists),
        vgg_weights=weights["plain"],
        vgg_star_weights=weights["star"],
    )
    ((_, trials),) = made.tasks
    assert trials[0].system.name == "autoencoder"
    used = {trial.system.name: trial.config.vgg_weights for trial in trials}
    assert used["vgg_star_ms_cyclegan"] == weights["star"]
    assert used["vgg_ms_cyclegan"] == used["autoencoder"] == weights["plain"]
    begun = {trial.config.init_from for trial in trials} - {None}
    assert begun == {trials[0].config.run_dir}
    with pytest.raises(ValueError, match=r"--vgg_star_weights=.* and none of those"):
        Reproduction(
            "pd_fig4",
            Budget(4, 64, 1),
            tmp_path / "other",
            systems=["vgg_ms_cyclegan"],
            dataset="folder",
            data_dir=str(lists),
            vgg_weights=weights["plain"],
            vgg_star_weights=weights["star"],
        )
    with pytest.raises(ValueError, match="--systems must name one that is measured"):
        Reproduction(
            "pd_fig4",
            Budget(4, 64, 1),
            tmp_path / "out",
            systems=["autoencoder"],
        )


_ID_CGAN = ["l2", "cgan", "l2_cgan", "id_cgan", "id_cgan_fixed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "task", "systems"),
    [
        ("pan3", "derain", [*_ID_CGAN, "pan", "pan_cgan"]),
        ("pan5", "aerial2map", ["l1", "pix2pix", "pan", "pan_fast"]),
        ("pan_fig4", "labels2cityscapes", ["layer_1", "layer_2", "layer_3", "layer_4"]),
        ("pan_fig5", "labels2facades", ["theta_0", "theta_1", "theta_100"]),
    ],
)
def test_other_tables_in_miniature(table, task, systems, photos, vgg_weights, tmp_path):
    out = tmp_path / "out"
    result = finish(
        out,
        f"--table={table}",
        f"--tasks={task}",
        f"--systems={','.join(systems)}",
        "--budget=4,64,2",
        "--dataset=folder",
        f"--data_dir={photos / 'pairs'}",
        f"--vgg_weights={vgg_weights}",
    )
    assert result.returncode == 0, result.stderr[-3000:]
    check(out, systems, seeds=2)


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ("pan4", {"systems": ["pna"]}, "--systems must be of"),
        ("pan5", {"tasks": ["derain"]}, "--tasks must be of"),
        ("pan4", {"data_dir": "nowhere"}, "No train/"),
        ("pan4", {"budget": Budget(8, 96, 1)}, "--image_size must be"),
        ("pan4", {"budget": Budget(8, 192, 1)}, "--image_size must be"),
        ("pan3", {"systems": ["pan"], "dataset": "photos"}, "No train/"),
        ("pan3", {"vgg_weights": "nowhere.h5"}, "nowhere"),
        ("pd1", {"metric_weights": "w"}, "--metric_weights goes with --metrics"),
        ("pan4", {"metric_weights": "w"}, "--metric_weights goes with --metrics"),
    ],
)
def test_bad_input_is_told_before_any_training(table, settings, message, tmp_path):
    settings = {"budget": Budget(8, 64, 1), "download": False, **settings}
    with pytest.raises(Exception, match=message) as error:
        Reproduction(
            table,
            output_dir=tmp_path / "out",
            **settings,
        )
    legal = ValueError, DatasetNotFoundError, WeightsNotFoundError
    assert isinstance(error.value, legal)
    assert not (tmp_path / "out").exists()


def test_a_system_that_is_named_twice_is_trained_once(photos, tmp_path):
    reproduction = Reproduction(
        "pan4",
        Budget(24, 64, 1),
        tmp_path / "out",
        data_dir=str(photos / "photos"),
        systems=["pan", "pan"],
    )
    ((_, trials_of_task),) = reproduction.tasks
    assert [trial.system.name for trial in trials_of_task] == ["pan"]


def _task(own, papers):
    """A task's record by one metric, of which lower is better."""
    systems = {
        name: {
            "label": name,
            "mean": {"attribute_log_loss": {"mean": value}},
            "paper": {"attribute_log_loss": papers[name]},
        }
        for name, value in own.items()
    }
    return {"systems": systems, "baselines": {}}


@pytest.mark.parametrize(
    ("own", "agrees"),
    [
        ({"a": 0.3, "b": 0.2, "c": 0.5}, True),  # The paper has a and b equal.
        ({"a": 0.2, "b": 0.3, "c": 0.5}, True),
        ({"a": 0.2, "b": 0.6, "c": 0.5}, False),
    ],
)
def test_the_papers_order_may_have_two_equal(own, agrees):
    sentences = report._sentences(
        _task(own, {"a": 0.1, "b": 0.1, "c": 0.4}), ["attribute_log_loss"]
    )
    assert ("none of the 1 metrics" not in sentences[0]) == agrees


@pytest.mark.parametrize(
    ("own", "count", "said"),
    [
        ({"a": 0.2, "b": 0.3}, 10, "A is best."),  # Lower is better.
        ({"a": 0.2, "b": 0.2}, 10, "A and B are best, equally."),
        ({"a": 0.2, "b": 0.3}, 6, "6 images do not say which system is best: at least "),
        ({"a": 0.2}, 10, None),
    ],
)
def test_a_system_is_best_among_several_and_many_images(own, count, said):
    systems = {
        name: {"mean": {"attribute_log_loss": {"mean": value}}, "paper": None}
        | {"label": name.upper()}
        for name, value in own.items()
    }
    task = {"systems": systems, "baselines": {}, "n": count}
    sentences = report._sentences(task, ["attribute_log_loss"])
    assert [said in each for each in sentences] == ([] if said is None else [True])


def test_data_without_anything_to_measure_on_are_refused(photos, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(photos / "photos" / "train")
    with pytest.raises(ValueError, match="must have a test/ or val/"):
        Reproduction(
            "pan4",
            Budget(8, 64, 1),
            tmp_path / "out",
            data_dir=str(tmp_path / "data"),
        )


def begun(reproduction, iteration, vgg=None):
    """Folders of its trainings, each with a checkpoint, by name, of an iteration."""
    reproduction.output_dir.mkdir()
    (reproduction.output_dir / "results.json").write_text('{"table": "pan4"}')
    for _, trials_of_task in reproduction.tasks:
        opened = reproduction._open(trials_of_task)
        for trial in trials_of_task:
            folder = RunFolder(trial.run_dir)
            system = resolve(trial.config).to_json()
            folder.start(trial.config, opened.describe(), [], system)
            folder.checkpoints.mkdir()
            (folder.checkpoints / f"ckpt-{iteration}.index").touch()
            if vgg:
                folder.note("vgg", {"network": "vgg19", "sha256": vgg})


def test_trainings_of_other_files_or_longer_ones_are_not_taken(photos, lists, tmp_path):
    def made(data_dir, iterations=8, **settings):
        settings = {"tasks": ["aerial2map"], "systems": ["pan"], **settings}
        return Reproduction(
            "pan5",
            Budget(iterations, 64, 1),
            tmp_path / "out",
            dataset="folder",
            data_dir=str(data_dir),
            **settings,
        )

    begun(made(photos / "pairs"), 8)
    made(photos / "pairs")
    made(photos / "pairs", iterations=7)  # Rounds of four: that is as long.
    with pytest.raises(RunFolderError, match="holds a longer training, of 8"):
        made(photos / "pairs", iterations=4)
    shutil.copytree(photos / "pairs", tmp_path / "other")
    (tmp_path / "other" / "train" / "0.png").rename(tmp_path / "other/train/9.png")
    with pytest.raises(RunFolderError, match="was trained on other files"):
        made(tmp_path / "other")


def test_trainings_through_other_weights_are_not_taken(lists, narrow_vgg, tmp_path):
    def made(weights):
        return Reproduction(
            "pd1",
            Budget(4, 64, 1),
            tmp_path / "out",
            tasks=["celeba_smile"],
            systems=["vgg_star_gan"],
            dataset="folder",
            data_dir=str(lists),
            vgg_star_weights=str(weights),
        )

    paths = [tmp_path / f"{name}.weights.h5" for name in "ab"]
    network = vgg.APPLICATIONS["vgg19"](include_top=False)
    for path in paths:
        network.set_weights([value + 1e-3 for value in network.get_weights()])
        network.save_weights(path)
    begun(made(paths[0]), 1, networks.locate_vgg_weights(paths[0])[1])
    made(paths[0])
    with pytest.raises(RunFolderError, match="trained with other VGG weights"):
        made(paths[1])


def test_without_a_budget_each_task_has_its_papers(lists, tmp_path):
    def configs(table, **settings):
        """system -> configuration; the data are not looked at."""
        out = Reproduction.__new__(Reproduction)
        out.table, out.budget, out.changes = TABLES[table], Budget(), {}
        out.output_dir, out.vgg_star_weights = tmp_path, None
        out.batch_size = settings.get("batch_size", out.table.batch_size)
        task = out.table.tasks[0]
        return {trial.system.name: trial.config for trial in out._trials(task, ())}

    def said(config):
        load = config.load_size and config.load_size.height
        return config.iterations, config.batch_size, config.image_size.height, load

    assert said(configs("pan4")["pan"]) == (100_000, 4, 128, 150)
    assert said(configs("pan5")["pix2pix"])[:3] == (100_000, 4, 256)
    faces = configs("pd1")
    assert said(faces["dcgan"]) == said(faces["vgg_gan"]) == (50_000, 16, 160, 160)
    assert said(faces["cyclegan"]) == (800_000, 1, 160, 179)
    assert faces["cyclegan"].decay_start == 400_000 and not faces["dcgan"].decay_start
    assert said(configs("pd_fig4")["ms_cyclegan"]) == (50_000, 16, 256, 256)


def test_somebody_elses_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    flags = f"--output_dir={tmp_path}", "--table=pan4"
    result = commands.finish("reproduce", *flags)
    assert result.returncode == 1 and "--output_dir" in result.stderr
    # Others call their results so, too.
    (tmp_path / "mine.txt").rename(tmp_path / "index.html")
    (tmp_path / "results.json").write_text('{"mine": 1}')
    result = commands.finish("reproduce", *flags)
    assert result.returncode == 1 and "no results.json of ours" in result.stderr
    assert (tmp_path / "results.json").read_text() == '{"mine": 1}'


def test_results_that_would_be_lost_are_not_written_over(photos, tmp_path):
    def made(table="pan5", systems=("l1", "pan")):
        return Reproduction(
            table,
            Budget(8, 64, 1),
            tmp_path,
            systems=systems,
            dataset="folder",
            data_dir=str(photos / "pairs"),
            **({"tasks": ["aerial2map"]} if table == "pan5" else {}),
        )

    there = {"table": "pan5", "tasks": {"aerial2map": {"systems": {"l1": {}}}}}
    (tmp_path / "results.json").write_text(json.dumps(there))
    made()
    with pytest.raises(ValueError, match="holds results of l1 on aerial2map, which"):
        made(systems=["pan"])
    with pytest.raises(ValueError, match="holds the results of --table=pan5"):
        made("pan4", systems=())
    assert json.loads((tmp_path / "results.json").read_text()) == there


@pytest.mark.parametrize("last", [None, {}, {"checkpoint": "8"}])
def test_a_damaged_result_of_a_training_is_named(last, photos, tmp_path):
    def made():
        return Reproduction(
            "pan5",
            Budget(8, 64, 1),
            tmp_path / "out",
            tasks=["aerial2map"],
            systems=["l1"],
            dataset="folder",
            data_dir=str(photos / "pairs"),
        )

    begun(reproduction := made(), 8)
    run = reproduction.tasks[0][1][0].run_dir
    files.write_json(run / "result.json", {"last": last})
    with pytest.raises(ValueError, match=r"result\.json is damaged: it names no last"):
        made()


def test_a_system_that_cannot_do_a_task_is_named(photos, tmp_path):
    with pytest.raises(
        ValueError, match="--systems=cyclegan cannot do labels2cityscapes: "
    ):
        Reproduction("pan5", Budget(8, 64, 1), tmp_path, systems=["cyclegan"])


def test_a_table_is_reproduced_by_one_process(tmp_path, monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}}
    task = {"task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster | task))
    with pytest.raises(ValueError, match=r"A table is reproduced .*: no TF_CONFIG"):
        Reproduction("pan5", Budget(8, 64, 1), tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classifiers": {"epochs": 3}}, "--epochs goes with tables without pairs"),
        ({"dfi_iterations": 3}, "--dfi_iterations goes with --systems=dfi"),
    ],
)
def test_a_setting_that_nothing_hears_is_refused(given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Reproduction("pan5", Budget(8, 64, 1), tmp_path, **given)
