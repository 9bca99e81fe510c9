"""An evaluation by an engine's workers gives the files of one process."""

import functools
import json
import pickle
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
from tests.trained import train


class Here:
    """An engine whose only worker is this process; results cross as JSON."""

    def __init__(self):
        self.items = []

    def each(self, items, made, folder):
        (folder / "gathered").mkdir()  # As engines do.
        self.items = items
        work = pickle.loads(pickle.dumps(made))()
        found = [json.loads(json.dumps(work(item))) for item in items]
        (folder / "gathered").rmdir()
        return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pairs whose sizes differ, so that files as they are, are measured too."""
    draw = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 3), ("test", 5)):
        for side in "AB":
            (root / f"{split}{side}").mkdir()
        for i in range(count):
            for side in "AB":
                pixels = draw.integers(0, 256, (70 + 8 * i, 96, 3), np.uint8)
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


def record_of(folder):
    found = json.loads((folder / "metrics.json").read_text())
    found.pop("date", None)
    return found


def test_files_are_those_of_one_process(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(spread, "_OF_A_PART", 1)
    made = functools.partial(Evaluation, [run], checkpoint="last", batch_size=2)
    alone = made(output_dir=tmp_path / "alone")
    alone.run()
    engine, there = Here(), functools.partial(made, output_dir=tmp_path / "spread")
    evaluation = there()
    evaluation.run(measured=spread.by(engine, there, evaluation))
    assert engine.items == [(0, 2), (2, 4), (4, 5)]
    assert "5 pairs in 3 parts" in capsys.readouterr().out
    one, other = tmp_path / "alone", tmp_path / "spread"
    assert {p.name for p in other.iterdir()} == {p.name for p in one.iterdir()}
    table = (one / "per_image.csv").read_text()
    assert "native" in table and table.count("\n") > 5
    assert (other / "per_image.csv").read_text() == table
    assert record_of(other) == record_of(one)
    assert evaluation.notes == alone.notes


def test_workers_get_baselines_fitted(run, tmp_path, monkeypatch):
    made = functools.partial(
        Evaluation, [run], checkpoint="last", output_dir=tmp_path / "out"
    )
    evaluation = made()

    class Unable(Here):
        def each(self, items, made, folder):
            monkeypatch.setattr(directions, "fit", None)
            return super().each(items, made, folder)

    found = evaluation.run(measured=spread.by(Unable(), made, evaluation))
    assert "color_table" in found["baselines"]


def test_files_that_a_worker_cannot_use_are_named(run, tmp_path, monkeypatch):
    made = functools.partial(
        Evaluation, [run], checkpoint="last", output_dir=tmp_path / "out"
    )
    evaluation = made()

    def scores(places):
        raise files.UnusableFilesError("3.png cannot be read.")

    unusable = types.SimpleNamespace(scores=scores)

    class Damaged(Here):
        def each(self, items, made, folder):
            monkeypatch.setattr(spread, "Directions", lambda *_: unusable)
            work = spread._part(lambda: None, str(folder), None)
            return [work(item) for item in items]

    with pytest.raises(files.UnusableFilesError, match=r"^3\.png cannot be read\.$"):
        evaluation.run(measured=spread.by(Damaged(), made, evaluation))
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(("paired", "of_sets"), [(False, []), (True, ["kid_vgg"])])
def test_what_is_judged_together_is_refused(paired, of_sets):
    split = types.SimpleNamespace(paired=paired)
    evaluation = types.SimpleNamespace(split=split, of_sets=of_sets)
    with pytest.raises(ValueError, match="images are judged together in"):
        spread.by(Here(), None, evaluation)


def test_beams_flags_go_with_a_runner(run):
    with pytest.raises(SystemExit, match="go with --runner"):
        cli.run("evaluate", [f"--run_dir={run}", "--workers=2"])


def test_beam_gives_the_same_files(run, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam")
    monkeypatch.setattr(spread, "_OF_A_PART", 1)
    fixed = {"checkpoint": "last", "batch_size": 2}
    pan_tf.evaluate(run, output_dir=tmp_path / "alone", **fixed)
    pan_tf.evaluate(
        run, output_dir=tmp_path / "spread", runner="direct", workers=2, **fixed
    )
    tables = [(tmp_path / n / "per_image.csv").read_text() for n in ("alone", "spread")]
    assert tables[0] == tables[1]
    assert record_of(tmp_path / "alone") == record_of(tmp_path / "spread")
