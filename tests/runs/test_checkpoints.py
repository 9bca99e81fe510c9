import logging
import os
import pathlib
import shutil
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import files
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.checkpoints import best_is_chosen_by
from pan_tf.runs.checkpoints import damage
from pan_tf.runs.checkpoints import newest
from pan_tf.runs.checkpoints import newest_best
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.snapshot import Snapshot
from tests.disk import limited_files


@pytest.fixture(scope="module")
def model():
    config = Config(dataset="bluemarble", image_size=64, width=1 / 64)
    return recipes.build(config)


@pytest.fixture
def saved(model, tmp_path):
    """Checkpoints at iterations 4, 8 and 12; layer_1's bias holds the iteration."""
    state = RunState(model)
    checkpoints = Checkpoints(tmp_path, model, state, keep=3)
    for iteration in (4, 8, 12):
        model.iteration = iteration
        state.best = iteration / 2
        state.window = {"t_adversarial": [0.1 + iteration, 3]}
        bias(model).assign([float(iteration)])
        checkpoints.save()
    model.iteration = 0
    bias(model).assign([-1.0])
    return checkpoints


def bias(model):
    return model.transformer.get_layer("layer_1").bias


def resume(model, folder):
    state = RunState(model)
    return Checkpoints(folder, model, state, keep=3).resume(), state


def data_file(folder, iteration):
    (file,) = pathlib.Path(folder).glob(f"ckpt-{iteration}.data-*")
    return file


def test_newest_is_resumed_with_its_state(model, saved, tmp_path):
    iteration, state = resume(model, tmp_path)
    assert iteration == model.iteration == 12
    assert state.best == 6.0
    assert state.window == {"t_adversarial": [12.1, 3]}
    assert bias(model).numpy().tolist() == [12.0]


