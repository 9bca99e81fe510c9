"""A version: whole, numbered, labelled, proved; or none at all."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from pan_tf import files
from pan_tf.export import Export
from pan_tf.export import ParityError
from pan_tf.export import decoding
from pan_tf.export import exporter
from pan_tf.export import optimized
from pan_tf.export import parity
from pan_tf.export.optimization import BlockConv2D
from pan_tf.export.warmup import write_warmup
from pan_tf.images import ImageSpec
from pan_tf.inference import LABEL
from pan_tf.inference import Translator
from tests.conftest import smooth_noise


def tree(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_a_version_is_complete(exported):
    export_dir, path, report = exported
    assert path == export_dir / "1"
    assert [p.name for p in export_dir.iterdir()] == ["1"]
    extra = {p.name for p in (path / "assets.extra").iterdir()}
    assert extra == {"tf_serving_warmup_requests", "pan_tf.json", "parity.json"}
    assert set(report) == {"serving_default", "image", "float_image"}
    assert report["float_image"]["largest_difference"] <= 1e-5
    assert report["image"]["largest_difference"] <= 1
    assert report["serving_default"]["largest_difference"] <= 1
    written = json.loads((path / "assets.extra" / "parity.json").read_text())
    assert written == {"images": "4 test images of folder", "signatures": report}


def meta_graph(path):
    contents = (path / "saved_model.pb").read_bytes()
    return saved_model_pb2.SavedModel.FromString(contents).meta_graphs[0]


def test_a_process_that_users_start_says_the_same(exported, started, monkeypatch):
    sent = [("image", np.zeros((1, 64, 64, 3), np.uint8))]
    forked = parity.run(exported[1], sent)
    monkeypatch.setattr(parity, "start", started)
    (fresh,), (other,) = parity.run(exported[1], sent), forked
    assert (fresh == other).all()
    with pytest.raises(RuntimeError, match=r"outside of pan_tf: [^\0]*not enough values"):
        parity.run(exported[1], [("imag", sent[0][1])])


def test_every_weight_is_stored_once(exported, small_run):
    """A small one in the graph, once for all signatures, a large one beside it."""
    network = optimized(Translator(small_run).network)
    blocks = [layer for layer in network.layers if isinstance(layer, BlockConv2D)]
    kernels = [kernel for layer in blocks for kernel in layer.blocks]
    shapes = [k.shape for k in kernels if isinstance(k, tf.Tensor)]
    graph = meta_graph(exported[1]).graph_def
    library = [node for each in graph.library.function for node in each.node_def]
    constants = [
        tf.TensorShape(node.attr["value"].tensor.tensor_shape)
        for node in [*graph.node, *library]
        if node.op == "Const"
    ]
    # TensorFlow has tiny ones in every function that uses them.
    expected = sorted(n for n in map(tf.TensorShape.num_elements, shapes) if n > 128)
    found = sorted(c.num_elements() for c in constants if c.num_elements() > 128)
    assert found == expected and len(expected) > 5
    stored = tf.train.list_variables(str(exported[1] / "variables" / "variables"))
    kept = [shape for name, shape in stored if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert sorted(kept) == sorted(v.value.shape.as_list() for v in network.variables)
    # It would ask for gradients that were not saved where it is loaded.
    assert not any("_gradient_op_type" in node.attr for node in [*graph.node, *library])


def test_the_label_says_what_it_is_and_names_no_place(exported, small_run):
    text = (exported[1] / LABEL).read_text()
    label = json.loads(text)
    assert label["recipe"] == "pan_official" and label["dataset"]["name"] == "folder"
    assert label["checkpoint"] == Translator(small_run).checkpoint
    assert label["receptive_field"] == {
        "multiple": 64,
        "radius": 189,
        "size": None,
    }
    assert label["max_pixels"] == 2**16 and label["optimized"]
    assert label["batch_normalization"] == "moving" and label["run"] == "small"
    assert str(small_run.parent) not in text and "data_dir" not in label["settings"]


def test_warm_up_has_a_request_for_every_signature(exported):
    path = exported[1] / "assets.extra" / "tf_serving_warmup_requests"
    sent = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        (value,) = log.request.inputs.values()
        sent.append((log.request.model_spec.signature_name, tf.make_ndarray(value)))
    assert {name for name, _ in sent} == {"serving_default", "image", "float_image"}
    for response in parity.run(exported[1], sent):
        assert len(response) == 1


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_a_file_to_warm_up_with_is_one_of_the_trainings_kind(kind, tmp_path):
    """Values of 12 bits in files of 16 are levels of 8 in memory."""
    spec = ImageSpec(1, 8, low=0.0, high=4095.0, kind=kind)
    pixels = np.full((1, 64, 64, 1), 9, np.uint8)
    write_warmup(tmp_path, pixels, spec, are_files=True)
    (record,) = (
        log
        for each in tf.data.TFRecordDataset(str(next(tmp_path.iterdir())))
        for log in [prediction_log_pb2.PredictionLog.FromString(each.numpy()).predict_log]
        if log.request.model_spec.signature_name == "serving_default"
    )
    (contents,) = tf.make_ndarray(record.request.inputs["image_bytes"])
    assert (decoding.decode(contents, spec).numpy() == 9).all()


def test_translator_of_the_export_is_that_of_the_run(exported, small_run):
    ours, theirs = Translator(small_run), Translator(exported[1])
    pixels = smooth_noise(np.random.default_rng(3), 70, 130)
    difference = ours(pixels).astype(int) - theirs(pixels)
    assert np.abs(difference).max() <= 1
    assert theirs.field == ours.field and theirs.label["recipe"] == "pan_official"
    # What is larger than the export's limit goes through in tiles.
    ours, theirs = (Translator(p, scale="native") for p in (small_run, exported[1]))
    large = smooth_noise(np.random.default_rng(4), 300, 300)
    assert theirs.tiling(300, 300).count(300, 300) > 1
    assert np.abs(ours(large, 256).astype(int) - theirs(large)).max() <= 1


def test_folders_of_special_names_are_folders(small_run, tmp_path):
    run_dir, export_dir = tmp_path / "runs[a]*" / "pan?", tmp_path / "exported[lr=2e-4]"
    shutil.copytree(small_run, run_dir)
    export = Export(run_dir, export_dir)
    path, report = export.run()
    assert report["image"]["largest_difference"] <= 1
    (note,) = [note for note in export.notes if "pattern" in note]
    assert note.startswith("TensorFlow Serving and tf.saved_model.load take [ ] in ")
    source = tf.zeros((1, 64, 64, 3))
    one, other = (Translator(place).translate(source) for place in (run_dir, path))
    assert np.abs(one.numpy().astype(int) - other.numpy().astype(int)).max() <= 1


def test_the_next_version_leaves_the_others_alone(exported, small_run):
    export_dir, path, _ = exported
    (export_dir / "7").mkdir()
    (export_dir / "notes.txt").write_text("mine")
    before = tree(path)
    try:
        found, _ = Export(small_run, export_dir, "last").run()
        assert found == export_dir / "8" and tree(path) == before
        label = json.loads((found / LABEL).read_text())
        assert label["checkpoint"]["kind"] == "last"
        assert found.stat().st_mode & 0o777 == 0o755
    finally:
        (export_dir / "7").rmdir()


def test_the_loader_of_tf_serving_runs_it(exported, small_run, tmp_path):
    path = exported[1]
    signature = meta_graph(path).signature_def["float_image"]
    random = np.random.default_rng(0)
    source = random.uniform(-1, 1, (2, 40, 70, 3)).astype(np.float32)
    np.save(tmp_path / "source.npy", source)
    program = pathlib.Path(__file__).with_name("cpp_loader.py")
    result = subprocess.run(
        [
            *(sys.executable, "-I", program, path),
            *(signature.inputs["image"].name, signature.outputs["image"].name),
            *(tmp_path / "source.npy", tmp_path / "result.npy"),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    expected = Translator(small_run).translate_float(source)
    np.testing.assert_allclose(np.load(tmp_path / "result.npy"), expected, atol=1e-5)


def test_the_loader_of_tf_serving_refuses_what_keras_tracks(small_run, tmp_path):
    """The trap that a test with `tf.saved_model.load` alone would not see."""
    module = tf.Module()
    module.network = Translator(small_run).network
    module.f = tf.function(
        lambda image: module.network(image, training=False),
        input_signature=[tf.TensorSpec([None, 64, 64, 3], tf.float32, "image")],
    )
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(tmp_path), {"serving_default": module.f}, options)
    source = np.zeros((1, 64, 64, 3), np.float32)
    assert tf.saved_model.load(str(tmp_path)).signatures["serving_default"](image=source)
    with pytest.raises(RuntimeError, match="cannot be run outside of pan_tf"):
        parity.run(tmp_path, [("serving_default", source)])


def spoilt(network):
    """The network with its last bias off by a tenth."""
    bias = network.layers[-1].bias
    bias.assign(bias + 0.1)
    return network


def test_an_optimization_that_differs_is_not_used(small_run, tmp_path, monkeypatch):
    optimized = exporter.optimized
    monkeypatch.setattr(exporter, "optimized", lambda T: spoilt(optimized(T)))
    export = Export(small_run, tmp_path / "model")
    path, report = export.run()
    assert parity.holds(report)
    label = json.loads((path / LABEL).read_text())
    assert not label["optimized"]
    assert "Optimized it differs too much (float_image by 0.0" in label["notes"][0]


def test_a_difference_is_an_error_and_leaves_nothing(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "LIMITS", dict.fromkeys(parity.LIMITS, -1.0))
    monkeypatch.setattr(parity, "_ROUNDING_LIMIT", -1.0)
    with pytest.raises(ParityError, match=r"differs from float_image by .* limit -1"):
        Export(small_run, tmp_path / "model").run()
    assert not list((tmp_path / "model").iterdir())


def test_an_interrupted_export_leaves_no_version(small_run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parity, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Export(small_run, tmp_path / "model").run()
    assert not list((tmp_path / "model").iterdir())


def opening(monkeypatch, made):
    """Lets `made` open the run's data: a function of the real one and its arguments."""
    opened = exporter.data.open_data
    monkeypatch.setattr(
        exporter.data,
        "open_data",
        lambda config, **k: (
            made(opened, config, **k)
            if config.dataset == "folder"
            else opened(config, **k)
        ),
    )


