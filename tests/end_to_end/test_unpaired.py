"""From two folders of images to a model of either direction."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from pan_tf import data
from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.export import Export
from pan_tf.inference import Translator
from pan_tf.runs import loop
from pan_tf.runs.folder import RunFolder
from serving.client import Client
from tests.conftest import smooth_noise
from tests.hostile import encoded
from tests.serving import servers
from tests.trained import train


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("lists")
    counts = {"trainA": 4, "trainB": 3, "testA": 3, "testB": 2}
    for name, count in counts.items():
        (root / name).mkdir()
        for i in range(count):
            pixels = smooth_noise(random, 64, 64)
            Image.fromarray(pixels).save(root / name / f"{name}-{i}.png")
    return root


def config(lists, run_dir, **changes):
    settings = {
        "dataset": "folder",
        "data_dir": str(lists),
        "recipe": "cyclegan",
        "image_size": 64,
        "width": 1 / 64,
        "batch_size": 1,
        "iterations": 4,
        "learning_rate": 0.01,
        "log_every": 2,
        "validate_every": 2,
        "save_every": 2,
        "run_dir": str(run_dir),
    }
    return Config(**settings | changes)


@pytest.fixture(scope="module")
def run(lists, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "cycle"
    train(config(lists, run_dir))
    return run_dir


def test_the_run_folder_tells_what_can_be_told_without_pairs(run):
    result = json.loads((run / "result.json").read_text())
    kept = {"source_psnr", "identity_psnr", "cycle_psnr"}
    assert set(result["last"]["metrics"]) == kept
    assert "best" not in result and result["baselines"] == {}
    rows = RunFolder(run).read_metrics()
    assert {"val_cycle_psnr", "val_identity_psnr"} <= set(rows[-1]) | set(rows[-2])
    picture = Image.open(run / "result.png")
    assert picture.width > 6 * 64  # Six columns.


def test_either_direction_translates(run):
    pixels = smooth_noise(np.random.default_rng(1), 64, 64)
    there, back = (Translator(run, "last", inverse=i) for i in (False, True))
    assert not np.array_equal(there(pixels), back(pixels))
    note = Translator(run, inverse=True).checkpoint["note"]
    assert note == "The inverse has no best checkpoint; this is the last."


@pytest.fixture(scope="module")
def exports(run, tmp_path_factory):
    """inverse or not -> version 1 of its SavedModel, each in a folder of its own."""
    root = tmp_path_factory.mktemp("exports")
    names = {False: "photo2monet", True: "monet2photo"}
    return {
        inverse: Export(run, root / name, "last", 2**16, inverse=inverse).run()[0]
        for inverse, name in names.items()
    }


def test_either_direction_is_exported_as_itself(run, exports):
    """Parity is proved by the export; here that each is the right one."""
    pixels = smooth_noise(np.random.default_rng(1), 64, 64)
    for inverse, path in exports.items():
        label = json.loads((path / "assets.extra" / "pan_tf.json").read_text())
        assert label["inverse"] is inverse
        own = Translator(run, "last", inverse=inverse)(pixels)
        served = Translator(path)(pixels)
        assert np.abs(served.astype(int) - own).max() <= 1


def test_one_server_serves_both_directions(run, exports, tmp_path):
    config = tmp_path / "models.config"
    blocks = (
        f'config {{ name: "{path.parent.name}" base_path: "{path.parent}" '
        'model_platform: "tensorflow" }'
        for path in exports.values()
    )
    config.write_text(f"model_config_list {{ {' '.join(blocks)} }}")
    pixels = smooth_noise(np.random.default_rng(1), 40, 72)
    outputs = []
    with servers.running(config) as server:
        for inverse, path in exports.items():
            client = Client(server.rest, path.parent.name, protocol="rest", timeout=30)
            client.wait(10)
            (png,) = client.translate([encoded(pixels)])
            outputs.append(np.asarray(Image.open(io.BytesIO(png))))
            own = Translator(run, "last", inverse=inverse)(pixels)
            assert np.abs(outputs[-1].astype(int) - own).max() <= 1
    assert not np.array_equal(*outputs)


def test_a_run_of_one_direction_has_no_inverse(small_run):
    with pytest.raises(ValueError, match="--inverse asks for the inverse of"):
        Translator(small_run, inverse=True)


def test_interrupted_and_resumed_is_straight(lists, tmp_path, run, monkeypatch):
    """History, order of both lists and all: the same last line of metrics."""
    monkeypatch.setattr(loop, "conclude", lambda *_: None)
    train(config(lists, tmp_path / "run", iterations=2))
    train(config(lists, tmp_path / "run"))
    ours, theirs = (RunFolder(p).read_metrics()[-2:] for p in (tmp_path / "run", run))
    timing = {"images_per_second", "data_wait", "data_cores", "memory_gib"}
    for one, other in zip(ours, theirs, strict=True):
        assert {k: v for k, v in one.items() if k not in timing} == {
            k: v for k, v in other.items() if k not in timing
        }


def test_a_run_can_begin_with_the_weights_of_another(lists, run, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "conclude", lambda *_: None)
    settings = {"init_from": str(run), "learning_rate": 0.0, "iterations": 1}
    settings["validate_every"] = 0
    train(config(lists, tmp_path / "begun", **settings))
    pixels = smooth_noise(np.random.default_rng(1), 64, 64)
    for inverse in (False, True):
        one, other = (
            Translator(p, "last", inverse=inverse) for p in (run, tmp_path / "begun")
        )
        assert np.array_equal(one(pixels), other(pixels))
    manifest = json.loads((tmp_path / "begun" / "manifest.json").read_text())
    assert manifest["init_from"] == str(run)


def test_a_recipe_of_pairs_is_refused_without(lists, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "locate", lambda config: config)  # As if it were there.
    with pytest.raises(ValueError, match="--recipe=pan learns from pairs"):
        train(config(lists, tmp_path / "run", dataset="horse2zebra", recipe="pan"))


def test_a_run_without_pairs_is_measured_without_being_told(run):
    # The lists here are too short; that it counts them says how they were read.
    with pytest.raises(ValueError, match="sets of images takes 8 or more in every"):
        Evaluation([run])


def test_evaluation_of_a_system_of_pairs_says_what_it_needs(small_run, lists):
    with pytest.raises(ValueError, match="--unaligned measures without pairs"):
        Evaluation([small_run], data_dir=str(lists))


def test_a_saved_model_has_no_inverse_to_ask_for(exported):
    _, path, _ = exported
    with pytest.raises(ValueError, match="export the inverse itself"):
        Translator(path, inverse=True)


def test_only_a_run_folder_can_be_begun_with(lists, tmp_path):
    begun = config(lists, tmp_path / "begun", init_from=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="--init_from must name a run folder"):
        train(begun)


def test_weights_of_other_layers_are_refused(lists, run, tmp_path):
    begun = config(lists, tmp_path / "begun", init_from=str(run), width=1 / 32)
    with pytest.raises(ValueError, match="--init_from must name a run whose T has the"):
        train(begun)
    assert not (tmp_path / "begun").exists()
