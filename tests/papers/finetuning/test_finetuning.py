"""VGG* learns classes, goes on where it was, and is taken by --vgg_weights."""

import json
import pathlib
import shutil
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import distribution
from pan_tf import networks
from pan_tf.data import DatasetNotFoundError
from pan_tf.networks import vgg
from pan_tf.papers.finetuning import labeled
from pan_tf.papers.finetuning.finetuning import Finetuning
from pan_tf.papers.finetuning.settings import Settings
from pan_tf.runs import lock
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.guards import NonFiniteError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Two classes that their colour tells, images of any shape."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("classes")
    for split, count in (("train", 6), ("val", 3)):
        for name, level in (("dark", 30), ("bright", 220)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(
                    level - 20, level + 20, (40, 48 + i, 3), np.uint8
                )
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


def settings(data_dir, narrow_vgg, **changes):
    given = {
        "dataset": "folder",
        "data_dir": str(data_dir),
        "vgg": "vgg16",
        "vgg_weights": str(narrow_vgg),
        "image_size": 32,
        "batch_size": 4,
        "iterations": 4,
        "save_every": 2,
        "log_every": 2,
    }
    return Settings(**given | changes)


def finetune(chosen, run_dir, stop_after=None, strategy=None):
    """Trains, on one device by default, and is asked to stop after so many iterations."""
    stop = types.SimpleNamespace(requested=False)
    with pytest.MonkeyPatch.context() as patch:
        strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
        patch.setattr(distribution, "make_strategy", lambda: strategy)
        made = Finetuning(chosen, run_dir, stop)
        if stop_after:
            append = made.folder.append_metrics

            def stopping(row):
                append(row)
                stop.requested = row["iteration"] >= stop_after

            patch.setattr(made.folder, "append_metrics", stopping)
        made.run()
        return made


def lines(made):
    """metrics.jsonl without what depends on the clock."""
    timing = {"images_per_second", "data_wait", "memory_gib"}
    return [
        {name: value for name, value in row.items() if name not in timing}
        for row in made.folder.read_metrics()
    ]


@pytest.fixture(scope="module")
def straight(data_dir, narrow_vgg, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "straight"
    return finetune(settings(data_dir, narrow_vgg), run_dir)


def stored(path):
    return networks.check_vgg_weights(path, "vgg16")


def test_weights_are_taken_by_vgg_weights_and_differ(straight, narrow_vgg):
    made = straight
    assert made.weights_path.name == "vgg16_star.weights.h5"
    before, after = stored(narrow_vgg), stored(made.weights_path)
    assert len(after) == 26
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    encoder = networks.vgg_encoder("vgg16", True, str(made.weights_path), 32)
    assert np.isfinite(encoder(np.zeros((1, 32, 32, 3), np.float32))[-1]).all()


def test_interrupted_and_resumed_is_straight(straight, data_dir, narrow_vgg, tmp_path):
    chosen = settings(data_dir, narrow_vgg)
    first = finetune(chosen, tmp_path / "run", stop_after=2)
    assert lines(first)[-1]["iteration"] == 2
    again = finetune(chosen, tmp_path / "run")
    assert lines(again) == lines(straight)
    ours, theirs = stored(again.weights_path), stored(straight.weights_path)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_what_is_being_written_is_waited_for_whatever_ends_it(
    data_dir, narrow_vgg, tmp_path, monkeypatch
):
    write = Checkpoints._write

    def slow(checkpoints, *arguments, **texts):
        time.sleep(1.0)
        write(checkpoints, *arguments, **texts)

    def fail(*arguments):
        raise OSError("no space")

    monkeypatch.setattr(Checkpoints, "_write", slow)
    monkeypatch.setattr(networks, "save_vgg_weights", fail)
    with pytest.raises(OSError, match="no space"):
        finetune(settings(data_dir, narrow_vgg), tmp_path / "run")
    assert RunFolder(tmp_path / "run").last_iteration() == 2


# Half a minute. Other trainings' tests have replicas; here it is Keras' own `fit`.
@pytest.mark.slow
def test_two_replicas_do_what_one_does(data_dir, narrow_vgg, tmp_path, two_replicas):
    """Of one image a replica and an update; the head, which is drawn, is the same."""
    chosen = settings(
        data_dir, narrow_vgg, iterations=1, batch_size=2, log_every=1, save_every=1
    )
    one, two = (
        finetune(chosen, tmp_path / name, strategy=strategy)
        for name, strategy in (("one", None), ("two", two_replicas))
    )
    losses = [lines(made)[0]["loss"] for made in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    before = stored(narrow_vgg)
    pairs = zip(stored(one.weights_path), stored(two.weights_path), before, strict=True)
    for ours, theirs, began in pairs:
        step = np.abs(ours - began).max()
        assert step > 0.0 and np.abs(ours - theirs).max() < 1e-3 * step + 1e-9


def test_it_learns_what_can_be_learnt(data_dir, narrow_vgg, tmp_path):
    """A head alone at a rate that would not do for convolutions."""
    chosen = settings(
        data_dir, narrow_vgg, iterations=40, save_every=40, learning_rate=0.02
    )
    line = lines(finetune(chosen, tmp_path / "run"))[-1]
    assert line["val_accuracy"] == 1.0 and line["val_loss"] < 0.6


def test_other_settings_and_data_are_refused(straight, data_dir, narrow_vgg):
    run_dir = straight.folder.path
    with pytest.raises(RunFolderError, match=r"--momentum: 0\.9 there, 0\.5 now"):
        finetune(settings(data_dir, narrow_vgg, momentum=0.5), run_dir)
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert manifest["data"]["classes"] == 2
    assert "dense layers random" in manifest["vgg"]["began_with"]


def test_the_run_folder_is_that_of_a_training(straight, data_dir):
    names = {path.name for path in straight.folder.path.iterdir()} - {lock.NAME}
    assert names == {
        *("run.cfg", "manifest.json", "metrics.jsonl", "checkpoints", "logs"),
        "vgg16_star.weights.h5",
    }
    again = Settings.from_flagfile(straight.folder.path / "run.cfg")
    assert again == straight.settings
    assert [row["iteration"] for row in lines(straight)] == [2, 2, 4, 4]


def test_a_loss_that_is_not_finite_stops_it_and_nothing_is_saved(
    data_dir, narrow_vgg, tmp_path
):
    chosen = settings(data_dir, narrow_vgg, learning_rate=1e30)
    with pytest.raises(NonFiniteError, match=r"Nothing was saved yet. Try a lower --l"):
        finetune(chosen, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.h5"))


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="No train/ in --data_dir"):
        labeled.open_folder(tmp_path)
    (tmp_path / "train" / "only").mkdir(parents=True)
    with pytest.raises(ValueError, match="two folders of images or more"):
        labeled.open_folder(tmp_path)
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(ValueError, match=r"No \.png, .* in .*empty"):
        labeled.open_folder(tmp_path)


def test_validation_has_the_classes_of_training(data_dir, tmp_path):
    (tmp_path / "train").symlink_to(data_dir / "train")
    (tmp_path / "val" / "dark").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"must have the classes of train/.*bright"):
        labeled.open_folder(tmp_path)


def test_hidden_folders_are_no_classes(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "sets")
    for left in ("train/.ipynb_checkpoints", "val/.cache"):
        (tmp_path / "sets" / left).mkdir(parents=True)
    image = next((data_dir / "train" / "dark").iterdir())
    shutil.copy(image, tmp_path / "sets" / "train" / ".ipynb_checkpoints")
    train, _ = labeled.open_folder(tmp_path / "sets")
    assert train.classes == ("bright", "dark")


def test_imagenet_that_is_not_there_says_how_to_prepare_it(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"ILSVRC2012_img_train\.tar"):
        labeled.open_imagenet(tmp_path)


def test_imagenets_records_are_read(monkeypatch):
    def record(label):
        encoded = tf.io.encode_png(np.full((8, 9, 3), label, np.uint8)).numpy()
        features = {
            "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return example.SerializeToString()

    monkeypatch.setattr(labeled.records, "open_split", lambda *_: [record(3), record(7)])
    monkeypatch.setattr(labeled.records, "fingerprint", lambda info: "imagenet")
    feature = types.SimpleNamespace(num_classes=1000)
    info = types.SimpleNamespace(features={"label": feature})
    found = labeled._records_split(types.SimpleNamespace(info=info), "train")
    assert found.size == 2 and len(found.classes) == 1000
    image, label = found.load(tf.constant(1, tf.int64))
    assert image.shape == (8, 9, 3) and int(image[0, 0, 0]) == int(label) == 7


def test_training_images_keep_their_aspect(data_dir):
    train, _ = labeled.open_folder(data_dir)
    assert train.classes == ("bright", "dark")  # As folders are sorted.
    pixels, labels = next(iter(labeled.training_batches(train, 32, 12, 1, 0)))
    assert pixels.shape == (12, 32, 32, 3) and sorted(labels.numpy()) == [0] * 6 + [1] * 6
    # By their class, so image and label belong together.
    assert np.array_equal(pixels.numpy().mean((1, 2, 3)) < 0, labels.numpy() == 1)
    wide = labeled._shorter_side(tf.zeros((40, 80, 3), tf.uint8), 224)
    assert wide.shape == (256, 512, 3)


def test_the_head_of_vgg_has_its_shapes(monkeypatch):
    monkeypatch.setitem(vgg.APPLICATIONS, "vgg16", keras.applications.VGG16)
    model = networks.vgg_classifier("vgg16", True, 10, "vgg", 32)
    own = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=10)
    assert [w.shape for w in model.weights if "seed" not in w.path] == [
        w.shape for w in own.weights
    ]
    assert model.get_layer("fc1").activation.__name__ == "leaky_relu"
    pools = [layer for layer in model.layers if "pool" in layer.name]
    assert all(isinstance(pool, keras.layers.AveragePooling2D) for pool in pools)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 100}, "--image_size must be a multiple of 32"),
        ({"image_size": 128}, "--image_size must be 224, or --vgg_weights"),
        ({"momentum": 1.0}, "--momentum must be at least 0 and below 1"),
        ({"learning_rate": -1.0}, "--learning_rate must be at least 0"),
        ({"iterations": 0}, "--iterations must be at least 1"),
    ],
)
def test_settings_that_are_not_legal_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


