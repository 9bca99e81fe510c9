"""Evaluations of a small run, in this process."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import inference
from pan_tf.data import DatasetNotFoundError
from pan_tf.evaluation import Evaluation
from pan_tf.evaluation.measure import _comparison
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics import Metric
from tests.commands import refused
from tests.trained import few_metrics


@pytest.fixture(scope="module")
def evaluated(small_run, tmp_path_factory):
    """(what metrics.json holds, folder) of the test split."""
    folder = tmp_path_factory.mktemp("evaluated") / "out"
    record = Evaluation([small_run], output_dir=folder).run()
    return record, folder


@pytest.fixture(scope="module")
def other_run(small_run, tmp_path_factory):
    """The same run with its best checkpoint taken away."""
    path = tmp_path_factory.mktemp("others") / "other"
    shutil.copytree(small_run, path)
    shutil.rmtree(path / "checkpoints" / "best")
    return path


def rows(folder):
    with open(folder / "per_image.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_test_split_is_measured_where_there_is_one(evaluated):
    record, folder = evaluated
    assert record == json.loads((folder / "metrics.json").read_text())
    assert record["n"] == 4 and record["dataset"]["split"] == "test"
    assert record["checkpoint"]["kind"] == "best"
    assert record["checkpoint"]["chosen_by"] == "ssim" and record["notes"] == []


def test_every_metric_has_a_mean_and_an_interval_for_output_and_baselines(evaluated):
    record, _ = evaluated
    assert set(record["baselines"]) == {"copy_input", "mean_color", "color_table"}
    for column in (record["metrics"], *record["baselines"].values()):
        assert set(column) == {n for n, m in METRICS.items() if m.is_usual}
        for value in column.values():
            low, high = value["ci95"]
            assert low <= value["mean"] <= high


def test_means_are_those_of_the_table_of_images(evaluated):
    record, folder = evaluated
    table = rows(folder)
    assert [row["name"] for row in table] == [f"test-{i}" for i in range(4)]
    for metric, value in record["metrics"].items():
        mean = np.mean([float(row[metric]) for row in table])
        assert value["mean"] == pytest.approx(mean, abs=1e-12), metric


def test_numbers_are_those_of_the_images_on_disk(evaluated, small_run, small_pairs):
    """From PNG to score, with Pillow, the loader and the slow twin only."""
    import tensorflow as tf
    from PIL import Image

    from tests.metrics import twins

    pair = np.asarray(Image.open(small_pairs / "test" / "test-2.png"))
    source, target = (
        np.asarray(Image.fromarray(side).resize((64, 64), Image.Resampling.LANCZOS))
        for side in (pair[:, :72], pair[:, 72:])
    )
    translate = inference.Translator(small_run).translate
    output = translate(tf.constant(source[None] / 127.5 - 1, tf.float32))[0].numpy()
    row = rows(evaluated[1])[2]
    # Pillow's Lanczos and TensorFlow's round a few pixels differently.
    for metric, tolerance in (("psnr", 0.02), ("ssim", 2e-3), ("uqi", 5e-3)):
        expected = getattr(twins, metric)(target, output)
        assert float(row[metric]) == pytest.approx(expected, abs=tolerance), metric


def test_evaluating_twice_gives_the_same_files(evaluated, small_run):
    _, folder = evaluated
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    Evaluation([small_run], output_dir=folder).run()
    assert before == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_saved_model_has_equal_numbers(evaluated, small_run, small_pairs, tmp_path):
    config = inference.Translator(small_run).config
    from pan_tf import recipes

    transformer = recipes.resolve(config).transformer()
    import tensorflow as tf

    (index,) = (small_run / "checkpoints" / "best").glob("*.index")
    checkpoint = tf.train.Checkpoint(transformer=transformer)
    checkpoint.read(str(index).removesuffix(".index")).expect_partial()
    transformer.export(str(tmp_path / "exported"), verbose=False)
    evaluation = Evaluation(
        saved_models=[tmp_path / "exported"],
        dataset="folder",
        data_dir=str(small_pairs),
        image_size=64,
    )
    record = evaluation.run()
    assert evaluation.output_dir.parent == tmp_path
    assert evaluation.output_dir.name.startswith(
        "evaluation-exported-folder-test-AtoB-64-"
    )
    assert record["metrics"] == evaluated[0]["metrics"]
    assert record["baselines"] == evaluated[0]["baselines"]


def test_the_watched_split_is_called_optimistic(small_run):
    evaluation = Evaluation([small_run], split="val")
    assert "optimistic" in evaluation.notes[0]
    where = evaluation.output_dir
    assert where.parent == small_run / "evaluation"
    assert where.name.startswith("folder-val-AtoB-64-")
    assert Evaluation([small_run], "", "last", split="val").notes == []


def test_the_page_needs_nothing_else_and_shows_every_image(evaluated):
    page = (evaluated[1] / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert sources and all(s.startswith("data:image/webp;base64,") for s in sources)
    assert "url(" not in page
    # All four images once, each with four pictures; one legend; two to enlarge.
    assert page.count("<img ") == 4 * 4 + 1 + 2
    for word in (
        "Findings",
        "All 4, by SSIM, the worst first",
        "Learning curves",
        "Manifest of small",
    ):
        assert word in page


def test_a_comparison_sets_the_same_images_side_by_side(small_run, other_run, tmp_path):
    record = Evaluation([small_run, other_run], output_dir=tmp_path / "both").run()
    assert set(record["runs"]) == {"small", "other"}
    (comparison,) = record["comparisons"]
    gap = comparison["differences"]["ssim"]
    means = [
        record["runs"][name]["metrics"]["ssim"]["mean"] for name in ("small", "other")
    ]
    assert gap["mean"] == pytest.approx(means[0] - means[1])
    assert any("no best checkpoint" in note for note in record["notes"])
    table = rows(tmp_path / "both")
    assert len(table) == 8 and {row["run"] for row in table} == {"small", "other"}
    page = (tmp_path / "both" / "index.html").read_text()
    assert comparison["sentence"] in page and "small minus other" in page
    assert page.count('alt="output"') == 2 * page.count('alt="source"')


def test_what_cannot_be_evaluated_is_refused(small_run, small_pairs, tmp_path):
    with pytest.raises(ValueError, match="--run_dir or --saved_model must name"):
        Evaluation()
    with pytest.raises(ValueError, match="--split must be one of: train, val, test"):
        Evaluation([small_run], split="tset")
    with pytest.raises(ValueError, match="Each run once"):
        Evaluation([small_run, small_run])
    with pytest.raises(ValueError, match="--image_size must be a multiple of 64"):
        Evaluation([small_run], image_size=100)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"holds files but no metrics\.json"):
        Evaluation([small_run], output_dir=tmp_path / "mine")


def test_runs_of_other_directions_are_compared_only_on_demand(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "back")
    with open(tmp_path / "back" / "run.cfg", "a") as file:
        file.write("--direction=BtoA\n")
    runs = [small_run, tmp_path / "back"]
    with pytest.raises(ValueError, match=r"one --direction.*AtoB in small, BtoA in back"):
        Evaluation(runs)
    assert Evaluation(runs, direction="BtoA").data.direction == "BtoA"


def test_a_folder_that_the_runs_data_set_does_not_read_is_refused(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    flags = (run / "run.cfg").read_text()
    assert "--dataset=folder" in flags
    (run / "run.cfg").write_text(flags.replace("=folder", "=bluemarble"))
    with pytest.raises(ValueError, match="add --dataset=folder"):
        Evaluation([run], data_dir=str(tmp_path))


def test_files_too_small_for_a_metric_are_not_measured_as_they_are(
    small_run, small_pairs, tmp_path
):
    shutil.copytree(small_pairs, tmp_path / "pairs")
    for path in (tmp_path / "pairs" / "test").iterdir():
        with Image.open(path) as image:
            small = image.resize((32, 16))
        small.save(path)
    settings = {"data_dir": str(tmp_path / "pairs"), "output_dir": tmp_path / "out"}
    evaluation = Evaluation([small_run], **settings)
    record = evaluation.run()
    assert "native" not in record
    said = (
        "Files as they are were not measured: .* is measured at 16 px, and VIF needs 17"
    )
    assert any(re.search(said, note) for note in record["notes"])
    with pytest.raises(ValueError, match="VIF needs 17 px a side"):
        Evaluation([small_run], preprocess="crop", **settings)


def test_other_data_than_the_run_saw_are_noted(small_run, tmp_path, small_pairs):
    shutil.copytree(small_pairs, tmp_path / "pairs")
    (tmp_path / "pairs" / "test" / "test-3.png").unlink()
    evaluation = Evaluation([small_run], data_dir=str(tmp_path / "pairs"))
    assert "was trained on other data" in evaluation.notes[0]
    assert len(evaluation.split) == 3


def test_another_direction_than_the_run_learnt_is_told(small_run, small_pairs):
    """Nor was its checkpoint chosen on these images, seen so."""
    (note,) = Evaluation([small_run], direction="BtoA", split="val").notes
    assert note == "small was trained on these images AtoB, and is measured BtoA."
    (note,) = Evaluation([small_run], split="val").notes
    assert "chosen on these very images" in note


def test_other_files_are_told_where_pairs_are_not_asked_for(small_run, pair_folder):
    others = pair_folder(train=8, val=8)
    evaluation = Evaluation([small_run], data_dir=str(others), unpaired=True, split="val")
    assert evaluation.notes[0].startswith("small was trained on other data (folder,")
    assert not any("chosen on these very images" in note for note in evaluation.notes)


def test_a_saved_model_of_one_size_is_refused_at_another(small_pairs, tmp_path):
    import keras

    model = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Identity()])
    model.export(str(tmp_path / "fixed"), verbose=False)
    settings = {"dataset": "folder", "data_dir": str(small_pairs)}
    with pytest.raises(ValueError, match=r"--image_size must be that of .*64 x 64"):
        Evaluation(saved_models=[tmp_path / "fixed"], image_size=128, **settings)


def test_each_run_of_a_comparison_is_checked_for_its_own_data(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "cousin")
    manifest = tmp_path / "cousin" / "manifest.json"
    known = json.loads(manifest.read_text())
    known["data"]["fingerprint"] = "another"
    manifest.write_text(json.dumps(known))
    notes = Evaluation([small_run, tmp_path / "cousin"]).notes
    assert len(notes) == 1 and notes[0].startswith("cousin was trained on other data")


def test_a_crop_of_training_does_not_limit_the_size(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "cropped")
    with open(tmp_path / "cropped" / "run.cfg", "a") as file:
        file.write("--load_size=72\n")
    assert Evaluation([tmp_path / "cropped"], image_size=64).config.image_size == (64, 64)


@few_metrics()
def test_a_metric_of_sets_is_measured_of_pairs_when_asked(
    small_run, narrow_vgg, tmp_path
):
    made = Evaluation(
        [small_run],
        output_dir=tmp_path / "out",
        metrics=["kid_vgg"],
        vgg_weights=str(narrow_vgg),
    )
    record = made.run()
    for column in (record["metrics"], *record["baselines"].values()):
        low, high = column["kid_vgg"]["ci95"]
        assert low <= column["kid_vgg"]["mean"] <= high
    assert "kid_vgg" not in rows(tmp_path / "out")[0]
    assert "KID, VGG" in (tmp_path / "out" / "index.html").read_text()


@few_metrics()
def test_images_are_ordered_by_a_metric_that_is_measured_for_it(
    small_run, narrow_vgg, tmp_path
):
    settings = {"output_dir": tmp_path / "out", "vgg_weights": str(narrow_vgg)}
    made = Evaluation([small_run], rank_by="vgg_distance", **settings)
    record = made.run()
    assert "vgg_distance" in record["metrics"]
    # The worst is the farthest.
    page = (tmp_path / "out" / "index.html").read_text()
    order = re.findall(r"<h3>(test-\d)</h3>", page)
    distances = {r["name"]: float(r["vgg_distance"]) for r in rows(tmp_path / "out")}
    assert order[:4] == sorted(distances, key=distances.get, reverse=True)


def test_a_log_loss_of_pairs_needs_enough_images(small_run):
    with pytest.raises(ValueError, match="takes 8 or more in every list"):
        Evaluation([small_run], metrics=["attribute_log_loss"])


def test_somebody_elses_metrics_are_not_written_over(small_run, tmp_path):
    (tmp_path / "metrics.json").write_text('{"accuracy": 1}')
    with pytest.raises(ValueError, match=r"holds files but no metrics\.json of ours"):
        Evaluation([small_run], output_dir=tmp_path)
    with pytest.raises(ValueError, match=r"--metrics must be a list\. Received: 'psnr'"):
        Evaluation([small_run], metrics="psnr")
    with pytest.raises(ValueError, match=r"--metrics must be a list\. Received: 3"):
        Evaluation([small_run], metrics=3)


def test_a_metric_that_fails_on_real_outputs_is_a_sentence(
    small_run, tmp_path, monkeypatch
):
    def lost(reference, prediction):
        return tf.reduce_mean(tf.cast(prediction, tf.float32), (1, 2, 3)) * np.nan

    # Tried on noise, it was a number.
    monkeypatch.setattr("pan_tf.evaluation.evaluate.check_functions", lambda *given: None)
    row = Metric("Odd", function=lost, is_usual=False)
    for table in (METRICS, ROWS):
        monkeypatch.setitem(table, "psnr", row)
    _comparison.cache_clear()
    flags = f"--run_dir={small_run}", f"--output_dir={tmp_path / 'report'}"
    message = refused("evaluate", *flags, "--metrics=psnr")
    _comparison.cache_clear()
    assert message.startswith("\nThe metric 'psnr' is nan for")


def test_a_misspelt_metric_is_refused_before_anything_is_opened():
    with pytest.raises(ValueError, match=r"--metrics must be some of: .*vgg_distance"):
        Evaluation(["nowhere"], metrics=["vgg_distnace"])


def test_no_report_takes_anothers_folder(small_run, other_run):
    asked = [
        Evaluation([small_run]),
        Evaluation([small_run], checkpoint="last"),
        Evaluation([small_run], preprocess="crop"),
        Evaluation([small_run, other_run]),
        Evaluation([small_run, other_run], checkpoint="last"),
        Evaluation([small_run, other_run], preprocess="crop"),
    ]
    assert len({evaluation.output_dir for evaluation in asked}) == len(asked)
    assert asked[0].output_dir == Evaluation([small_run]).output_dir


def test_a_test_folder_alone_is_measured_beside_what_needs_no_training(
    evaluated, small_run, small_pairs, tmp_path
):
    new, out = tmp_path / "new", tmp_path / "out"
    shutil.copytree(small_pairs / "test", new / "test")
    made = Evaluation([small_run], dataset="folder", data_dir=new, output_dir=out).run()
    whole, _ = evaluated
    assert made["metrics"] == whole["metrics"] and made["native"] == whole["native"] | {
        key: made["native"][key] for key in ("baselines", "sentences")
    }
    assert made["baselines"] == {"copy_input": whole["baselines"]["copy_input"]}
    (mentioned,) = [note for note in made["notes"] if "baselines" in note]
    assert str(new) in mentioned
    assert "colour table" not in " ".join(made["sentences"])


def test_a_test_folder_alone_does_not_do_where_something_is_trained(
    small_run, small_pairs, tmp_path
):
    for side in "AB":
        shutil.copytree(small_pairs / "test", tmp_path / f"test{side}")
    alone = {"dataset": "folder", "data_dir": tmp_path}
    with pytest.raises(ValueError, match=r"Nothing to train on.* without pairs"):
        Evaluation([small_run], unpaired=True, **alone)
    with pytest.raises(ValueError, match="--metrics=attribute_log_loss trains"):
        Evaluation([small_run], metrics=["attribute_log_loss"], **alone)
    nothing = alone | {"data_dir": tmp_path / "nothing"}
    with pytest.raises(DatasetNotFoundError, match=r"No train/.*, nor testA/ and testB/"):
        Evaluation([small_run], **nothing)


def test_the_watched_split_is_called_optimistic_of_an_export_too(exported, small_pairs):
    data = {"dataset": "folder", "data_dir": str(small_pairs)}
    notes = {
        split: Evaluation([], [exported[1]], split=split, output_dir="none", **data).notes
        for split in ("val", "test")
    }
    assert "optimistic" in notes["val"][0] and not notes["test"]


def test_another_data_set_is_not_looked_for_among_the_run_s_own_images(small_run):
    evaluation = Evaluation([small_run], dataset="bluemarble")
    assert evaluation.data.name == "bluemarble"


def test_a_run_by_another_name_is_the_same_run(small_run, tmp_path):
    (tmp_path / "link").symlink_to(small_run)
    with pytest.raises(ValueError, match="Each run once"):
        Evaluation([small_run, tmp_path / "link"], output_dir=tmp_path / "out")
