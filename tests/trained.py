"""Training runs that tests make for themselves."""

import pytest
import tensorflow as tf

from pan_tf import distribution
from pan_tf.runs import training


def train(config):
    """Trains to the end on one device; a session's strategy of two stays out of it."""
    with pytest.MonkeyPatch.context() as patch:
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        patch.setattr(distribution, "make_strategy", lambda: strategy)
        training.Training(config, training.StopRequest()).run()
