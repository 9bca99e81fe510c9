import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import metrics

CLASSES = [
    metrics.PSNR,
    metrics.PSNRRGB,
    metrics.SSIM,
    metrics.SSIMRGB,
    metrics.UQI,
    metrics.VIF,
    metrics.VIFP,
]


def batches():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (2, 3, 48, 48, 3), np.uint8)


@pytest.mark.parametrize("cls", CLASSES)
def test_is_the_mean_over_images_and_not_over_batches(cls):
    a, b = batches()
    metric = cls()
    metric.update_state(a[:1], b[:1])
    metric.update_state(a[1:], b[1:])
    expected = np.mean(getattr(metrics, metric.name)(a, b))
    assert float(metric.result()) == pytest.approx(expected, abs=1e-5)


def test_weights_choose_images():
    a, b = batches()
    metric = metrics.SSIM()
    metric.update_state(a, b, sample_weight=[0.0, 1.0, 0.0])
    assert float(metric.result()) == pytest.approx(float(metrics.ssim(a, b)[1]))


def test_equal_images_count_as_100_db():
    a, b = batches()
    metric = metrics.PSNR()
    metric.update_state(np.stack([a[0], a[1]]), np.stack([a[0], b[1]]))
    expected = (100 + float(metrics.psnr(a, b)[1])) / 2
    assert float(metric.result()) == pytest.approx(expected, abs=1e-4)


def test_replicas_share_one_mean(two_replicas):
    a, b = batches()
    with two_replicas.scope():
        metric = metrics.UQI()

    @tf.function
    def step(a, b):
        two_replicas.run(metric.update_state, args=(a, b))

    values = [
        two_replicas.experimental_distribute_values_from_function(
            lambda context, images=images: tf.constant(
                images[context.replica_id_in_sync_group :: 2][:1]
            )
        )
        for images in (a, b)
    ]
    step(*values)
    expected = np.mean(metrics.uqi(a[:2], b[:2]))
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_goes_with_compile():
    a, b = batches()
    model = keras.Sequential([keras.Input((48, 48, 3)), keras.layers.Identity()])
    model.compile(loss="mse", metrics=[metrics.SSIM()])
    logs = model.evaluate(a, b.astype("float32"), verbose=0, return_dict=True)
    assert logs["ssim"] == pytest.approx(float(np.mean(metrics.ssim(b, a))), abs=1e-5)
