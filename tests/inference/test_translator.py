"""One T, one image: from the best and the last checkpoint, from a SavedModel."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import pan_tf
from pan_tf import inference
from pan_tf import memory
from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.inference import loaded
from pan_tf.inference import whole as module
from pan_tf.runs import training
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.folder import RunFolder
from tests.conftest import smooth_noise


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
        for variable in model.ema_transformer.variables:
            if variable.path.endswith("kernel"):
                noise = tf.random.stateless_normal(variable.shape, (1, iteration))
                variable.assign_add(noise / 9)
        model.iteration = iteration
        images.append(model.translate_pixels(source).numpy())
        checkpoints.save()
        if iteration == 8:
            checkpoints.save_best("uqi")
    assert (images[0] != images[1]).any()
    return run_dir, *images, model.ema_transformer


@pytest.fixture(scope="module")
def saved_model(trained, tmp_path_factory):
    """Folder of T as Keras exports it."""
    place = tmp_path_factory.mktemp("keras") / "mine"
    trained[3].export(str(place), verbose=False)
    return place


def test_a_best_that_a_training_replaces_meanwhile_is_looked_for_again(
    trained, source, tmp_path, monkeypatch
):
    run = shutil.copytree(trained[0], tmp_path / "run")
    best = run / "checkpoints" / "best"
    looked = loaded.damage

    def damage(prefix):
        if prefix.endswith("-8"):  # Now the training saves a better one.
            for file in best.iterdir():
                file.rename(best / file.name.replace("-8", "-12"))
        return looked(prefix)

    monkeypatch.setattr(loaded, "damage", damage)
    found = inference.Translator(run)
    assert found.checkpoint["iteration"] == 12
    assert (found.translate(source).numpy() == trained[1]).all()


def test_best_and_last_are_what_training_would_have_shown(trained, source):
    run_dir, best, last, _ = trained
    found = inference.Translator(run_dir)
    assert (found.translate(source).numpy() == best).all()
    assert found.checkpoint == {"kind": "best", "chosen_by": "uqi", "iteration": 8}
    found = inference.Translator(run_dir, "last")
    assert (found.translate(source).numpy() == last).all()
    assert found.checkpoint == {"kind": "last", "chosen_by": None, "iteration": 12}


def test_a_run_without_a_best_says_so(trained, source, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    shutil.rmtree(run_dir / "checkpoints" / "best")
    found = inference.Translator(run_dir)
    assert found.checkpoint["kind"] == "last" and "no best" in found.checkpoint["note"]
    assert (found.translate(source).numpy() == trained[2]).all()


def test_a_saved_model_gives_the_same_image(trained, source, saved_model):
    found = inference.Translator(saved_model)
    assert (found.translate(source).numpy() == trained[2]).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x * np.nan, "gave an image of NaN or infinite values"),
        (lambda x: x / 0.0, "gave an image of NaN or infinite values"),
        (lambda x: x[:, ::2], "must give an image of its source's size"),
        (lambda x: x[..., :1][..., 0], "float32 .* -> float32"),
    ],
)
def test_what_is_no_image_is_refused(function, message, tmp_path):
    """Levels of NaN are black, and a half of an image is measured or written as one."""
    save_function(function, tmp_path / "odd")
    with pytest.raises(ValueError, match=rf"odd.*{message}"):
        inference.Translator(tmp_path / "odd")(np.ones((8, 8, 3), np.uint8))


def test_values_of_another_range_are_told_once(tmp_path, caplog):
    save_function(lambda x: (x + 1.0) * 127.5, tmp_path / "pixels")
    translator = inference.Translator(tmp_path / "pixels")
    for _ in range(2):
        translator(np.full((8, 8, 3), 200, np.uint8))
    assert caplog.text.count("gave values up to 200: those outside [-1, 1]") == 1


def save_function(function, path):
    """A SavedModel of somebody's, of float32 images."""
    module = tf.Module()
    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    module.call = tf.function(function, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(path), signatures=module.call)