def test_a_broken_file_is_named_before_training(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "data")
    broken = tmp_path / "data" / "train" / "dark" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"Unreadable: .*dark/0\.png"):
        labeled.open_folder(tmp_path / "data")


def test_a_rerun_of_a_finished_run_gives_the_weights_back(
    straight, data_dir, narrow_vgg, tmp_path
):
    shutil.copytree(straight.folder.path, tmp_path / "run")
    lost = tmp_path / "run" / straight.weights_path.name
    before = lost.read_bytes()
    lost.unlink()
    made = finetune(settings(data_dir, narrow_vgg), tmp_path / "run")
    assert lines(made) == lines(straight) and made.weights_path == lost
    assert len(lost.read_bytes()) == len(before)


def test_a_foreign_folder_is_not_written_into(data_dir, narrow_vgg, tmp_path):
    pathlib.Path(tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"--run_dir=.* holds files but no run\.cfg"):
        finetune(settings(data_dir, narrow_vgg), tmp_path)


def test_after_a_failure_of_which_nothing_was_saved_other_flags_begin(
    data_dir, narrow_vgg, tmp_path
):
    with pytest.raises(NonFiniteError, match="Try a lower --learning_rate"):
        finetune(settings(data_dir, narrow_vgg, learning_rate=1e30), tmp_path / "run")
    made = finetune(settings(data_dir, narrow_vgg), tmp_path / "run")
    assert made.weights_path.exists()


def test_a_signal_before_there_is_something_to_save_ends_it(
    data_dir, narrow_vgg, tmp_path
):
    stop = types.SimpleNamespace(requested=False, at_once=False)
    Finetuning(settings(data_dir, narrow_vgg), tmp_path / "run", stop)
    assert stop.at_once


def test_several_workers_are_refused_before_they_are_waited_for(
    data_dir, narrow_vgg, tmp_path, monkeypatch
):
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}}
    task = {"task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster | task))
    with pytest.raises(ValueError, match="one machine: no TF_CONFIG"):
        finetune(settings(data_dir, narrow_vgg), tmp_path / "run")


def test_files_that_were_decoded_before_are_not_again(data_dir, monkeypatch):
    found = labeled.open_folder(data_dir)
    known = [split.fingerprint for split in found]
    read = []
    monkeypatch.setattr(labeled, "_problem", read.append)
    again = labeled.open_folder(data_dir, known)
    assert [split.fingerprint for split in again] == known and not read
    labeled.open_folder(data_dir, known[:1])
    assert len(read) == 6 and all("val" in file.parts for file in read)
