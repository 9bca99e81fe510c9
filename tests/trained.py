"""Training runs that tests make for themselves."""

import contextlib
import dataclasses
import functools
import inspect

import pytest
import tensorflow as tf

from pan_tf import distribution
from pan_tf import recipes
from pan_tf.metrics import METRICS
from pan_tf.runs import training


@contextlib.contextmanager
def shallow(**arguments):
    """Context in which Ts have a single residual block: tracing nine takes half a minute.

    Other arguments, too, are given to all Ts that take them: `depth` of U-Nets.
    A run folder stores what its system is, so that it is used outside as it was trained.
    """
    arguments = {"num_blocks": 1, **arguments}
    with pytest.MonkeyPatch.context() as patch:
        for name, row in recipes.RECIPES.items():
            transformers = {}
            for role, build in row.transformers.items():
                taken = arguments.keys() & inspect.signature(build).parameters.keys()
                given = {key: arguments[key] for key in taken}
                transformers[role] = functools.partial(build, **given)
            row = dataclasses.replace(row, transformers=transformers)
            patch.setitem(recipes.RECIPES, name, row)
        yield


@contextlib.contextmanager
def eagerly():
    """Context without tracing, which takes longer than toys are trained."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def few_metrics(*more):
    """Context in which PSNR, UQI, Balanced and more are measured, and what is asked for.

    To trace all, VIF above all, takes longer than to train a toy.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in METRICS.keys() - {"balanced", "psnr", "psnr_rgb", "uqi", *more}:
            row = dataclasses.replace(METRICS[name], is_usual=False)
            patch.setitem(METRICS, name, row)
        yield


def train(config):
    """Trains to the end on one device; a session's strategy of two stays out of it.

    In float32 unless the configuration says: not in what this machine is fast in.
    """
    config = config.replace(dtype_policy=config.dtype_policy or "float32")
    with pytest.MonkeyPatch.context() as patch, shallow(), eagerly():
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        patch.setattr(distribution, "make_strategy", lambda: strategy)
        training.Training(config, training.StopRequest()).run()