def test_a_saved_model_of_pixels_is_fed_pixels(source, tmp_path):
    class Negative(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
        def __call__(self, pixels):
            return {"output": 255 - pixels}

    tf.saved_model.save(Negative(), str(tmp_path / "negative"))
    found = inference.Translator(tmp_path / "negative")
    plain = tf.cast(tf.round((source + 1) * 127.5), tf.uint8)
    assert (found.translate(source) == 255 - plain).numpy().all()


def test_other_signatures_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.export(str(tmp_path / "dense"), verbose=False)
    with pytest.raises(ValueError, match=r"from one image batch .*float32 \(None, 4\)"):
        inference.Translator(tmp_path / "dense")


def test_what_is_not_there_is_named(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No run\.cfg in .*nowhere and no saved"):
        inference.Translator(tmp_path / "nowhere")
    (tmp_path / "exported" / "7").mkdir(parents=True)
    (tmp_path / "exported" / "7" / "saved_model.pb").touch()
    with pytest.raises(FileNotFoundError, match="Its versions are: 7"):
        inference.Translator(tmp_path / "exported")
    untrained = tmp_path / "untrained"
    untrained.mkdir()
    shutil.copy(trained[0] / "run.cfg", untrained)
    with pytest.raises(FileNotFoundError, match=r"No checkpoint in .*untrained"):
        inference.Translator(untrained, "last")


def test_a_damaged_checkpoint_is_refused(trained, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    (shard,) = (run_dir / "checkpoints" / "best").glob("*.data-*")
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(OSError, match="transformer-8 is damaged"):
        inference.Translator(run_dir)


@pytest.mark.parametrize("change", [{"width": 0.03125}, {"depth": 2}])
def test_a_system_of_another_t_than_the_checkpoints_is_named(small_run, change, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(small_run, run_dir)
    path = run_dir / "system.json"
    system = json.loads(path.read_text())
    arguments = system["transformer"]["arguments"]
    assert {*change} <= {*arguments} and not change.items() <= arguments.items()
    arguments.update(change)
    path.write_text(json.dumps(system))
    said = r"ckpt-\d+ does not fit the T of .*system\.json"
    with pytest.raises(ValueError, match=said) as caught:
        inference.Translator(run_dir, "last")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("geometry", {"preprocess": "foo"}, "A geometry that was kept"),
        ("images", {"source": {"chanels": 3}}, "What was kept of images"),
        ("images", {"source": {"channels": 3}}, "KeyError: 'target'"),
    ],
)
def test_what_was_kept_of_the_data_is_told_with_its_file(
    small_run, tmp_path, name, value, said
):
    run_dir = tmp_path / "run"
    shutil.copytree(small_run, run_dir)
    folder = RunFolder(run_dir)
    folder.note("data", folder.known_data() | {name: value})
    for use in (inference.Translator, go_on):
        with pytest.raises(ValueError, match=rf"manifest.json is damaged: {said}"):
            use(run_dir)


def go_on(run_dir):
    config = RunFolder(run_dir).config().replace(run_dir=str(run_dir))
    training.Training(config, training.StopRequest())


@pytest.mark.parametrize("place", ["variables.data-00000-of-00001", "variables.index"])
def test_a_damaged_saved_model_is_named(saved_model, place, tmp_path):
    shutil.copytree(saved_model, tmp_path / "mine")
    file = tmp_path / "mine" / "variables" / place
    file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(OSError, match=r"/mine is damaged: "):
        inference.Translator(tmp_path / "mine")


def test_a_tile_size_is_a_number(trained):
    translator = inference.Translator(trained[0])
    with pytest.raises(ValueError, match="--tile_size must be a whole number"):
        translator.tiling(64, 64, "512")
    assert translator.tiling(64, 64, np.int64(0)) is None


LABEL = {
    "checkpoint": {"iteration": 4},
    "receptive_field": {"multiple": 4, "radius": 9},
    "max_pixels": 4096,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"checkpoint": {',
        "{}",
        "[]",
        json.dumps(LABEL | {"checkpoint": 4}),
        json.dumps(LABEL | {"receptive_field": {"radius": 9}}),
        json.dumps(LABEL | {"geometry": {"preprocess": "foo"}}),
        json.dumps(LABEL | {"images": {"source": {"channels": 3}}}),
        json.dumps(LABEL | {"images": 5}),
    ],
)
def test_a_damaged_label_is_named(saved_model, text, tmp_path):
    shutil.copytree(saved_model, tmp_path / "mine")
    (tmp_path / "mine" / "assets.extra").mkdir()
    (tmp_path / "mine" / "assets.extra" / "pan_tf.json").write_text(text)
    with pytest.raises(ValueError, match=r"pan_tf\.json is damaged: "):
        inference.Translator(tmp_path / "mine")


def pixels_of(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture(scope="module")
def translator(trained):
    return pan_tf.Translator(trained[0], scale="native")


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 200), (2, 3), (63, 65), (64, 64), (100, 130), (257, 31)]
)
def test_output_size_is_input_size(translator, size):
    output = translator(pixels_of(*size))
    assert output.shape == (*size, 3) and output.dtype == np.uint8


