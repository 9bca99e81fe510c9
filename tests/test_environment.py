"""What a user's Keras is set to does not reach into a run; importing pan_tf is light."""

import json
import os
import subprocess
import sys

import pytest

from pan_tf import runtime

BUILD = """
import hashlib
import pan_tf
import keras
import numpy as np
import tensorflow as tf
from pan_tf import networks, recipes
try:
    networks.check_vgg_weights("nowhere.weights.h5")  # Before anything is set up.
except ValueError:
    print(keras.config.dtype_policy().name)
settings = {"image_size": 64, "width": 1 / 64, "batch_size": 2, "t_updates": 1}
model = recipes.build(pan_tf.Config(**settings))
images = tf.random.stateless_uniform((2, 2, 64, 64, 3), (0, 1), -1, 1)
logs = model.train_step({"source": images, "target": -images})
digest = hashlib.sha256()
for variable in [*model.transformer.variables, *model.t_optimizer.variables]:
    digest.update(np.asarray(variable).tobytes())
print({name: float(value) for name, value in sorted(logs.items())}, digest.hexdigest())
print(model.t_optimizer.learning_rate.dtype)
"""


def run(code, keras_home, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "KERAS_HOME": str(keras_home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_users_keras_json_changes_nothing(tmp_path):
    (tmp_path / "mine").mkdir()
    settings = {
        "floatx": "float16",
        "epsilon": 1e-2,
        "backend": "jax",
        "image_data_format": "channels_first",
    }
    (tmp_path / "mine" / "keras.json").write_text(json.dumps(settings))
    plain = run(BUILD, tmp_path / "none").stdout
    assert plain.startswith("float32\n") and plain.endswith("float32\n")
    assert run(BUILD, tmp_path / "mine").stdout == plain


def test_importing_it_is_light_and_its_names_are_there_on_demand(tmp_path):
    """And another backend of Keras is not used, which is said."""
    code = """
import sys
import pan_tf
assert not {"tensorflow", "keras", "numpy"} & set(sys.modules)
assert set(pan_tf.__all__) <= set(dir(pan_tf))
import keras
print(keras.config.backend())
image = [[[[9.0] * 3] * 16] * 16]
print(round(float(pan_tf.metrics.ssim(image, image)[0]), 5))
for name in pan_tf.__all__:
    getattr(pan_tf, name)
"""
    done = run(code, tmp_path, KERAS_BACKEND="torch")
    assert done.stdout == "tensorflow\n1.0\n"
    assert "KERAS_BACKEND=torch is not used" in done.stderr


def test_an_unknown_name_is_an_attribute_error():
    import pan_tf

    with pytest.raises(AttributeError, match="no attribute 'metricks'"):
        _ = pan_tf.metricks


@pytest.mark.parametrize(
    ("gain", "policy"), [(1.9, "mixed_bfloat16"), (1.1, "float32"), (0.25, "float32")]
)
def test_auto_is_the_policy_that_the_machine_is_fast_in(gain, policy, monkeypatch):
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: gain)
    assert runtime.dtype_policy("auto") == policy
    assert runtime.dtype_policy("mixed_float16") == "mixed_float16"


def test_what_bfloat16_gains_is_measured():
    assert 0.01 < runtime.bfloat16_gain() < 100.0