@pytest.mark.parametrize("harm", ["truncated", "emptied", "flipped", "missing"])
def test_damaged_newest_gives_way_to_the_one_before(model, saved, tmp_path, harm, caplog):
    file = data_file(tmp_path, 12)
    contents = bytearray(file.read_bytes())
    if harm == "missing":
        file.unlink()
    else:
        contents[len(contents) // 2] ^= 0xFF
        lengths = {"truncated": len(contents) // 2, "emptied": 0, "flipped": None}
        file.write_bytes(contents[: lengths[harm]])
    with caplog.at_level(logging.WARNING, logger="absl"):
        iteration, _ = resume(model, tmp_path)
    assert iteration == 8 and bias(model).numpy().tolist() == [8.0]
    assert "ckpt-12 is damaged" in caplog.text


@pytest.mark.parametrize("contents", [None, b"", bytes(80), b"\xff\xfe\n", b"model_ch"])
def test_without_tensorflows_list_they_are_found_by_their_names(
    model, saved, tmp_path, contents
):
    if contents is None:
        (tmp_path / "checkpoint").unlink()
    else:
        (tmp_path / "checkpoint").write_bytes(contents)
    (tmp_path / "ckpt-20 (copy).index").touch()
    assert resume(model, tmp_path)[0] == 12
    assert newest(tmp_path).endswith("ckpt-12")
    model.iteration = 16
    Checkpoints(tmp_path, model, RunState(model), keep=3).save()
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("ckpt-16")
    assert not list(tmp_path.glob("ckpt-4.*")) and list(tmp_path.glob("ckpt-8.*"))


def test_a_damaged_checkpoint_is_kept_by_another_name(model, saved, tmp_path):
    data_file(tmp_path, 12).write_bytes(b"")
    assert resume(model, tmp_path)[0] == 8
    assert len(list(tmp_path.glob("damaged-ckpt-12.*"))) == 2
    # One that comes before it is the newest, and stays.
    model.iteration = 10
    Checkpoints(tmp_path, model, RunState(model), keep=1).save()
    assert newest(tmp_path).endswith("ckpt-10") and resume(model, tmp_path)[0] == 10


def test_a_half_written_checkpoint_is_cleared_away(model, saved, tmp_path):
    (tmp_path / "ckpt-16_temp").mkdir()
    (tmp_path / "ckpt-16_temp" / "part-00000-of-00001.data").write_bytes(b"half")
    assert resume(model, tmp_path)[0] == 12
    assert not (tmp_path / "ckpt-16_temp").exists()


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_full_disk_leaves_no_half_checkpoint(model, saved, tmp_path, size):
    """Files may grow to some bytes: first the index, then the data are too large."""
    before = sorted(tmp_path.rglob("*"))
    model.iteration = 16
    with limited_files(size):
        with pytest.raises(tf.errors.OpError):
            saved.save()
        with pytest.raises(tf.errors.OpError):
            saved.save_best("psnr")
    assert [p for p in sorted(tmp_path.rglob("*")) if p.name != "best"] == before
    assert resume(model, tmp_path)[0] == 12


def test_a_folder_that_is_gone_is_not_made_again(model, tmp_path):
    folder = tmp_path / "checkpoints"
    checkpoints = Checkpoints(folder, model, RunState(model), keep=3)
    checkpoints.save()
    shutil.rmtree(folder)
    for save in (checkpoints.save, lambda: checkpoints.save_best("psnr")):
        with pytest.raises(files.TroubleError, match="checkpoints is gone"):
            save()
    assert not folder.exists()


def test_what_is_written_later_is_as_it_was_when_it_was_saved(model, tmp_path):
    held = threading.Event()
    checkpoints = Checkpoints(tmp_path, model, RunState(model), keep=3)
    write = checkpoints._write

    def late(*arguments):
        held.wait(10)
        write(*arguments)

    checkpoints._write = late
    model.iteration = 4
    bias(model).assign([4.0])
    checkpoints.save(wait=False)
    assert newest(tmp_path) is None  # Training goes on.
    model.iteration = 5
    bias(model).assign_add([1.0])
    held.set()
    checkpoints.settle()
    assert resume(model, tmp_path)[0] == 4
    assert bias(model).numpy() == [4.0]


@pytest.mark.parametrize("recipe", ["pan_plus", "cyclegan"])
def test_files_are_those_that_tensorflow_would_write(recipe, two_replicas, tmp_path):
    config = Config(dataset="bluemarble", recipe=recipe, image_size=64, width=1 / 64)
    with two_replicas.scope():
        model = recipes.build(config)
    state = RunState(model)
    Checkpoints(tmp_path / "ours", model, state, keep=1).save()
    theirs = tf.train.Checkpoint(state=state, **model.saved_parts())
    theirs.write(str(tmp_path / "theirs"))
    paths = tmp_path / "ours" / "ckpt-0", tmp_path / "theirs"
    readers = [tf.train.load_checkpoint(str(path)) for path in paths]
    shapes = [reader.get_variable_to_shape_map() for reader in readers]
    assert shapes[0].keys() - shapes[1].keys() <= {
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
    }
    assert not shapes[1].keys() - shapes[0].keys()
    for name in shapes[1].keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}:
        ours, there = (reader.get_tensor(name) for reader in readers)
        np.testing.assert_array_equal(ours, there, err_msg=name)


def test_a_snapshot_that_is_written_holds_no_tensors(model, tmp_path):
    checkpoint = tf.train.Checkpoint(**model.saved_parts())
    snapshot = Snapshot(checkpoint)
    tensors = [weakref.ref(each.value) for each in snapshot._values]
    assert len(tensors) > len(model.transformer.variables)
    snapshot.write(str(tmp_path / "ckpt"))
    assert not [reference for reference in tensors if reference() is not None]


def test_a_write_that_failed_is_told_by_the_next_look(model, saved, tmp_path):
    with limited_files(10000):
        saved.save(wait=False)
        with pytest.raises(tf.errors.OpError, match="File too large") as caught:
            while saved._writing is not None:
                saved.settle(wait=False)
    # Keras' loop takes that one for the end of the data.
    assert not isinstance(caught.value, tf.errors.OutOfRangeError)
    saved.save()
    assert damage(newest(tmp_path)) is None


def test_a_best_checkpoint_that_is_not_whole_has_no_name(
    model, saved, tmp_path, monkeypatch
):
    model.iteration = 12
    saved.save_best("psnr")
    first = newest_best(tmp_path)
    moved = os.replace

    def replace(source, target):
        if str(source).endswith(".index"):
            raise KeyboardInterrupt  # A kill before the last file is in its place.
        moved(source, target)

    model.iteration = 16
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace)
        saved.save_best("psnr")
    assert newest_best(tmp_path) == first and damage(first) is None
    saved.save_best("uqi")
    assert newest_best(tmp_path).endswith("-16")
    assert best_is_chosen_by(newest_best(tmp_path), "ssim") == "uqi"
    assert {p.stem for p in (tmp_path / "best").iterdir()} == {"transformer-16"}


def test_nothing_is_restored_from_nothing(model, tmp_path):
    assert resume(model, tmp_path)[0] == 0


def test_all_damaged_is_an_error_and_not_a_new_start(model, saved, tmp_path):
    for iteration in (4, 8, 12):
        data_file(tmp_path, iteration).write_bytes(b"")
    with pytest.raises(RunFolderError, match="None of the 3 checkpoints") as error:
        resume(model, tmp_path)
    assert str(error.value).startswith(f"--run_dir={tmp_path.parent}: ")


