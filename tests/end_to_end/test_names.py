"""Files of any name are trained on, measured, examined and translated."""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import pan_tf
from pan_tf import doctor
from tests.conftest import smooth_noise
from tests.trained import few_metrics
from tests.trained import train

# Not UTF-8, not ASCII, of two lines, and of what patterns, formats and HTML are made of.
NAMES = [b"caf\xe9", "写真".encode(), b"a\nb", b"100%s {}", b"[x]*?", b"<img src=x>"]


def save(folder, shape):
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in NAMES:
        pixels = smooth_noise(random, *shape)
        # Pillow would encode the name strictly.
        with open(os.fsencode(folder) + b"/" + name + b".png", "wb") as file:
            Image.fromarray(pixels).save(file, "png")
    return folder


@pytest.fixture(scope="module", autouse=True)
def few():
    """Names are the same beside any number."""
    with few_metrics():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("names")
    for split in ("train", "val"):
        save(place / "pairs [1]*" / split, (64, 128))
    config = pan_tf.Config(
        dataset="folder",
        data_dir=str(place / "pairs [1]*"),
        run_dir=str(place / "runs[lr=2e-4]*" / "写真"),
        recipe="l1",
        image_size=64,
        width=1 / 64,
        batch_size=2,
        iterations=2,
    )
    train(config)
    return pan_tf.Run(config.run_dir)


def test_the_report_names_each_file(run, tmp_path):
    report = run.evaluate(output_dir=tmp_path / "report")
    with open(tmp_path / "report" / "per_image.csv", encoding="utf-8") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    known = {os.fsdecode(name).replace("\udce9", r"\udce9") for name in NAMES}
    assert names == known
    page = report.path.read_text(encoding="utf-8")
    assert "<img src=x>" not in page and "&lt;img src=x&gt;" in page


def test_a_resumed_run_finds_the_data_unchanged(run, tmp_path, capsys):
    again = shutil.copytree(run.path, tmp_path / "again")
    train(run.config.replace(iterations=4, run_dir=str(again)))
    assert "Resuming at iteration 2." in capsys.readouterr().out
    assert pan_tf.Translator(again, "last").checkpoint["iteration"] == 4


def test_each_file_is_translated(run, tmp_path):
    inputs = save(tmp_path / "in*[a]", (64, 64))
    outcome = run.translate(inputs, tmp_path / "out*[a]")
    assert not outcome.failures
    written = {os.fsencode(path.stem) for path in outcome.written}
    assert written == set(NAMES)


def test_the_doctor_reads_them(run):
    items, unpaired = doctor.of_folder(run.config.data_dir)
    record, findings, _ = doctor.examine(items, unpaired)
    assert len(items) == 2 * len(NAMES)
    # The files of both splits are the same: that is found, and nothing else.
    assert {finding.check for finding in findings} == {"leakage"}
    assert record["checks"]["unreadable"]["count"] == 0