def test_a_whole_multiple_is_translated_as_it_is(translator, trained, source):
    pixels = tf.cast(tf.round((source + 1) * 127.5), tf.uint8).numpy()
    direct = translator.network(pixels / np.float32(127.5) - 1, training=False)
    expected = np.clip(np.round((direct.numpy() + 1) * 127.5), 0, 255)
    assert (translator(pixels) == expected).all()


def test_other_sizes_are_reflected_at_the_bottom_and_the_right(translator):
    pixels = pixels_of(40, 90)
    padded = np.pad(pixels, ((0, 24), (0, 38), (0, 0)), mode="reflect")
    assert (translator(pixels) == translator(padded)[:40, :90]).all()


def test_an_image_does_not_depend_on_its_neighbours(translator):
    batch = pixels_of(3, 64, 64)
    assert (translator(batch)[1] == translator(batch[1])).all()
    assert translator(batch[:0]).shape == (0, 64, 64, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(translator, wrong):
    with pytest.raises(ValueError, match=r"must be uint8 \[H, W, 3\]"):
        translator(wrong)


def test_images_of_several_sizes_are_called_for_one_by_one(translator):
    with pytest.raises(ValueError, match="images of several sizes; call it for each"):
        translator([pixels_of(64, 64), pixels_of(32, 64)])


def test_a_text_is_no_direction():
    with pytest.raises(ValueError, match=r"--inverse must be true or false\. .*'no'"):
        inference.Translator("runs/a", inverse="no")


def test_tiles_give_the_image_that_the_whole_gives(translator):
    pixels = smooth_noise(np.random.default_rng(1), 700, 1000)
    whole = translator(pixels, tile_size=0).astype(int)
    tiled = translator(pixels, tile_size=768).astype(int)
    # Halo of 192: as far as T looks.
    assert np.abs(tiled - whole).max() <= 1
    smaller = translator(pixels, tile_size=256).astype(int)
    assert np.abs(smaller - whole).mean() < 0.5


def test_large_images_are_tiled_by_themselves(translator):
    assert translator.tiling(1400, 1400) is None
    assert translator.tiling(1500, 1500).tile_size == 1024
    assert translator.tiling(1500, 1500, tile_size=0) is None
    with pytest.raises(ValueError, match="--tile_size must be a multiple of 64"):
        translator.tiling(10, 10, tile_size=300)


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, "too much"),
        tf.errors.AbortedError(
            None,
            None,
            "Operation received an exception:Status: 1, message: could not create a "
            "primitive, in file tensorflow/core/kernels/mkl/mkl_conv_ops.cc:546",
        ),
    ],
    ids=["TensorFlow", "oneDNN"],
)
def test_out_of_memory_is_tried_again_with_smaller_tiles(
    trained, monkeypatch, caplog, error
):
    translator = pan_tf.Translator(trained[0], scale="native")
    translate, sizes = translator._whole.floats, []

    def limited(source):
        sizes.append(source.shape[1])
        if source.shape[1] > 256:
            raise error
        return translate(source)

    pixels = smooth_noise(np.random.default_rng(2), 1100, 300)
    expected = translator(pixels, tile_size=256)
    monkeypatch.setattr(translator._whole, "floats", limited)
    assert (translator(pixels) == expected).all()
    assert sizes[:3] == [1100, 512, 256]
    assert "too little memory as a whole; tiles of 512 px" in caplog.text

    def hopeless(source):
        raise MemoryError

    monkeypatch.setattr(translator._whole, "floats", hopeless)
    with pytest.raises(MemoryError, match="300 x 300 pixels are too many"):
        translator(pixels_of(300, 300))


def test_what_memory_cannot_hold_is_not_tried(translator, monkeypatch, caplog):
    pixels = smooth_noise(np.random.default_rng(2), 600, 600)
    expected = translator(pixels, tile_size=256)
    need = networks.activation_bytes(translator.network)
    monkeypatch.setattr(module, "available_bytes", lambda: 300**2 * need)
    output, tiling = translator.translate_image(pixels, tile_size=0)
    assert tiling.tile_size == 256 and (output == expected).all()
    assert "too little memory as a whole; tiles of 256 px" in caplog.text
    # Nothing smaller is legal: the estimate is not believed.
    monkeypatch.setattr(module, "available_bytes", lambda: 0)
    output, tiling = translator.translate_image(pixels[:300, :300], tile_size=0)
    assert tiling is None and output.shape == (300, 300, 3)