def test_only_so_many_are_kept(model, saved, tmp_path):
    model.iteration = 16
    saved.save()
    assert len(list(tmp_path.glob("ckpt-*.index"))) == 3
    assert damage(str(tmp_path / "ckpt-16")) is None


@pytest.mark.parametrize(
    "name", ["pan[lr=2e-4]", "pan*", "p?n", "pan\\", "{a,b}", "写真"]
)
def test_a_folder_is_never_a_pattern(model, tmp_path, name):
    # What a pattern would find in place of the folder, or beside it.
    others = [tmp_path / other for other in ("panl", "pan2", "pxn", "pan", "a", "b")]
    for place in (*others, tmp_path / name):
        checkpoints = Checkpoints(place, model, RunState(model), keep=1)
        for iteration in (4, 8):
            model.iteration = iteration
            bias(model).assign([float(iteration)])
            checkpoints.save()
            checkpoints.save_best("psnr")
            if place.name != name:
                break
    bias(model).assign([-1.0])
    assert resume(model, tmp_path / name)[0] == 8
    assert bias(model).numpy().tolist() == [8.0]
    assert checkpoints.load_best() == 8
    assert newest(tmp_path / name) == str(tmp_path / name / "ckpt-8")
    assert damage(newest(tmp_path / name)) is None
    kept = [sorted(p.name for p in each.glob("ckpt-*.index")) for each in others]
    assert kept == [["ckpt-4.index"]] * len(others)
    (own,) = (tmp_path / name).glob("ckpt-*.index")
    assert own.name == "ckpt-8.index"


def test_best_is_one_transformer_the_deployed_one(model, saved, tmp_path):
    deployed = model.ema_transformer.get_layer("layer_1").bias
    assert deployed is not bias(model)  # An average.
    for iteration in (4, 8):
        model.iteration = iteration
        deployed.assign([float(iteration)])
        saved.save_best("psnr")
    deployed.assign([0.0])
    discriminator = [np.array(v.numpy()) for v in model.discriminator.variables]
    assert saved.load_best() == 8
    assert deployed.numpy().tolist() == [8.0]
    assert len(list((tmp_path / "best").glob("*.index"))) == 1
    for before, now in zip(discriminator, model.discriminator.variables, strict=True):
        assert np.array_equal(before, now.numpy())


def test_a_best_that_somebody_took_is_told(model, saved, tmp_path, caplog):
    saved.save_best("psnr")
    assert saved.load_best() == model.iteration
    shutil.rmtree(tmp_path / "best")
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert saved.load_best() is None
    assert "The best checkpoint is gone" in caplog.text


def test_a_damaged_best_is_told_and_left_out(model, saved, tmp_path, caplog):
    saved.save_best("psnr")
    (shard,) = (tmp_path / "best").glob("*.data-*")
    contents = bytearray(shard.read_bytes())
    contents[len(contents) // 2] ^= 1
    shard.write_bytes(contents)
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert saved.load_best() is None
    assert "transformer-" in caplog.text and "is damaged" in caplog.text


def test_what_was_half_deleted_is_cleared_away(model, saved, tmp_path):
    (tmp_path / "ckpt-4.index").unlink()
    assert list(tmp_path.glob("ckpt-4.*"))
    assert resume(model, tmp_path)[0] == 12
    assert not list(tmp_path.glob("ckpt-4.*"))


def test_the_later_of_two_best_checkpoints_is_the_best(tmp_path):
    (tmp_path / "best").mkdir()
    for iteration in (9000, 10000):
        (tmp_path / "best" / f"transformer-{iteration}.index").touch()
    assert newest_best(tmp_path).endswith("transformer-10000")
    assert newest_best(tmp_path / "nowhere") is None


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_best_that_is_lost_is_noticed(model, saved, tmp_path, is_gone):
    assert not saved.has_best()
    model.iteration = 12
    saved.save_best("psnr")
    assert saved.has_best()
    (file,) = (tmp_path / "best").glob("*.data-*")
    file.unlink() if is_gone else file.write_bytes(b"")
    assert not saved.has_best() and saved.load_best() is None


def test_what_chose_the_best_is_known_after_resuming(model, tmp_path):
    state = RunState(model)
    state.best, state.best_by = 0.5, "uqi"
    model.iteration = 4
    Checkpoints(tmp_path, model, state, keep=1).save()
    _, resumed = resume(model, tmp_path)
    assert (resumed.best, resumed.best_by) == (0.5, "uqi")
