import numpy as np
import pytest

from pan_tf import metrics


def flat(level):
    return np.full((1, 16, 16, 3), level, np.uint8)


def test_psnr_of_a_known_error():
    # Ten levels everywhere: 10 log10(255^2 / 100).
    assert float(metrics.psnr(flat(100), flat(110))[0]) == pytest.approx(
        28.1308, abs=1e-3
    )


def test_luma_psnr_weighs_the_channels():
    red = flat(100)
    red[..., 0] += 10  # Y differs by 2.99.
    expected = 20 * np.log10(255 / 2.99)
    assert float(metrics.psnr(flat(100), red)[0]) == pytest.approx(expected, abs=1e-3)
    rgb = 10 * np.log10(255**2 / (100 / 3))
    assert float(metrics.psnr_rgb(flat(100), red)[0]) == pytest.approx(rgb, abs=1e-3)


def test_uint8_does_not_wrap_around():
    assert metrics.psnr(flat(10), flat(20))[0] == metrics.psnr(flat(20), flat(10))[0]


def test_uint8_and_float_agree():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    for metric in (metrics.psnr, metrics.ssim, metrics.psnr_rgb, metrics.ssim_rgb):
        assert np.allclose(metric(a, b), metric(a.astype("float32"), b.astype("float32")))


def test_equal_images():
    image = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    assert np.isinf(metrics.psnr(image, image)).all()
    assert np.allclose(metrics.ssim(image, image), 1.0)


def test_ssim_of_flat_images():
    a, b, c1 = 100.0, 120.0, (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    assert float(metrics.ssim(flat(100), flat(120))[0]) == pytest.approx(
        expected, abs=1e-3
    )


def test_one_number_an_image_and_batches_do_not_mix():
    random = np.random.default_rng(1)
    a, b = random.integers(0, 256, (2, 3, 20, 16, 3), np.uint8)
    together = metrics.ssim(a, b)
    assert together.shape == (3,)
    assert float(metrics.ssim(a[1:2], b[1:2])[0]) == pytest.approx(float(together[1]))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"Images must be \[B, H, W, 3\]"):
        metrics.psnr(np.zeros((16, 16, 3)), np.zeros((16, 16, 3)))
