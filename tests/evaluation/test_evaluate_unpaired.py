"""Evaluation without pairs: what it measures, writes, and refuses."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.metrics.distribution.classifier import CHANCE
from pan_tf.papers import dfi
from tests.commands import refused
from tests.conftest import smooth_noise
from tests.trained import train

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dark_and_bright(tmp_path_factory):
    """Two lists that any classifier tells apart: dark blocks, and bright ones."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("lists")
    for split, count in (("train", 12), ("test", 12)):
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
    evaluation = Evaluation([run], seeds=1, epochs=12)
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
    assert folder.parent.name == "evaluation" and "-unpaired-" in folder.name
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
    dark_and_bright, narrow_vgg, tmp_path
):
    settings = dfi.Settings("vgg16", str(narrow_vgg), neighbors=4, iterations=2)
    record = Evaluation(
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
    assert str(narrow_vgg) not in json.dumps(record)  # A machine's own place.


def test_too_few_images_are_refused(run):
    with pytest.raises(ValueError, match="takes 8 or more in every list"):
        Evaluation([run], limit=7)


def test_there_must_be_something_to_measure():
    with pytest.raises(ValueError, match="--run_dir or --saved_model must name"):
        Evaluation()


def test_attributes_are_not_known_of_folders(dark_and_bright, narrow_vgg, tmp_path):
    settings = dfi.Settings("vgg16", str(narrow_vgg), by="attributes")
    with pytest.raises(ValueError, match="--dfi_by=attributes needs a data set"):
        Evaluation(
            dataset="folder",
            data_dir=str(dark_and_bright),
            image_size=64,
            output_dir=tmp_path / "dfi",
            dfi=settings,
        )


@pytest.mark.slow
def test_the_command_prints_what_it_wrote(run, tmp_path):
    command = [sys.executable, "scripts/evaluate.py", "--unaligned", "--seeds=1"]
    command += [f"--run_dir={run}", "--epochs=1", f"--output_dir={tmp_path / 'out'}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "BtoA, 12 sources" in result.stdout and "baseline: real" in result.stdout
    assert (tmp_path / "out" / "index.html").exists()


def test_a_flag_that_goes_without_pairs_is_refused_with_them(small_run):
    message = refused("evaluate", f"--run_dir={small_run}", "--limit=9")
    assert "--limit goes without pairs: add --unaligned." in message


def test_both_directions_have_a_last_checkpoint_only(run):
    with pytest.raises(ValueError, match=r"--checkpoint=best: .* is a cycle"):
        Evaluation([run], checkpoint="best")


def test_images_are_ranked_by_pairs_only(run):
    with pytest.raises(ValueError, match="--rank_by goes with pairs"):
        Evaluation([run], rank_by="psnr")


def test_a_metric_of_pairs_needs_pairs(run):
    with pytest.raises(ValueError, match="--metrics=psnr compares an output"):
        Evaluation([run], metrics=["psnr"])


def test_pairs_can_be_looked_at_as_two_lists(small_run, tmp_path):
    with pytest.raises(ValueError, match="takes 8 or more in every list"):
        Evaluation([small_run], unpaired=True)


@pytest.fixture(scope="module")
def many_channels(tmp_path_factory):
    """Lists of six channels and of three."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("channels")
    for split, count in (("train", 9), ("test", 8)):
        for side in "AB":
            (root / f"{split}{side}").mkdir()
        for i in range(count):
            pixels = random.integers(0, 256, (64, 64, 6), np.uint8)
            np.save(root / f"{split}A" / f"{i}.npy", pixels)
            Image.fromarray(pixels[..., :3]).save(root / f"{split}B" / f"{i}.png")
    return root


def test_sources_that_are_no_targets_are_not_compared_with_them(many_channels, tmp_path):
    run_dir = tmp_path / "run"
    config = Config(
        data_dir=str(many_channels),
        recipe="dcgan",
        image_size=64,
        width=1 / 64,
        batch_size=1,
        iterations=2,
        validate_every=1,
        run_dir=str(run_dir),
    )
    train(config)
    evaluation = Evaluation([run_dir], seeds=1, epochs=2)
    (found,) = evaluation.run()["directions"].values()
    assert list(found["baselines"]) == ["real"]
    assert found["sentences"] == []
    (run,) = found["runs"].values()
    assert set(run["metrics"]) == {"c2st", "c2st_accuracy", "c2st_learnt"}
    assert (evaluation.output_dir / "index.html").stat().st_size
    with pytest.raises(ValueError, match="attribute_log_loss compares sources with"):
        Evaluation([run_dir], metrics=["attribute_log_loss"])
