import numpy as np
import pytest
import tensorflow as tf

from pan_tf import metrics
from tests.metrics import twins

ALL = ("psnr", "ssim", "uqi", "vif", "vifp", "psnr_rgb", "ssim_rgb")
LUMA = ("psnr", "ssim", "uqi", "vif", "vifp")


def flat(level, size=48):
    return np.full((1, size, size, 3), level, np.uint8)


def noise(height=48, width=64, batch=1, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (batch, height, width, 3), np.uint8)


def textured(height, width, seed=0):
    """Smooth waves with a little noise, and a noisier, darker copy of them."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack(
        [128 + 90 * np.sin(x / 9 + c) * np.cos(y / 13) for c in range(3)], -1
    )
    reference = waves + random.normal(0, 4, waves.shape)
    prediction = 0.8 * waves + random.normal(0, 12, waves.shape)
    return [np.clip(p.round(), 0, 255).astype(np.uint8) for p in (reference, prediction)]


@pytest.mark.parametrize("metric", LUMA)
@pytest.mark.parametrize(
    "size", [(64, 64), (45, 97), (130, 71)], ids=["square", "wide", "tall"]
)
def test_equal_to_a_slow_twin(metric, size):
    for reference, prediction in (textured(*size), noise(*size, batch=2)):
        measured = getattr(metrics, metric)(reference[None], prediction[None])
        twin = getattr(twins, metric)(reference, prediction)
        assert float(measured[0]) == pytest.approx(twin, abs=1e-5)


@pytest.mark.parametrize("metric", LUMA)
@pytest.mark.parametrize(
    ("a", "b"),
    [(flat(0), flat(255)), (flat(100), noise(48, 48)), (noise(48, 48), flat(9))],
)
def test_equal_to_a_slow_twin_on_flat_images(metric, a, b):
    twin = getattr(twins, metric)(a[0], b[0])
    measured = float(getattr(metrics, metric)(a, b)[0])
    assert measured == pytest.approx(twin, abs=1e-5) and not np.isnan(measured)


@pytest.mark.parametrize("image", [noise(48, 48), flat(0), flat(77), flat(255)])
def test_equal_images_are_perfect(image):
    for metric in ("ssim", "uqi", "vif", "vifp", "ssim_rgb"):
        value = float(getattr(metrics, metric)(image, image)[0])
        assert value == pytest.approx(1.0, abs=1e-6), metric
    assert np.isinf(metrics.psnr(image, image)[0])
    assert np.isinf(metrics.psnr_rgb(image, image)[0])


def test_blank_predictions_score_nothing_on_uqi_and_vif():
    for metric in ("uqi", "vif", "vifp"):
        value = getattr(metrics, metric)(noise(48, 48), flat(128))
        assert abs(float(value[0])) < 1e-6, metric


def test_a_flat_reference_has_no_information_to_keep():
    for metric in ("vif", "vifp"):
        function = getattr(metrics, metric)
        assert float(function(flat(100), noise(48, 48))[0]) == 0.0
        assert float(function(flat(100), flat(140))[0]) == 1.0


def test_a_reference_of_next_to_nothing_counts_as_flat():
    speck = flat(200, 128)
    speck[0, -1, -1] = (200, 200, 199)
    for metric in ("vif", "vifp"):
        function = getattr(metrics, metric)
        assert float(function(speck, speck)[0]) == 1.0
        assert float(function(speck, noise(128, 128))[0]) == 0.0
        assert float(function(speck, flat(200, 128))[0]) == 1.0


def test_uqi_of_two_flat_images_compares_their_levels():
    # An orange and a violet: luma is no whole number, where the reference code errs.
    a, b = flat(0), flat(0)
    a[...], b[...] = (201, 120, 33), (99, 51, 180)
    y_a, y_b = twins.luma(a)[0, 0, 0], twins.luma(b)[0, 0, 0]
    expected = 2 * y_a * y_b / (y_a**2 + y_b**2)
    assert float(metrics.uqi(a, b)[0]) == pytest.approx(expected, abs=1e-6)
    third = (a / np.float32(3.0)).astype(np.float32)  # Fractions, as of a network.
    assert float(metrics.uqi(third, third)[0]) == pytest.approx(1.0, abs=1e-6)


def test_ssim_of_flat_images_is_its_luminance():
    c1 = 2.55**2
    expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    measured = float(metrics.ssim(flat(100), flat(120))[0])
    assert measured == pytest.approx(expected, abs=1e-6)


def test_psnr_of_a_known_error():
    # Ten levels everywhere: 10 log10(255^2 / 100).
    value = float(metrics.psnr(flat(100), flat(110))[0])
    assert value == pytest.approx(28.1308, abs=1e-4)


def test_luma_weighs_the_channels_and_rgb_does_not():
    red = flat(100)
    red[..., 0] += 10  # Y differs by 2.99.
    luma = float(metrics.psnr(flat(100), red)[0])
    rgb = float(metrics.psnr_rgb(flat(100), red)[0])
    assert luma == pytest.approx(20 * np.log10(255 / 2.99), abs=1e-4)
    assert rgb == pytest.approx(10 * np.log10(255**2 / (100 / 3)), abs=1e-4)


def test_ssim_rgb_is_the_mean_over_channels():
    a, b = noise(batch=2)
    gray = [
        float(metrics.ssim(*(np.repeat(p[None, ..., [c]], 3, -1) for p in (a, b)))[0])
        for c in range(3)
    ]
    measured = float(metrics.ssim_rgb(a[None], b[None])[0])
    assert measured == pytest.approx(np.mean(gray), abs=1e-5)


def test_uint8_does_not_wrap_around():
    assert metrics.psnr(flat(10), flat(20))[0] == metrics.psnr(flat(20), flat(10))[0]


@pytest.mark.parametrize("metric", ALL)
def test_dtypes_agree_and_batches_do_not_mix(metric):
    function = getattr(metrics, metric)
    a, b = noise(batch=3), noise(batch=3, seed=1)
    together = function(a, b)
    assert together.shape == (3,) and together.dtype == tf.float32
    assert np.allclose(together, function(a.astype("float32"), b.astype("float64")))
    assert np.allclose(together[1:2], function(a[1:2], b[1:2]), atol=1e-6)


@pytest.mark.parametrize("metric", ALL)
def test_the_same_in_a_graph_with_an_open_batch(metric):
    function = getattr(metrics, metric)
    spec = tf.TensorSpec((None, 48, 64, 3), tf.uint8)
    graph = tf.function(function, input_signature=[spec, spec])
    a, b = noise(batch=2), noise(batch=2, seed=1)
    assert np.allclose(graph(a, b), function(a, b), atol=1e-6)


@pytest.mark.parametrize("metric", ALL)
def test_wrong_images_are_refused_in_a_sentence(metric):
    function, image = getattr(metrics, metric), noise()
    with pytest.raises(ValueError, match=r"reference must be \[B, H, W, C\]"):
        function(image[0], image[0])
    with pytest.raises(ValueError, match="must have one shape"):
        function(image, image[:, :-1])
    with pytest.raises(TypeError, match=r"prediction must be uint8 .*int32"):
        function(image, image.astype(np.int32))
    with pytest.raises(ValueError, match=r"prediction must be in \[0, 255\].*-1"):
        function(image, image / 127.5 - 1)
    with pytest.raises(ValueError, match=r"fractions from 0 to 1, as of images in"):
        function(image, image / 255.0)
    with pytest.raises(ValueError, match=r"reference must be in \[0, 255\].*nan"):
        function(image * np.float32("nan"), image)


@pytest.mark.parametrize("metric", ["psnr", "ssim", "uqi", "vif", "vifp"])
def test_a_grey_image_is_measured_as_itself(metric):
    """One channel or three equal ones: the same luma, up to its rounding."""
    function = getattr(metrics, metric)
    one, other = noise()[..., :1], noise()[:, ::-1, ::-1, 1:2]
    grey = function(one, other)
    rgb = function(np.repeat(one, 3, -1), np.repeat(other, 3, -1))
    np.testing.assert_allclose(grey, rgb, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["psnr_rgb", "ssim_rgb"])
def test_channels_count_alike_whatever_their_number(metric):
    function = getattr(metrics, metric)
    one, other = noise()[..., :1], noise()[:, ::-1, ::-1, 1:2]
    grey = function(one, other)
    for count in (3, 4):
        many = function(np.repeat(one, count, -1), np.repeat(other, count, -1))
        np.testing.assert_allclose(grey, many, rtol=1e-5, atol=1e-6)


def test_wrong_ranges_are_refused_in_a_graph_too():
    graph = tf.function(metrics.psnr)
    with pytest.raises(tf.errors.InvalidArgumentError, match="prediction must be in"):
        graph(tf.zeros((1, 8, 8, 3)), tf.fill((1, 8, 8, 3), -1.0))


@pytest.mark.parametrize(("metric", "smallest"), [("ssim", 11), ("uqi", 8), ("vif", 17)])
def test_images_too_small_for_a_metric_are_refused(metric, smallest):
    image = noise(smallest - 1, 64)
    with pytest.raises(ValueError, match=f"at least {smallest} px a side"):
        getattr(metrics, metric)(image, image)


def test_vif_warns_where_borders_outweigh_the_image():
    with pytest.warns(UserWarning, match="below 41 px a side says little: 24 x 64"):
        metrics.vif(noise(24), noise(24))
