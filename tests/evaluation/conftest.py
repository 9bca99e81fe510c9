import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import distribution
from pan_tf import training
from pan_tf.config import Config
from tests.conftest import smooth_noise


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
    with pytest.MonkeyPatch.context() as patch:
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        patch.setattr(distribution, "make_strategy", lambda: strategy)
        training.Training(config, training.StopRequest()).run()
    return run_dir
