import json
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import progress
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.data import Geometry
from pan_tf.data import Split
from pan_tf.runs import callbacks
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.validation import Validation


@pytest.fixture(scope="module")
def built():
    config = Config(dataset="bluemarble", image_size=64, width=1 / 64)
    return recipes.build(config)


@pytest.fixture
def model(built):
    """A model whose rounds are four iterations; restored afterwards."""
    weights = built.get_weights()
    built.iteration, built.data_wait = 0, 0.0
    yield built
    built.set_weights(weights)


class Recorder(callbacks.EveryIterations):
    def __init__(self, every, until=None):
        super().__init__(every, until)
        self.acted = []

    def act(self, iteration, logs):
        self.acted.append(iteration)


def run(model, callback, rounds, logs=None):
    callback.set_model(model)
    callback.on_train_begin()
    for _ in range(rounds):
        model.iteration += model.schedule.minibatches
        callback.on_train_batch_end(0, logs or {})


@pytest.mark.parametrize(
    ("every", "acted"), [(4, [4, 8, 12, 16, 20]), (10, [12, 20]), (8, [8, 16]), (0, [])]
)
def test_acts_in_the_round_that_reaches_a_multiple(model, every, acted):
    recorder = Recorder(every)
    run(model, recorder, 5)
    assert recorder.acted == acted


def test_lines_are_means_over_their_window(model, tmp_path):
    folder, state = RunFolder(tmp_path), RunState(model)
    clock = callbacks.Clock(batch_size=4, iterations=16)
    writer = tf.summary.create_file_writer(str(tmp_path / "logs"))
    log = callbacks.MetricsLog(folder, state, writer, clock, every=8)
    for callback in (clock, log):
        callback.set_model(model)
    clock.on_train_begin()
    for value in (1.0, 2.0, 5.0, 7.0):
        model.iteration += 4
        clock.on_train_batch_end(0, {})
        log.on_train_batch_end(0, {"t_adversarial": value})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [(row["iteration"], row["t_adversarial"]) for row in rows] == [
        (8, 1.5),
        (16, 6.0),
    ]
    assert {"images_per_second", "data_wait", "memory_gib"} <= rows[1].keys()


def test_progress_line_says_what_matters(model, capsys):
    clock = callbacks.Clock(batch_size=4, iterations=100)
    line = callbacks.ProgressLine(clock, every=4)
    for callback in (clock, line):
        callback.set_model(model)
        callback.on_train_begin()
    for _ in range(2):
        model.iteration += 4
        clock.on_train_batch_end(0, {})
        line.on_train_batch_end(0, {"t_adversarial": -0.7})
    last = capsys.readouterr().out.splitlines()[-1]
    for part in ("iteration 8/100", "images/s", "left", "GiB", "t_adversarial -0.7"):
        assert part in last


def test_progress_lines_are_early_and_fit(model, capsys, monkeypatch):
    seconds = iter([100.0, 101.0, 109.0, 110.5, 111.0, 112.0])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(seconds))
    clock = callbacks.Clock(batch_size=4, iterations=10**6)
    line = callbacks.ProgressLine(clock, every=20)
    logs = {f"d_a_term_with_a_long_name_{i}": 0.5 for i in range(9)}
    for callback in (clock, line):
        callback.set_model(model)
        callback.on_train_begin()
    for _ in range(6):
        model.iteration += 4
        clock.on_train_batch_end(0, {})
        line.on_train_batch_end(0, {**logs, "t_pixel": 0.25, "output_contrast": 1.0})
    lines = capsys.readouterr().out.splitlines()
    # After the first round, ten seconds later, and every 20 iterations.
    assert [text.split()[1].split("/")[0] for text in lines] == ["4", "16", "20"]
    for text in lines:
        assert len(text) <= 120 and "t_pixel 0.25" in text and "contrast" not in text


