"""One T, one image: from the best and the last checkpoint, from a SavedModel."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import inference
from pan_tf import recipes
from pan_tf.checkpoints import Checkpoints
from pan_tf.checkpoints import RunState
from pan_tf.config import Config
from pan_tf.run_folder import RunFolder


@pytest.fixture(scope="module")
def source():
    random = np.random.default_rng(0)
    return tf.constant(random.uniform(-1, 1, (2, 64, 64, 3)), tf.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, source):
    """(run folder, image of its best, image of its last, T); T keeps an average."""
    run_dir = tmp_path_factory.mktemp("run") / "run"
    config = Config(image_size=64, width=1 / 64, ema=0.9, best_by="uqi")
    model = recipes.build(config)
    RunFolder(run_dir).start(config, {"name": "x", "fingerprint": "f"}, [])
    checkpoints = Checkpoints(run_dir / "checkpoints", model, RunState(model), 3)
    images = []
    for iteration in (8, 12):
        for variable in model.deployed.variables:
            if variable.path.endswith("kernel"):
                noise = tf.random.stateless_normal(variable.shape, (1, iteration))
                variable.assign_add(noise / 9)
        model.iteration = iteration
        images.append(model.translate_pixels(source).numpy())
        checkpoints.save()
        if iteration == 8:
            checkpoints.save_best()
    assert (images[0] != images[1]).any()
    return run_dir, *images, model.deployed


def test_best_and_last_are_what_training_would_have_shown(trained, source):
    run_dir, best, last, _ = trained
    found = inference.load_run(run_dir)
    assert (found.translate(source).numpy() == best).all()
    assert found.checkpoint == {"kind": "best", "chosen_by": "uqi", "iteration": 8}
    found = inference.load_run(run_dir, "last")
    assert (found.translate(source).numpy() == last).all()
    assert found.checkpoint == {"kind": "last", "chosen_by": None, "iteration": 12}


def test_a_run_without_a_best_says_so(trained, source, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    shutil.rmtree(run_dir / "checkpoints" / "best")
    found = inference.load_run(run_dir)
    assert found.checkpoint["kind"] == "last" and "no best" in found.checkpoint["note"]
    assert (found.translate(source).numpy() == trained[2]).all()


def test_a_saved_model_gives_the_same_image(trained, source, tmp_path):
    trained[3].export(str(tmp_path / "exported"), verbose=False)
    found = inference.load_saved_model(tmp_path / "exported")
    assert (found.translate(source).numpy() == trained[2]).all()


def test_a_saved_model_of_pixels_is_fed_pixels(source, tmp_path):
    class Negative(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
        def __call__(self, pixels):
            return {"output": 255 - pixels}

    tf.saved_model.save(Negative(), str(tmp_path / "negative"))
    found = inference.load_saved_model(tmp_path / "negative")
    plain = tf.cast(tf.round((source + 1) * 127.5), tf.uint8)
    assert (found.translate(source) == 255 - plain).numpy().all()


def test_other_signatures_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.export(str(tmp_path / "dense"), verbose=False)
    with pytest.raises(ValueError, match="one float32 or uint8 image batch"):
        inference.load_saved_model(tmp_path / "dense")


def test_what_is_not_there_is_named(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No run\.cfg in .*nowhere"):
        inference.load_run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"No saved_model\.pb in .*nowhere"):
        inference.load_saved_model(tmp_path / "nowhere")
    untrained = tmp_path / "untrained"
    untrained.mkdir()
    shutil.copy(trained[0] / "run.cfg", untrained)
    with pytest.raises(FileNotFoundError, match=r"No checkpoint in .*untrained"):
        inference.load_run(untrained, "last")


def test_a_damaged_checkpoint_is_refused(trained, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    (shard,) = (run_dir / "checkpoints" / "best").glob("*.data-*")
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(OSError, match="transformer-8 is damaged"):
        inference.load_run(run_dir)
