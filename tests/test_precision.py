"""Metrics and normalization at the size of photos, whatever the batch and the threads."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import metrics
from pan_tf.layers import BatchNormalization
from pan_tf.losses import Translation
from pan_tf.losses import functional
from pan_tf.models.variation import variation
from tests import precision

LIMIT = 1e-5


def sizes_and_batches(*large):
    """Parameters; of a large size, a batch of one image is enough by default."""
    return [
        pytest.param(
            size,
            batch,
            marks=[pytest.mark.slow] if batch > 2 or (size, batch) in large else [],
        )
        for size in (64, 256, 1024, 2048)
        for batch in (1, 2, 8)
    ]


@pytest.mark.parametrize(
    ("size", "batch"), sizes_and_batches((1024, 2), (2048, 1), (2048, 2))
)
def test_metrics_are_those_of_float64(size, batch):
    errors = precision.metric_errors(size, batch)
    assert max(errors.values()) <= LIMIT, errors


@pytest.mark.parametrize(("size", "batch"), sizes_and_batches((2048, 2)))
def test_normalization_is_that_of_float64(size, batch):
    errors = precision.normalization_errors(size, batch)
    assert max(errors.values()) <= LIMIT, errors


@pytest.mark.parametrize("threads", [1, 8])
def test_threads_change_nothing_of_that(threads):
    run = subprocess.run(
        [sys.executable, "-m", "tests.precision", str(threads), "512", "1"],
        cwd=pathlib.Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    errors = json.loads(run.stdout)
    assert len(errors) == 10 and max(errors.values()) <= LIMIT, errors


def test_a_batch_changes_nothing_of_a_value():
    """VIF of large images has no quick twin: a batch is compared with its images."""
    reference, prediction = precision.pair(512, 3)
    together = metrics.vif(reference, prediction)
    for i, value in enumerate(together):
        alone = metrics.vif(reference[i : i + 1], prediction[i : i + 1])
        assert abs(float(value) - float(alone[0])) <= LIMIT


def test_two_replicas_normalize_as_exactly_as_one(two_replicas):
    random = np.random.default_rng(0)
    x = random.normal(3.0, 1.0, (2, 1024, 1024, 2)).astype("float32")
    with two_replicas.scope():
        layer = BatchNormalization(epsilon=1e-5)
        layer.build(x.shape)
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
    )
    run = tf.function(lambda v: two_replicas.run(lambda x: layer(x, training=True), (v,)))
    found = np.concatenate(two_replicas.experimental_local_results(run(halves)))
    exact = x.astype(float)
    mean, variance = exact.mean((0, 1, 2)), exact.var((0, 1, 2))
    assert np.abs(found - (exact - mean) / np.sqrt(variance + 1e-5)).max() <= LIMIT


@pytest.mark.parametrize(
    ("loss", "twin"),
    [
        (functional.mean_absolute_difference, lambda a, b: np.abs(a - b).mean()),
        (functional.mean_squared_difference, lambda a, b: ((a - b) ** 2).mean()),
    ],
)
def test_pixel_losses_are_those_of_float64(loss, twin):
    a, b = (pixels / 127.5 - 1.0 for pixels in precision.pair(2048, 1))
    found = loss(tf.constant(a, tf.float32), tf.constant(b, tf.float32))
    assert float(found) == pytest.approx(twin(a, b), rel=LIMIT)


def test_the_contrast_of_outputs_is_that_of_float64():
    target, output = (pixels / 127.5 - 1.0 for pixels in precision.pair(1024, 2))
    image = [tf.constant(x, tf.float32) for x in (target, target, output)]
    level = 1.0 / 127.5
    expected = output.std((1, 2)).mean() + level
    expected /= target.std((1, 2)).mean() + level
    found = variation(Translation(*image))["output_contrast"]
    assert float(found) == pytest.approx(expected, rel=LIMIT)


def test_gradients_of_a_large_batch_normalization_are_those_of_the_formula():
    random = np.random.default_rng(0)
    shape = (1, 1024, 1024, 2)
    x, upstream = (random.normal(3.0, 1.0, shape).astype("float32") for _ in range(2))
    layer = BatchNormalization(epsilon=1e-5)
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        y = layer(tensor, training=True)
    found = tape.gradient(y, tensor, output_gradients=tf.constant(upstream)).numpy()
    exact, dy = x.astype(float), upstream.astype(float)
    scale = 1.0 / np.sqrt(exact.var((0, 1, 2)) + 1e-5)
    normal = (exact - exact.mean((0, 1, 2))) * scale
    away, along = dy.mean((0, 1, 2)), (dy * normal).mean((0, 1, 2))
    assert np.abs(found - scale * (dy - away - normal * along)).max() < 1e-4
