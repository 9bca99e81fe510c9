"""Evaluation without pairs: what it measures, writes, and refuses."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pan_tf import dfi
from pan_tf.config import Config
from pan_tf.evaluation import UnalignedEvaluation
from pan_tf.evaluation.classifier import CHANCE
from pan_tf.evaluation.unaligned_report import sentences
from tests.conftest import smooth_noise
from tests.runs import train

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dark_and_bright(tmp_path_factory):
    """Two lists that any classifier tells apart: dark blocks, and bright ones."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("lists")
    for split, count in (("train", 24), ("test", 12)):
        for side, level in (("A", 0), ("B", 128)):
            (root / f"{split}{side}").mkdir()
            for i in range(count):
                pixels = smooth_noise(random, 64, 64) // 2 + np.uint8(level)
                Image.fromarray(pixels).save(root / f"{split}{side}" / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(dark_and_bright, tmp_path_factory):
    """A cycle that has learnt next to nothing."""
    run_dir = tmp_path_factory.mktemp("runs") / "cycle"
    train(
        Config(
            dataset="folder",
            data_dir=str(dark_and_bright),
            recipe="cyclegan",
            image_size=64,
            width=1 / 64,
            batch_size=1,
            iterations=1,
            validate_every=0,
            run_dir=str(run_dir),
        )
    )
    return run_dir


@pytest.fixture(scope="module")
def evaluation(run):
    evaluation = UnalignedEvaluation([run], seeds=1, epochs=20)
    return evaluation, evaluation.run()


def test_both_directions_are_measured_beside_what_bounds_them(evaluation):
    _, record = evaluation
    assert list(record["directions"]) == ["AtoB", "BtoA"]
    for found in record["directions"].values():
        (run,) = found["runs"].values()
        assert set(run["metrics"]) == {
            *("c2st", "c2st_accuracy", "c2st_learnt", "attribute_log_loss"),
            *("source_psnr", "cycle_psnr", "identity_psnr"),
        }
        real, sources = (found["baselines"][n]["metrics"] for n in ("real", "copy_input"))
        # Real targets are told from none, and taken for targets; sources neither.
        assert real["c2st"]["mean"] > CHANCE / 2 > sources["c2st"]["mean"]
        assert real["attribute_log_loss"]["mean"] < CHANCE / 2
        assert sources["attribute_log_loss"]["mean"] > CHANCE


def test_three_files_are_written(evaluation):
    made, record = evaluation
    folder = made.output_dir
    assert folder.parent.name == "evaluation" and "-unaligned-" in folder.name
    assert json.loads((folder / "metrics.json").read_text()) == record
    rows = list(csv.DictReader((folder / "per_image.csv").open()))
    assert len(rows) == 2 * 12
    column = [float(r["source_psnr"]) for r in rows if r["direction"] == "AtoB"]
    mean = record["directions"]["AtoB"]["runs"][made.names[0]]["metrics"]["source_psnr"]
    assert np.mean(column) == pytest.approx(mean["mean"])
    page = (folder / "index.html").read_text()
    assert page.count('alt="source"') == 2 * 12 and page.count('alt="target"') == 2 * 12
    assert "http" not in page


def test_deep_feature_interpolation_is_measured_alike(
    dark_and_bright, vgg_weights, tmp_path
):
    settings = dfi.Settings("vgg16", str(vgg_weights), neighbors=4, iterations=2)
    record = UnalignedEvaluation(
        dataset="folder",
        data_dir=str(dark_and_bright),
        image_size=64,
        output_dir=tmp_path / "dfi",
        seeds=1,
        epochs=2,
        limit=8,
        dfi=settings,
    ).run()
    assert record["n"] == 8 and "--limit=8" in record["notes"][0]
    for found in record["directions"].values():
        metrics = found["runs"]["dfi"]["metrics"]
        assert {"c2st", "attribute_log_loss", "source_psnr"} <= set(metrics)
        assert "identity_psnr" not in metrics
    assert "weights" not in json.dumps(record)


def test_too_few_images_are_refused(run):
    with pytest.raises(ValueError, match="takes 8 images or more in every list"):
        UnalignedEvaluation([run], limit=7)


def test_there_must_be_something_to_measure():
    with pytest.raises(ValueError, match="--run_dir, --saved_model or --dfi must name"):
        UnalignedEvaluation()


def test_attributes_are_not_known_of_folders(dark_and_bright, vgg_weights, tmp_path):
    settings = dfi.Settings("vgg16", str(vgg_weights), by="attributes")
    with pytest.raises(ValueError, match="--dfi_by=attributes needs a data set"):
        UnalignedEvaluation(
            dataset="folder",
            data_dir=str(dark_and_bright),
            image_size=64,
            output_dir=tmp_path / "dfi",
            dfi=settings,
        )


def test_sentences_claim_no_more_than_the_intervals():
    def numbers(c2st, loss):
        return {
            "c2st": {"mean": 0.0, "ci95": c2st},
            "attribute_log_loss": {"mean": 0.0, "ci95": loss},
        }

    found = {
        "baselines": {"copy_input": {"metrics": numbers([0.1, 0.2], [1.0, 2.0])}},
        "runs": {
            "better": {"metrics": numbers([0.3, 0.4], [0.1, 0.2])},
            "open": {"metrics": numbers([0.2, 0.4], [0.1, 1.0])},
            "worse": {"metrics": numbers([0.0, 0.05], [3.0, 4.0])},
        },
    }
    said = sentences(found)
    beginnings = [
        "better are harder to",
        "better are more like",
        "open are neither harder nor easier to",
        "open are neither more nor less like",
        "worse are easier to",
        "worse are less like",
    ]
    for beginning, sentence in zip(beginnings, said, strict=True):
        assert sentence.startswith(f"Outputs of {beginning}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--limit=9"], "--limit goes with --unaligned"),
        (["--dfi"], "--dfi goes with --unaligned"),
        (["--unaligned", "--rank_by=psnr"], "--rank_by goes without --unaligned"),
        (["--unaligned", "--dfi_step=1"], "--dfi_step goes with --dfi"),
    ],
)
def test_a_flag_that_would_go_unheard_is_refused(flags, message):
    command = [sys.executable, "scripts/evaluate.py", "--run_dir=nowhere", *flags]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1 and message in result.stderr


@pytest.mark.slow
def test_the_command_prints_what_it_wrote(run, tmp_path):
    command = [sys.executable, "scripts/evaluate.py", "--unaligned", "--seeds=1"]
    command += [f"--run_dir={run}", "--epochs=1", f"--output_dir={tmp_path / 'out'}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "BtoA, 12 sources" in result.stdout and "(real)" in result.stdout
    assert (tmp_path / "out" / "index.html").exists()
