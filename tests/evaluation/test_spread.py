"""An evaluation by an engine's workers gives the files of one process."""

import functools
import json
import os
import pathlib
import pickle
import shutil
import types

import numpy as np
import pytest
from PIL import Image

import pan_tf
from pan_tf import cli
from pan_tf import files
from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.evaluation import directions
from pan_tf.evaluation import spread
from pan_tf.metrics import METRICS
from tests.trained import few_metrics
from tests.trained import train

_ALL = dict(METRICS)  # Which other processes have.


@pytest.fixture(scope="module", autouse=True)
def few():
    """What holds of one metric holds of all."""
    with few_metrics():
        yield


class Here:
    """An engine whose only worker is this process; results cross as JSON."""

    def __init__(self):
        self.items = []

    def __str__(self):
        return "this process"

    def each(self, items, made, folder):
        place = files.partial(folder, "outcomes")  # As engines have.
        place.mkdir()
        self.items = items
        work = pickle.loads(pickle.dumps(made))()
        found = [json.loads(json.dumps(work(item))) for item in items]
        place.rmdir()
        return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pairs, some of one size: files as they are, are measured too."""
    draw = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, heights in (("train", (70, 80, 90)), ("test", (70, 70, 70, 70, 70, 88))):
        for side in "AB":
            (root / f"{split}{side}").mkdir()
        for i, height in enumerate(heights):
            for side in "AB":
                pixels = draw.integers(0, 256, (height, 96, 3), np.uint8)
                Image.fromarray(pixels).save(root / f"{split}{side}" / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "spread"
    config = Config(
        recipe="l1",
        data_dir=str(photos),
        image_size=64,
        width=1 / 64,
        iterations=2,
        validate_every=0,
        preprocess="squash",
        run_dir=str(run_dir),
    )
    train(config)
    return run_dir


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Workers change to the folder of the process that asks them."""
    monkeypatch.chdir(tmp_path)


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def both_ways(engine, *args, **kwargs):
    """An evaluation, by this process and by an engine."""
    for measured in (False, True):
        folder = pathlib.Path("spread" if measured else "alone")
        made = functools.partial(Evaluation, *args, output_dir=folder, **kwargs)
        evaluation = made()
        by = measured and spread.measurer(engine, made, evaluation)
        evaluation.run(measured=by or None)
        yield evaluation, contents(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        pytest.param({"preprocess": "scale"}, marks=pytest.mark.slow),
        {"synthesize": "rain"},
    ],
    ids=lambda settings: "-".join(settings.values()) or "squash",
)
def test_files_are_those_of_one_process(settings, run, tmp_path, monkeypatch, capsys):
    """Of one run, or, where they are compared, of several."""
    monkeypatch.setattr(spread, "_OF_A_PART", 1)
    engine = Here()
    runs = [os.path.relpath(run)]
    if not settings:
        runs.append(shutil.copytree(run, tmp_path / "other"))
    fixed = {"checkpoint": "last", "batch_size": 2, "metrics": ["ssim_rgb"]}
    (alone, ours), (there, theirs) = both_ways(engine, runs, **fixed, **settings)
    assert engine.items == [(0, 2), (2, 4), (4, 6)]
    assert "6 pairs in 3 parts, by this process" in capsys.readouterr().out
    assert ("native" in ours["per_image.csv"]) == ("synthesize" not in settings)
    assert theirs == ours
    assert set(ours) == {"metrics.json", "per_image.csv", "index.html"}
    assert there.notes == alone.notes


def test_another_checkpoint_is_not_taken_for_the_same(run, tmp_path):
    """Be it of the same iteration, of another training."""
    made = functools.partial(Evaluation, [run], checkpoint="last", output_dir="out")
    evaluation = made()
    weight = evaluation.translators[0].network.weights[0]
    weight.assign(weight + 1.0)
    with pytest.raises(files.TroubleError, match="a run got another checkpoint"):
        evaluation.run(measured=spread.measurer(Here(), made, evaluation))
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_what_a_killed_evaluation_leaves_is_no_obstacle(run, tmp_path):
    files.partial(tmp_path / "out", "outcomes-1").mkdir(parents=True)
    Evaluation([run], checkpoint="last", output_dir="out")


def test_workers_get_baselines_fitted(run, tmp_path, monkeypatch):
    made = functools.partial(Evaluation, [run], checkpoint="last", output_dir="out")
    evaluation = made()

    class Unable(Here):
        def each(self, items, made, folder):
            monkeypatch.setattr(directions, "fit", None)
            return super().each(items, made, folder)

    found = evaluation.run(measured=spread.measurer(Unable(), made, evaluation))
    assert "color_table" in found["baselines"]


def test_files_that_a_worker_cannot_use_are_named(run, tmp_path, monkeypatch):
    made = functools.partial(Evaluation, [run], checkpoint="last", output_dir="out")
    evaluation = made()

    def scores(places):
        raise files.UnusableFilesError("3.png cannot be read")

    unusable = types.SimpleNamespace(scores=scores)

    class Damaged(Here):
        def each(self, items, made, folder):
            monkeypatch.setattr(spread, "Directions", lambda *_, **__: unusable)
            stub = types.SimpleNamespace(translators=[])
            work = spread._part(lambda: stub, str(folder), [], None)
            return [work(item) for item in items]

    with pytest.raises(files.TroubleError, match=r": 3\.png cannot be read\.$"):
        evaluation.run(measured=spread.measurer(Damaged(), made, evaluation))
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(("paired", "of_sets"), [(False, []), (True, ["kid_vgg"])])
def test_what_is_judged_together_is_refused(paired, of_sets):
    split = types.SimpleNamespace(paired=paired)
    evaluation = types.SimpleNamespace(split=split, of_sets=of_sets)
    with pytest.raises(ValueError, match="images are judged together in"):
        spread.measurer(Here(), None, evaluation)


def test_beams_flags_go_with_a_runner(run):
    with pytest.raises(SystemExit, match="go with --runner"):
        cli.run("evaluate", [f"--run_dir={run}", "--workers=2"])


def test_workers_that_do_not_see_the_data_say_so(run, tmp_path):
    made = functools.partial(Evaluation, [run], checkpoint="last", output_dir="out")
    evaluation = made()
    work = spread._part(lambda: open("nowhere"), str(tmp_path), [], None)
    engine = types.SimpleNamespace(each=lambda items, *_: list(map(work, items)))
    with pytest.raises(files.TroubleError, match=r"Not evaluated: .*nowhere"):
        evaluation.run(measured=spread.measurer(engine, made, evaluation))


def test_beam_gives_the_same_files(run, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam")
    for name, row in _ALL.items():
        monkeypatch.setitem(METRICS, name, row)
    monkeypatch.setattr(spread, "_OF_A_PART", 1)
    fixed = {"checkpoint": "last", "batch_size": 2}
    runs = os.path.relpath(run)
    pan_tf.evaluate(runs, output_dir="alone", **fixed)
    pan_tf.evaluate(runs, output_dir="spread", runner="direct", workers=2, **fixed)
    assert contents(tmp_path / "alone") == contents(tmp_path / "spread")
