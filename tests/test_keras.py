"""The package's parts in plain Keras: saving, `compile`, and what does not go."""

import functools
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

import pan_tf
from pan_tf import losses
from pan_tf import metrics
from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (2, 4, 64, 64, 3)).astype(np.float32)


@pytest.fixture
def network():
    return networks.pan_transformer(64, width=1 / 32)


@pytest.fixture(scope="module")
def model():
    return recipes.build(Config(image_size=64, width=1 / 32, batch_size=2))


LOAD = """
{imports}
import sys
import numpy as np
model = keras.saving.load_model(sys.argv[1])
print(float(np.abs(model(np.load(sys.argv[2]))).sum()))
"""


@pytest.mark.parametrize("first", ["pan_tf", "keras"])
def test_a_saved_t_loads_in_a_fresh_process(first, network, images, tmp_path):
    imports = "\n".join(
        sorted(["import keras", "import pan_tf"], key=lambda s: first in s)
    )
    network.save(tmp_path / "t.keras")
    np.save(tmp_path / "x.npy", images[0])
    command = [sys.executable, "-c", LOAD.format(imports=imports)]
    command += [tmp_path / "t.keras", tmp_path / "x.npy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = np.abs(network(images[0])).sum()
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["PSNR", "SSIM", "UQI", "VIF"])
def test_a_metric_knows_its_range(name, images):
    reference, prediction = images[:, :2]
    metric = getattr(metrics, name)(value_range=(-1, 1))
    metric.update_state(reference, prediction)
    levels = [(image.astype(np.float64) + 1) * 127.5 for image in (reference, prediction)]
    of_levels = getattr(metrics, name)()
    of_levels.update_state(*(level.astype(np.float32) for level in levels))
    assert float(metric.result()) == pytest.approx(float(of_levels.result()), rel=1e-4)
    again = type(metric).from_config(metric.get_config())
    assert again.value_range == (-1.0, 1.0)


def test_a_range_must_rise():
    with pytest.raises(ValueError, match="must be two rising numbers"):
        metrics.PSNR(value_range=(1, -1))
    for other in (None, (1,), (-1, 1, 2), ("a", "b"), (0, math.inf), 3):
        with pytest.raises(ValueError, match="two rising numbers"):
            metrics.PSNR(value_range=other)


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_a_term_is_a_loss_of_compile(kind, network, images, tmp_path):
    x, y = images
    term = losses.PixelLoss(kind, weight=3.0)
    metric = metrics.PSNR(value_range=(-1, 1))
    network.compile(optimizer="sgd", loss=term, metrics=[metric])
    found = network.evaluate(x, y, verbose=0, return_dict=True)
    difference = np.abs(y - network.predict(x, verbose=0))
    expected = 3.0 * np.mean(difference ** (1 if kind == "l1" else 2))
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    network.save(tmp_path / "t.keras")
    again = keras.saving.load_model(tmp_path / "t.keras")
    assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(found)
    trained = network.fit(x, y, epochs=6, verbose=0).history["loss"]
    assert trained[-1] < trained[0]


def test_a_perceptual_loss_needs_its_network(network, images, vgg_weights):
    x, y = images
    with pytest.raises(ValueError, match="with_vgg"):
        losses.PerceptualLoss()(y, x)
    features = functools.partial(networks.imagenet_features, weights=str(vgg_weights))
    network.compile(optimizer="sgd", loss=losses.PerceptualLoss().with_vgg(features))
    assert network.evaluate(x, y, verbose=0) > 0.0


@pytest.mark.parametrize(
    "term",
    [
        losses.AdversarialLoss(),
        losses.PerceptualAdversarialLoss(lambdas=(1.0,), margin=1.0),
        losses.CycleConsistencyLoss(),
    ],
    ids=lambda term: type(term).__name__,
)
def test_a_part_of_a_game_is_no_loss_of_compile(term, images):
    with pytest.raises(ValueError, match="use PixelLoss or PerceptualLoss"):
        term(*images)


def test_a_model_predicts_by_the_t_to_translate_with(model, images):
    predicted = model.predict(images[0], verbose=0)
    expected = model.ema_transformer(images[0], training=False)
    np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_weights_of_a_model_are_saved_and_loaded(model, tmp_path):
    before = model.get_weights()
    model.save_weights(tmp_path / "model.weights.h5")
    model.set_weights([value + 1 for value in before])
    model.load_weights(tmp_path / "model.weights.h5")
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, x: model.evaluate(x, x, verbose=0), "pan_tf.evaluate"),
        (lambda model, x: model.save("model.keras"), "ema_transformer.save"),
        (lambda model, x: model.fit(x, x, verbose=0), "pan_tf.train"),
    ],
    ids=["evaluate", "save", "fit"],
)
def test_what_a_model_does_not_do_says_what_does(
    call, message, model, images, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        call(model, images[0])


def test_the_public_names():
    assert pan_tf.__all__ == dir(pan_tf) == sorted(pan_tf.__all__)
    assert {*pan_tf.__all__} == {*pan_tf._ON_DEMAND, "__version__"}
    for name in ("train", "evaluate", "translate", "export", "Translator", "Config"):
        assert callable(getattr(pan_tf, name))
