"""LPIPS, FID and KID against the original implementations, under shared random weights.

The golden values are those of lpips 0.1.4 and pytorch-fid 0.3.0, with PyTorch 2.13, whose
networks were given the weights that `weight` makes (tests/golden/networks/README.md).
"""

import pathlib
import zlib

import keras
import numpy as np
import pytest

from pan_tf import metrics
from pan_tf import networks
from pan_tf.metrics.distribution import features
from pan_tf.metrics.distribution import frechet
from pan_tf.metrics.distribution import kid
from pan_tf.metrics.distribution.sets import Sets
from pan_tf.networks import published
from pan_tf.networks.inception import NUM_FEATURES
from tests import torch_writer

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden/networks/perceptual.npz")


def weight(name, shape):
    """Weights by the name and the shape of an entry of a state dictionary."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    z = random.standard_normal(shape).astype("float32")
    if name.startswith("lin"):
        return np.abs(z) / float(shape[1])
    if z.ndim == 4:
        return z * float((2.0 / np.prod(shape[1:])) ** 0.5)
    if name.endswith("running_var"):
        return np.exp(0.2 * z)
    return 1.0 + 0.2 * z if name.endswith("weight") else 0.1 * z


def image(seed, height, width):
    random = np.random.default_rng(seed)
    base = random.random((height // 8 + 1, width // 8 + 1, 3))
    coarse = np.kron(base, np.ones((8, 8, 1)))[:height, :width]
    fine = random.random((height, width, 3))
    return np.clip(255 * (0.8 * coarse + 0.2 * fine), 0, 255).astype("uint8")


def changed(pixels):
    noise = np.random.default_rng(3).integers(-12, 13, pixels.shape)
    return np.clip(pixels.astype(int) + noise, 0, 255).astype("uint8")


def inception_shapes():
    """Entries of pytorch-fid's file, by our network, whose layers have their names."""
    shapes = {}
    for layer in _untrained().layers:
        if isinstance(layer, keras.layers.Conv2D):
            *blocks, last = layer.name.rpartition("_branch")
            name = "".join(blocks[:-1]) + (".branch" + last if blocks[-1] else last)
            height, width, into, out = layer.kernel.shape
            shapes[f"{name}.conv.weight"] = (out, into, height, width)
            for each in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{name}.bn.{each}"] = (out,)
    return shapes


def _untrained():
    found = {}

    def keep(path):
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pan_tf.networks.inception.read_state_dict", keep)
        patch.setattr("pan_tf.networks.inception._take", lambda *_: None)
        return networks.inception_features("nowhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder of the three files, by their published names, of random weights."""
    path = tmp_path_factory.mktemp("weights")
    convolutions = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3)}
    convolutions[10] = 256, 256, 3
    alexnet, linear = {}, {}
    for i, (number, (out, into, size)) in enumerate(convolutions.items()):
        alexnet[f"features.{number}.weight"] = out, into, size, size
        alexnet[f"features.{number}.bias"] = (out,)
        linear[f"lin{i}.model.1.weight"] = 1, out, 1, 1
    for network, shapes in (
        ("alexnet", alexnet),
        ("lpips_alex", linear),
        ("inception", inception_shapes()),
    ):
        arrays = {name: weight(name, shape) for name, shape in shapes.items()}
        torch_writer.save(path / networks.PUBLISHED[network].name, arrays)
    return path


@pytest.fixture(scope="module")
def lpips(folder):
    return metrics.METRICS["lpips"].function_by(
        metrics.locate_weights(["lpips"], folder=folder)
    )


@pytest.mark.parametrize("size", ["64x64", "96x70", "37x53", "128x128"])
def test_lpips_is_the_originals(lpips, size):
    one, other = (image(seed, *map(int, size.split("x"))) for seed in (1, 2))
    for name, second in (("other", other), ("changed", changed(one))):
        expected = float(GOLDEN[f"lpips_alex|{size}|{name}"])
        (found,) = lpips(one[None], second[None]).numpy()
        assert found == pytest.approx(expected, rel=1e-4)
        assert abs(found - expected) < 1e-6


def test_lpips_of_equal_images_is_0_and_takes_grey(lpips):
    one = image(1, 64, 64)[None]
    assert float(lpips(one, one)[0]) == 0.0
    grey = one[..., :1]
    rgb = np.repeat(grey, 3, axis=-1)
    np.testing.assert_allclose(lpips(grey, one[..., 1:2]), lpips(rgb, one[..., [1] * 3]))


@pytest.mark.parametrize("size", ["64x64", "128x96"])
def test_inception_sees_what_the_originals_does(folder, size):
    height, width = map(int, size.split("x"))
    pixels = np.stack([image(seed, height, width) for seed in (1, 2, 3)])
    weights = metrics.locate_weights(["fid"], folder=folder)
    found = features.extract("inception", weights, pixels)
    expected = GOLDEN[f"fid_features|{size}"]
    assert found.shape == (3, NUM_FEATURES)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4)