def test_available_memory_is_the_smaller_of_machine_and_container(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_bytes() is None
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\nMemAvailable:  7 kB\n")
    assert memory.available_bytes() == 7 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("")
    assert memory.available_bytes() == 7 * 1024
    (tmp_path / "memory.stat").write_text("anon 9\nactive_file 20\ninactive_file 300\n")
    (tmp_path / "memory.max").write_text("3000\n")
    assert memory.available_bytes() == 2320


def test_what_the_process_may_still_map_is_what_is_left(monkeypatch, tmp_path):
    statm = tmp_path / "statm"
    statm.write_text("100 50 20 1 0 30 0\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "away")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_STATM", statm)
    page = os.sysconf("SC_PAGE_SIZE")
    for limit, left in ((300 * page, 200 * page), (60 * page, 0)):
        monkeypatch.setattr(memory.resource, "getrlimit", lambda _, it=limit: (it, it))
        assert memory.available_bytes() == left
    infinite = memory.resource.RLIM_INFINITY
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (infinite, infinite))
    assert memory.available_bytes() is None


def statistics_run(trained, tmp_path, statistics):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    with open(run_dir / "run.cfg", "a") as file:
        file.write(f"--statistics={statistics}\n")
    return pan_tf.Translator(run_dir)


def test_statistics_of_the_image_are_those_of_a_batch_of_one(trained, tmp_path):
    """What papers get that test in training mode, one image at a time."""
    # T's innermost layer has four positions: of one there are no statistics.
    source = tf.random.stateless_uniform((2, 128, 128, 3), (0, 1), -1, 1)
    translator = statistics_run(trained, tmp_path, "image")
    network = translator.network
    together = network(source, training=False)
    for i in range(2):
        alone = network(source[i : i + 1], training=False)[0]
        np.testing.assert_allclose(alone, together[i], atol=1e-5)
    moving = {v.path: v.numpy() for v in network.non_trainable_variables}
    trains = network(source[:1], training=True)
    np.testing.assert_allclose(network(source[:1], training=False), trains, atol=2e-5)
    assert any(
        (moving[v.path] != v.numpy()).any() for v in network.non_trainable_variables
    )


def test_the_default_of_pan_is_moving_averages(trained, tmp_path, source):
    assert recipes.resolve(Config()).bn_statistics == "moving"
    moving = statistics_run(trained, tmp_path, "moving")
    assert (moving.translate(source).numpy() == trained[1]).all()


def test_the_stored_inference_mode_counts_not_todays_recipe(trained, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained[0], run_dir)
    system = recipes.resolve(pan_tf.Translator(run_dir).config)
    stored = system.with_bn_statistics("image").to_json()
    (run_dir / "system.json").write_text(json.dumps(stored))
    assert pan_tf.Translator(run_dir).system.bn_statistics == "image"


def test_a_checkpoint_of_a_saved_model_is_not_to_choose(tmp_path):
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "saved_model.pb").write_bytes(b"")
    for kind in ("best", "last"):
        with pytest.raises(ValueError, match="--checkpoint goes with a run folder"):
            pan_tf.Translator(tmp_path / "exported", kind)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "mode"), [(1, "L"), (2, "RGB"), (3, "RGB"), (4, "RGB"), (5, "RGB")]
)
def test_any_output_is_shown_as_a_picture(dtype, channels, mode, monkeypatch):
    output = np.full((4, 6, channels), np.iinfo(dtype).max, dtype)
    monkeypatch.setattr(pan_tf.Translator, "__call__", lambda self, pixels: output)
    translator = object.__new__(pan_tf.Translator)
    picture = translator.picture(np.zeros((4, 6, 3), np.uint8))
    assert (picture.mode, picture.size) == (mode, (6, 4))
    assert np.asarray(picture).min() == 255


def test_a_tile_does_not_stand_for_the_statistics_of_its_image(trained, tmp_path):
    translator = statistics_run(trained, tmp_path, "image")
    assert translator.tiling(5000, 5000) is None
    with pytest.raises(ValueError, match="that image's own statistics"):
        translator.tiling(5000, 5000, tile_size=1024)


def test_statistics_are_a_runs(trained, saved_model):
    with pytest.raises(ValueError, match="`bn_statistics` must be one of"):
        inference.Translator(trained[0], bn_statistics="x")
    with pytest.raises(ValueError, match="which has its own"):
        inference.Translator(saved_model, bn_statistics="moving")


def test_an_image_that_t_would_see_too_large_is_refused(trained, monkeypatch):
    """TensorFlow on a CPU does not survive an allocation that fails."""
    found = inference.Translator(trained[0], scale=100.0)
    monkeypatch.setattr("pan_tf.inference.translator.available_bytes", lambda: 2**20)
    with pytest.raises(MemoryError, match=r"6400 x 100 pixels, it needs .* --scale"):
        found(np.zeros((1, 64, 3), np.uint8))
