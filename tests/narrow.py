"""VGGs of few channels: what is looked at through them costs next to nothing."""

import contextlib
import functools
import sys
import types

import keras
import pytest

from pan_tf.networks import vgg

_CHANNELS = 8


@contextlib.contextmanager
def vggs():
    """Context in which every VGG has eight channels a layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg, "CHANNELS", (_CHANNELS,) * len(vgg.CHANNELS))
        for name, application in vgg.APPLICATIONS.items():
            patch.setitem(vgg.APPLICATIONS, name, functools.partial(_vgg, application))
        yield


def save_weights(path):
    """Writes a file for --vgg_weights of a narrow VGG-16."""
    keras.utils.set_random_seed(1)  # The same whatever ran before.
    _vgg(keras.applications.VGG16, include_top=False).save_weights(path)


def _vgg(application, include_top=True, weights=None, **kwargs):
    module = sys.modules[application.__module__]
    layers = types.SimpleNamespace(**vars(module.layers))
    layers.Conv2D = lambda _, *a, **k: keras.layers.Conv2D(_CHANNELS, *a, **k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "layers", layers)
        return application(include_top=include_top, weights=None, **kwargs)