def test_what_is_due_at_an_interval_is_due_at_the_end(model):
    for every, acted in ((8, [8, 16, 20]), (20, [20]), (10, [12, 20]), (0, [])):
        model.iteration, recorder = 0, Recorder(every, until=20)
        run(model, recorder, 5)
        assert recorder.acted == acted


def test_validation_keeps_the_best_and_shows_the_same_pairs(model, tmp_path, monkeypatch):
    saves = []

    class Checkpoints:
        def save_best(self, chosen_by):
            assert chosen_by == "uqi"
            saves.append(model.iteration)

    drawn = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    source, target = tf.constant(drawn), tf.constant(255 - drawn)
    split = Split.of_pairs("val", ("a", "b"), lambda i: (source[i], target[i]))
    pairs = types.SimpleNamespace(validation=split, geometry=Geometry("squash", 64))
    writer = tf.summary.create_file_writer(str(tmp_path / "logs"))
    state = RunState(model)
    config = Config(image_size=64, validate_every=4, best_by="uqi")
    validation = Validation(
        RunFolder(tmp_path), state, writer, Checkpoints(), pairs, config
    )
    scores = iter([(20.0, 0.3), (19.0, 0.4), (22.0, 0.2)])
    monkeypatch.setattr(
        validation,
        "measure",
        lambda: dict(zip(("psnr", "uqi"), next(scores), strict=True)),
    )
    run(model, validation, 3)
    assert saves == [4, 8] and state.best == 0.4
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [row["val_psnr"] for row in rows] == [20.0, 19.0, 22.0]
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [
        "0000004.png",
        "0000008.png",
        "0000012.png",
    ]
    for path in (tmp_path / "samples").iterdir():
        shown = np.asarray(Image.open(path))
        for i, top in enumerate((0, 68)):  # 64 px, and a gap of 4.
            row = shown[top : top + 64]
            assert np.array_equal(row[:, :64], source[i])
            assert np.array_equal(row[:, 136:200], target[i])


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "1m00s"), (61, "1m01s"), (3 * 3600 + 125, "3h02m")]
)
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


def test_figures_are_since_the_last_line_and_overall_since_the_first_round(
    model, monkeypatch
):
    seconds = iter([10.0, 12.0, 16.0])
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: next(seconds))
    clock = callbacks.Clock(batch_size=3, iterations=28, cost_of_data=lambda: 0.5)
    clock.set_model(model)
    clock.on_train_begin()
    lines = []
    for wait in (5.0, 5.5, 7.5):
        model.iteration, model.data_wait = model.iteration + 4, wait
        clock.on_train_batch_end(0, {})
        lines.append(clock.window())
    assert lines[0].keys() == {"memory_gib"}  # The first round is start-up.
    found = [(row["images_per_second"], row["data_wait"]) for row in lines[1:]]
    assert found == [(4 * 3 / 2, 0.5 / 2), (4 * 3 / 4, 2.0 / 4)]
    assert [row["data_cores"] for row in lines[1:]] == [6.0 * 0.5, 3.0 * 0.5]
    overall = clock.overall()
    assert (overall["images_per_second"], overall["data_wait"]) == (4.0, 2.5 / 6)
    # 16 iterations are left, at 8 in 6 seconds.
    assert clock.seconds_left() == 12.0


@pytest.mark.parametrize(
    ("best_by", "chosen_by", "best", "score", "is_best"),
    [
        ("psnr", "psnr", 20.0, 21.0, True),
        ("psnr", "psnr", 20.0, 20.0, False),
        ("lpips", "lpips", 0.2, 0.1, True),
        ("lpips", "lpips", 0.2, 0.3, False),
        ("uqi", "psnr", 20.0, 0.1, True),  # No number of another metric is in its way.
        ("psnr", None, None, -5.0, True),
    ],
)
def test_the_best_is_what_beats_the_best_by_the_same_metric(
    best_by, chosen_by, best, score, is_best
):
    state = types.SimpleNamespace(best=best, best_by=chosen_by)
    validation = types.SimpleNamespace(best_by=best_by, state=state)
    assert Validation._is_best(validation, score) == is_best