def test_without_its_data_parity_is_looked_at_with_blue_marble(
    small_run, tmp_path, monkeypatch, caplog
):
    def gone(*_, **__):
        raise FileNotFoundError("No train/ in nowhere.")

    opening(monkeypatch, gone)
    path, _ = Export(small_run, tmp_path / "model").run()
    record = json.loads((path / "assets.extra" / "parity.json").read_text())
    assert record["images"] == "8 test images of bluemarble"
    (note,) = json.loads((path / LABEL).read_text())["notes"]
    assert "with Blue Marble: the run's data are away." in note
    assert "No train/ in nowhere." in caplog.text


def damaged_at_once(*_, **__):
    raise ValueError("0.png is damaged.")


def damaged_since_verified(opened, *a, **k):
    def unreadable(_):
        raise files.UnusableFilesError("0.png is damaged.")

    def load(index):
        source, target = pairs.load(index)
        unread = tf.py_function(unreadable, [index], tf.uint8)
        return tf.ensure_shape(unread, source.shape), target

    found = opened(*a, **k)
    pairs = found.held_out
    splits = {**found.splits, pairs.name: dataclasses.replace(pairs, load_pair=load)}
    return dataclasses.replace(found, splits=splits)


@pytest.mark.parametrize("damaged", [damaged_at_once, damaged_since_verified])
def test_data_that_cannot_be_used_are_not_said_to_be_away(
    damaged, small_run, tmp_path, monkeypatch, caplog
):
    opening(monkeypatch, damaged)
    export = Export(small_run, tmp_path / "model")
    _, origin = export._real_images()
    assert origin == "8 test images of bluemarble"
    assert any("data cannot be used any more" in note for note in export.notes)
    assert "0.png is damaged." in caplog.text


