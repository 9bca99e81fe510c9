"""A T that knows one size and fills a hole: train, translate, export, evaluate."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import images
from pan_tf import inference
from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.export import Export
from tests.trained import train


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", 3), ("test", 2)):
        (root / split).mkdir()
        for i in range(count):
            blocks = random.integers(0, 256, (9, 8, 3), np.uint8)
            pixels = blocks.repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(root / split / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "inpaint"
    config = Config(
        recipe="context_encoder",
        dataset="photos",
        synthesize="hole",
        data_dir=str(photos),
        image_size=64,
        width=1 / 64,
        batch_size=2,
        iterations=2,
        validate_every=2,
        run_dir=str(run_dir),
    )
    train(config)
    return run_dir


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return Export(run, tmp_path_factory.mktemp("exported") / "inpaint").run()


def test_the_centre_is_filled_and_the_rest_stays(run):
    translator = inference.Translator(run)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    output = translator(pixels)
    hole = np.broadcast_to(images.central_mask(64), output.shape)
    np.testing.assert_array_equal(output[~hole], pixels[~hole])
    assert (output[hole] != pixels[hole]).mean() > 0.9


def test_images_of_other_sizes_are_refused_with_its_own(run, exported):
    for path in (run, exported[0]):
        with pytest.raises(ValueError, match="64 x 64"):
            inference.Translator(path)(np.zeros((64, 65, 3), np.uint8))


def test_images_are_not_said_to_be_scaled(run, exported):
    for path in (run, exported[0]):
        sentence = inference.Translator(path).describe_scale()
        assert "as they are" in sentence and "64 x 64 pixels" in sentence


def test_a_server_refuses_them_too(exported):
    model = tf.saved_model.load(str(exported[0]))
    for name in ("image", "float_image"):
        dtype = np.uint8 if name == "image" else np.float32
        image = tf.zeros((1, 128, 128, 3), dtype)
        with pytest.raises(tf.errors.InvalidArgumentError, match="64 x 64"):
            model.signatures[name](image=image)


def test_the_label_says_the_size(exported):
    path, report = exported
    label = json.loads((path / inference.LABEL).read_text())
    assert label["receptive_field"] == {"multiple": 64, "radius": None, "size": 64}
    assert all(row["images"] >= 1 for row in report.values())


def test_run_and_export_are_measured_alike(run, exported, photos, tmp_path):
    ours = Evaluation([run], checkpoint="last", output_dir=tmp_path / "a").run()
    theirs = Evaluation(
        [],
        [exported[0]],
        output_dir=tmp_path / "b",
        dataset="photos",
        synthesize="hole",
        data_dir=str(photos),
        image_size=64,
    ).run()
    assert ours["dataset"]["synthesized"] == theirs["dataset"]["synthesized"] == "hole"
    for metric in ("psnr", "ssim"):
        a, b = (record["metrics"][metric]["mean"] for record in (ours, theirs))
        assert a == pytest.approx(b, abs=1e-3)


def test_evaluation_at_another_size_is_refused(run):
    with pytest.raises(ValueError, match="--image_size must be that of"):
        Evaluation([run], image_size=128)


def test_sources_of_another_data_set_are_not_replaced_in_silence(run, photos):
    with pytest.raises(ValueError, match="--synthesize must be given"):
        Evaluation([run], dataset="folder", data_dir=str(photos))
