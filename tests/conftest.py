"""Two logical CPU devices, toy sizes, and what several tests share."""

import ctypes
import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework import ops

from pan_tf import distribution
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.export import Export
from pan_tf.export import parity
from tests import narrow
from tests.forks import Forks
from tests.trained import train

# A worker that holds this much more than after the last time is tidied up after its test;
# it takes a second. TensorFlow's own heap only grows, and what dead models hold in it
# until Python's garbage is collected makes it grow: its size alone would tell too late.
_GROWTH = 2**28
_tidied = {"resident": 2**30, "tensors": 0}

# Files whose tests take less than a minute together: `-m fast`.
_FAST = (
    "conformance/test_imports.py",
    "data/test_augment.py",
    "data/test_cache.py",
    "data/test_folder.py",
    "data/test_geometry.py",
    "data/test_preprocessing.py",
    "evaluation/test_baselines.py",
    "evaluation/test_compare.py",
    "evaluation/test_measure.py",
    "losses/",
    "metrics/test_functional.py",
    "metrics/test_intervals.py",
    "metrics/test_kid.py",
    "recipes/",
    "test_distribution.py",
    "runs/test_folder.py",
    "test_config.py",
    "test_files.py",
    "test_images.py",
    "test_schedules.py",
)
# Files whose single tests are long, or hold most memory: they begin, since what a worker
# holds grows to the end.
_FIRST = (
    "end_to_end/test_command_line.py",
    "end_to_end/test_examples.py",
    "end_to_end/test_wheel.py",
    "data/test_hostile_files.py",
    "models/test_translation.py",
    "test_precision.py",
    "evaluation/test_browser.py",
    "evaluation/test_evaluate_unpaired.py",
    "papers/reproduction/test_reproduce.py",
)


def pytest_configure(config):
    runtime.use_one_heap()
    # Tracing makes many objects and little garbage. To look through all of TensorFlow's
    # own for it again and again would take a tenth of the suite's time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    # Before any operation runs. One of them is used unless a test makes a strategy.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # As every run is; whatever is made here is made faster.
    runtime.run_operations_alone()


def pytest_collection_modifyitems(items):
    place = pathlib.Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(place)).startswith(_FAST):
            item.add_marker(pytest.mark.fast)
    # A worker that is left with a long one at the end would have the other wait.
    items.sort(key=lambda item: str(item.path.relative_to(place)) not in _FIRST)


@pytest.fixture(autouse=True)
def tidy():
    """Leaves the next test Keras' own policy, and memory."""
    yield
    keras.config.set_dtype_policy("float32")
    if any(size > _tidied[kind] + _GROWTH for kind, size in held_bytes().items()):
        # TensorFlow keeps every gradient of our own for ever, and with it the graph that
        # it was traced in. No graph is differentiated again once its test is over.
        registry = ops.gradient_registry._registry
        for name in [n for n in registry if n.startswith("CustomGradient")]:
            del registry[name]
        keras.backend.clear_session()
        gc.collect()
        if sys.platform == "linux":  # What is free goes back to the system.
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        _tidied.update(held_bytes())


def held_bytes():
    """Memory of this process, and of its tensors; 0 where that is not told."""
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        pages = 0
    try:
        tensors = tf.config.experimental.get_memory_info("CPU:0")["current"]
    except ValueError:
        tensors = 0
    return {"resident": pages * os.sysconf("SC_PAGE_SIZE"), "tensors": tensors}


@pytest.fixture(scope="session", autouse=True)
def started():
    """`parity.start`, of which exports here are spared TensorFlow's import, as it is."""
    forks, own = [], parity.start

    def start(*arguments):
        forks[:] = forks or [Forks(parity.FRESH)]
        return forks[0].start(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "start", start)
        yield own


@pytest.fixture(scope="session")
def two_replicas():
    """MirroredStrategy over two logical CPU devices, the only one of the process."""
    strategy = distribution.make_strategy()
    assert strategy.num_replicas_in_sync == 2
    return strategy


@pytest.fixture
def toy():
    """A configuration that is quick on a CPU; keyword arguments change it."""

    def make(**changes):
        settings = {"image_size": 64, "width": 1 / 16, "batch_size": 2, "iterations": 4}
        settings["dtype_policy"] = "float32"  # Whatever this machine is fast in.
        return Config(**{"dataset": "bluemarble", **settings, **changes})

    return make


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory):
    """A file for --vgg_weights: the right shapes, numbers at random."""
    path = tmp_path_factory.mktemp("vgg") / "vgg16.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None).save_weights(path)
    return path


@pytest.fixture(scope="module")
def narrow_vgg(tmp_path_factory):
    """As `vgg_weights`, of a narrow VGG, as all of them are to the end of the module."""
    path = tmp_path_factory.mktemp("vgg") / "narrow.weights.h5"
    narrow.save_weights(path)
    with narrow.vggs():
        yield path


@pytest.fixture
def pair_folder(tmp_path):
    """Makes D/train and D/val with side-by-side pairs; returns D."""

    def make(train=6, val=2, size=72, folder="pairs"):
        random = np.random.default_rng(0)
        for split, count in (("train", train), ("val", val)):
            if not count:
                continue
            place = tmp_path / folder / split
            place.mkdir(parents=True)
            for i in range(count):
                pixels = smooth_noise(random, size, 2 * size)
                Image.fromarray(pixels).save(place / f"{i:03d}.png")
        return tmp_path / folder

    return make


@pytest.fixture(scope="session")
def small_pairs(tmp_path_factory):
    """A folder of side-by-side pairs: 6 to train on, 5 to validate, 4 to test."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("small_pairs")
    for split, count in (("train", 6), ("val", 5), ("test", 4)):
        (root / split).mkdir()
        for i in range(count):
            pixels = smooth_noise(random, 72, 144)
            Image.fromarray(pixels).save(root / split / f"{split}-{i}.png")
    return root


@pytest.fixture(scope="session")
def small_run(small_pairs, tmp_path_factory):
    """A run folder: four iterations of a narrow PAN, best and last checkpoint."""
    run_dir = tmp_path_factory.mktemp("runs") / "small"
    config = Config(
        dataset="folder",
        data_dir=str(small_pairs),
        recipe="pan_official",
        image_size=64,
        width=1 / 64,
        batch_size=2,
        iterations=6,
        learning_rate=0.01,
        log_every=2,
        validate_every=2,
        best_by="ssim",
        run_dir=str(run_dir),
    )
    train(config)
    return run_dir


@pytest.fixture(scope="session")
def exported(small_run, tmp_path_factory):
    """(folder of the model, version 1, parity report): `small_run`, exported."""
    export_dir = tmp_path_factory.mktemp("exported") / "small"
    path, report = Export(small_run, export_dir, max_pixels=2**16).run()
    return export_dir, path, report


def smooth_noise(random, height, width):
    """uint8 `[height, width, 3]`, blocks of 8 x 8 pixels of one colour."""
    blocks = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