def test_data_that_have_changed_are_said_to_have(small_run, tmp_path, monkeypatch):
    def changed(opened, *a, **k):
        return dataclasses.replace(opened(*a, **k), fingerprint="other")

    opening(monkeypatch, changed)
    export = Export(small_run, tmp_path / "model")
    export._real_images()
    assert any("data have changed" in note for note in export.notes)


def test_what_cannot_be_exported_is_named(exported, small_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No run\.cfg in nowhere"):
        Export("nowhere", tmp_path)
    with pytest.raises(ValueError, match="is a SavedModel already"):
        Export(exported[1], tmp_path)
    with pytest.raises(ValueError, match="--max_pixels must be at least 4096"):
        Export(small_run, tmp_path, max_pixels=100)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a folder"):
        Export(small_run, tmp_path / "file")


def test_what_the_export_does_not_take_is_a_sentence(exported, monkeypatch):
    translator = Translator(exported[1], scale="native")
    with pytest.raises(ValueError, match=r"refused 300 x 300 pixels: .*more than 65536"):
        translator(np.zeros((300, 300, 3), np.uint8), tile_size=0)
    monkeypatch.setattr(translator._whole, "_limit", 2**14)
    with pytest.raises(ValueError, match=r"too few for tiles.*--max_pixels=65536"):
        translator(np.zeros((300, 300, 3), np.uint8))


def test_a_version_or_a_run_is_no_folder_of_versions(exported, small_run):
    for folder in (exported[1], small_run):
        with pytest.raises(ValueError, match="must be a folder of versions"):
            Export(small_run, folder)


def test_a_folder_that_tensorflow_cannot_name_is_refused(small_run, tmp_path):
    with pytest.raises(ValueError, match=r"--export_dir must be UTF-8"):
        Export(small_run, str(tmp_path / "e\udcff"))


def test_a_place_that_cannot_be_written_to_is_refused_before_t_is_loaded(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--export_dir=.*file is a file"):
        Export(tmp_path / "no run", tmp_path / "file" / "exported")


def test_sides_of_an_inverse_are_exchanged():
    translator = types.SimpleNamespace(source="B", target="A", inverse=True)
    assert exporter.Export._sides(types.SimpleNamespace(translator=translator)) == (
        "A",
        "B",
    )
