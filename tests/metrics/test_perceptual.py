import numpy as np
import pytest

from pan_tf import metrics
from pan_tf import networks
from pan_tf.metrics import perceptual
from tests.conftest import smooth_noise


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return np.stack([smooth_noise(random, 32, 40) for _ in range(3)])


def test_it_is_the_distance_of_unit_normalized_features(vgg_weights, images):
    """A slow twin, layer by layer and pixel by pixel."""
    one, other = images[:1], images[1:2]
    expected = 0.0
    for layer in perceptual.LAYERS:
        network = networks.vgg_features(layer, weights=vgg_weights)
        a, b = (np.array(network(x / 127.5 - 1), float)[0] for x in (one, other))
        distances = []
        for place in np.ndindex(a.shape[:2]):
            u, v = (f[place] / max(np.linalg.norm(f[place]), 1e-5) for f in (a, b))
            distances.append(((u - v) ** 2).sum())
        expected += np.mean(distances)
    weights = metrics.locate_weights(["vgg_distance"], vgg_weights)
    found = perceptual.vgg_distance(weights)(one, other)
    assert found.shape == (1,) and float(found[0]) == pytest.approx(expected, rel=1e-4)


def test_equal_images_have_none_and_more_noise_has_more(vgg_weights, images):
    weights = metrics.locate_weights(["vgg_distance"], vgg_weights)
    distance = perceptual.vgg_distance(weights)
    np.testing.assert_allclose(distance(images, images), 0.0, atol=1e-6)
    noise = np.random.default_rng(1).normal(0, 1, images.shape)
    found = [
        distance(images, np.clip(images + sigma * noise, 0, 255).astype(np.uint8))
        for sigma in (4, 16, 64)
    ]
    assert (np.diff(np.stack(found), axis=0) > 0).all()


def test_the_lower_value_is_better_and_it_is_measured_when_asked_for():
    row = metrics.METRICS["vgg_distance"]
    assert not row.higher_is_better and not row.is_usual and row.needs == ("vgg16",)
    assert row.merit(0.1) > row.merit(0.2)
