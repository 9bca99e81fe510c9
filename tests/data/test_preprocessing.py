import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import images
from pan_tf.data import Geometry
from pan_tf.data import preprocessing


def coordinates(size):
    """uint8 `[size, size, 3]` whose colours are its coordinates."""
    y, x = np.mgrid[:size, :size]
    return np.stack([x, y, 0 * x], -1).astype(np.uint8)


def jittered(seed, augmentations=("flip",)):
    image = coordinates(72)
    pair = Geometry("squash", 64, 72).jitter(
        (tf.constant(image), tf.constant(255 - image)),
        tf.constant([1, seed], tf.int64),
        augmentations,
    )
    return [images.to_uint8(side).numpy() for side in pair]


@pytest.mark.parametrize("seed", range(6))
def test_source_and_target_are_cropped_and_mirrored_alike(seed):
    source, target = jittered(seed)
    assert np.array_equal(target, 255 - source)


def test_crops_are_inside_and_reach_every_offset_and_both_mirrorings():
    seen = set()
    for seed in range(400):
        source, _ = jittered(seed)
        mirrored = bool(source[0, 0, 0] > source[0, 1, 0])
        left = source[..., 0].min()
        seen.add((int(left), int(source[0, 0, 1]), mirrored))
        assert source[..., 0].max() - left == 63
    assert {left for left, _, _ in seen} == set(range(9))
    assert {top for _, top, _ in seen} == set(range(9))
    assert {mirrored for _, _, mirrored in seen} == {True, False}


def test_no_flip():
    assert all(s[0, 0, 0] < s[0, 1, 0] for s, _ in (jittered(i, ()) for i in range(20)))


def test_eager_and_graph_agree():
    image = tf.constant(coordinates(72))
    arguments = ((image, image), tf.constant([1, 5], tf.int64), ("flip",))
    jitter = Geometry("squash", 64, 72).jitter
    eager, graph = jitter(*arguments), tf.function(jitter)(*arguments)
    assert np.allclose(eager, graph, atol=1e-6)


@pytest.mark.parametrize("size", [40, 150])
def test_resize_is_pillows_lanczos(size):
    y, x = np.mgrid[:100, :80]
    waves = [128 + 100 * np.sin(x / 9.0 + y / k) for k in (5.0, 7.0, 11.0)]
    image = np.stack(waves, -1).astype(np.uint8)
    expected = Image.fromarray(image).resize((size, size), Image.LANCZOS)
    difference = np.abs(images.resize(image, size).numpy().astype(int) - expected)
    # Pillow rounds between its horizontal and its vertical pass.
    assert difference.max() <= 2


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
@pytest.mark.parametrize("ending", ["png"])
def test_other_modes_become_three_channels(tmp_path, mode, ending):
    path = tmp_path / f"x.{ending}"
    Image.fromarray(coordinates(16)).convert(mode).save(path)
    assert preprocessing.decode(path.read_bytes()).shape == (16, 16, 3)