def gaussians():
    real = np.random.default_rng(7).standard_normal((200, 16))
    return real, 1.3 * np.random.default_rng(8).standard_normal((150, 16)) + 0.2


def test_frechet_distance_and_kernel_distance_are_the_originals():
    found = frechet.frechet_distance(*gaussians())
    assert found["mean"] == pytest.approx(float(GOLDEN["fid|gauss16"]), rel=1e-9)
    found = kid.unbiased(*gaussians())["mean"]
    assert found == pytest.approx(float(GOLDEN["kid|gauss16"]), rel=1e-9)


def test_frechet_distance_is_exact_with_fewer_images_than_features():
    """Two sets that differ along one axis only, worked out by hand."""
    real, generated = np.zeros((5, 400)), np.zeros((5, 400))
    real[:, 7], generated[:, 7] = [-2, -1, 0, 1, 2], [-4, -2, 0, 2, 4]
    # Variances 2.5 and 10: (sqrt 10 - sqrt 2.5)^2.
    expected = (10**0.5 - 2.5**0.5) ** 2
    found = frechet.frechet_distance(real, generated)
    assert found["mean"] == pytest.approx(expected)
    assert frechet.frechet_distance(real, real)["mean"] == pytest.approx(0.0, abs=1e-9)


def test_the_interval_of_a_frechet_distance_holds_that_of_large_sets():
    """A shift, against which the bias is small."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(60):
        real, generated = random.standard_normal((2, 400, 2))
        generated[:, 0] += 1.5
        low, high = frechet.frechet_distance(real, generated)["ci95"]
        held += low <= 1.5**2 <= high
    assert held >= 51


def test_features_of_real_images_are_looked_at_once(folder, monkeypatch):
    seen = []

    def counted(network, weights, pixels):
        seen.append(len(pixels))
        return np.asarray(pixels, float).reshape(len(pixels), -1)[:, :8] / 255

    monkeypatch.setattr("pan_tf.metrics.distribution.sets.extract", counted)
    real = np.stack([image(seed, 32, 32) for seed in range(6)])
    kept = {}
    for count in (4, 5):
        sets = Sets(real, real[:count], seen=kept)
        for name in ("fid", "kid"):
            metrics.SET_METRICS[name].of_sets(sets)
    assert seen == [6, 4, 5]


# Where the files come from.


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """What servers give: url -> bytes; and Keras' folder, empty."""
    served = {}
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: tmp_path)

    def urlretrieve(url, filename, *_):
        if url not in served:
            raise OSError("no network")
        pathlib.Path(filename).write_bytes(served[url])

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", urlretrieve)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    published._downloaded.cache_clear()
    yield served
    published._downloaded.cache_clear()


@pytest.fixture
def served(downloads, monkeypatch):
    """The servers give `test` for one file, whose checksum is published."""
    url = networks.PUBLISHED["lpips_alex"].url
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    file = published.PublishedFile(url, sha256)
    monkeypatch.setitem(networks.PUBLISHED, "lpips_alex", file)
    downloads[url] = b"test"
    return file


def test_a_file_is_fetched_once_and_checked(downloads, served):
    path, found = networks.locate_published("lpips_alex")
    assert found == served.sha256 and pathlib.Path(path).read_bytes() == b"test"
    downloads.clear()
    published._downloaded.cache_clear()
    assert networks.locate_published("lpips_alex") == (path, served.sha256)


def test_half_a_file_of_a_killed_download_is_fetched_anew(served):
    path, _ = networks.locate_published("lpips_alex")
    pathlib.Path(path).write_bytes(b"te")
    published._downloaded.cache_clear()
    assert networks.locate_published("lpips_alex") == (path, served.sha256)
    assert pathlib.Path(path).read_bytes() == b"test"


def test_a_file_of_another_checksum_is_refused(downloads):
    downloads[networks.PUBLISHED["lpips_alex"].url] = b"something else"
    with pytest.raises(
        networks.WeightsNotFoundError, match="Incomplete or corrupted file"
    ):
        networks.locate_published("lpips_alex")


def test_without_a_network_it_is_said_how_to_do_without(downloads):
    with pytest.raises(networks.WeightsNotFoundError, match="--metric_weights=FOLDER"):
        networks.locate_published("inception")


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(networks.WeightsNotFoundError, match="must hold alexnet-owt"):
        metrics.locate_weights(["lpips"], folder=tmp_path)


def test_a_file_that_holds_another_network_is_named(folder, tmp_path):
    for network in ("alexnet", "lpips_alex"):
        name = networks.PUBLISHED[network].name
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch_writer.save(tmp_path / "alex.pth", {"lin0": np.ones((2,), "float32")})
    with pytest.raises(ValueError, match=r"alex\.pth cannot be used for LPIPS"):
        metrics.locate_weights(["lpips"], folder=tmp_path)


def test_another_file_than_the_published_one_is_told(tmp_path, caplog):
    file = published.PUBLISHED["lpips_alex"]
    (tmp_path / file.name).write_bytes(b"other")
    networks.published.locate_published("lpips_alex", tmp_path)
    assert "is not the published one" in caplog.text
