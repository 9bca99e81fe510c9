"""What a user's Keras is set to does not reach into a run; importing pan_tf is light."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context

from pan_tf import inference
from pan_tf import recipes
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.layers import LeakyReLU
from pan_tf.layers import SymmetricConv2D

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
print(keras.config.epsilon())
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


@pytest.mark.parametrize(
    ("policy", "recompute", "is_on"),
    [
        ("mixed_bfloat16", False, True),
        ("mixed_bfloat16", True, False),
        ("float32", False, False),
        ("mixed_float16", False, False),
    ],
)
def test_activations_are_joined_where_it_pays(policy, recompute, is_on):
    settings = {"image_size": 64, "width": 1 / 64, "dtype_policy": policy}
    recipes.build(Config(**settings, recompute=recompute))
    assert tf.config.optimizer.get_experimental_options()["remapping"] == is_on


@pytest.mark.parametrize("use", ["build", "load"])
def test_an_operation_outside_functions_is_a_kernel(use, request):
    run_dir = request.getfixturevalue("small_run") if use == "load" else None
    handle = context.context()._handle
    pywrap_tfe.TFE_ContextSetRunEagerOpAsFunction(handle, True)
    try:
        # TensorFlow begins what it says of a function of one operation with its name.
        assert "function_node" in said_of_a_wrong_shape(3)
        if run_dir:
            inference.Translator(run_dir)
        else:
            recipes.build(Config(image_size=64, width=1 / 64))
        assert "function_node" not in said_of_a_wrong_shape(5)
    finally:
        runtime.run_operations_alone()


def said_of_a_wrong_shape(size):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.raw_ops.Reshape(tensor=tf.zeros(4), shape=[size])
    return str(caught.value)


@pytest.mark.parametrize(("gpus", "calls"), [([], [False]), (["GPU:0"], [])])
def test_with_a_gpu_operations_stay_what_they_are(gpus, calls, monkeypatch):
    found = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(
        pywrap_tfe,
        "TFE_ContextSetRunEagerOpAsFunction",
        lambda handle, is_on: found.append(is_on),
    )
    runtime.run_operations_alone()
    assert found == calls


def test_a_tensorflow_without_that_switch_is_left_as_it_is(monkeypatch):
    monkeypatch.delattr(pywrap_tfe, "TFE_ContextSetRunEagerOpAsFunction")
    runtime.run_operations_alone()


def test_joined_activations_are_the_same_function():
    images = tf.random.stateless_uniform((2, 32, 32, 8), (0, 1), -1, 1, tf.bfloat16)
    with runtime.under_policy("mixed_bfloat16"):
        network = keras.Sequential([SymmetricConv2D(8, 3), LeakyReLU(0.2)])

    def outputs_and_gradients(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = network(images)
        return outputs, tape.gradient(outputs, images)

    found = []
    for policy in ("float32", "mixed_bfloat16"):
        runtime.join_activations(policy)
        values = tf.function(outputs_and_gradients)(images)
        found.append([tf.cast(each, tf.float32).numpy() for each in values])
    runtime.join_activations("float32")
    for apart, joined in zip(*found, strict=True):
        np.testing.assert_allclose(apart, joined, rtol=0, atol=2**-7 * apart.max())


JOINED = """
import sys
import tensorflow as tf
from pan_tf import recipes
from pan_tf import tracing
from pan_tf.config import Config
from tests import narrow

settings = {"image_size": 64, "width": 1 / 16, "batch_size": 1}
settings |= {"dtype_policy": "mixed_bfloat16"}
with narrow.vggs():
    narrow.save_weights(sys.argv[1])
    for name, row in recipes.RECIPES.items():
        if set(row.transformers) == {"fill"}:
            continue
        vgg = {"vgg": "vgg16", "vgg_weights": sys.argv[1]}
        vgg = vgg if row.looks_through_vgg else {}
        model = recipes.build(Config(recipe=name, **settings, **vgg))
        shape = (1, model.schedule.minibatches, 64, 64, 3)
        images = tf.random.stateless_uniform(shape, (0, 1), -1, 1)
        tracing.function(model.train_step)({"source": images, "target": -images})
        print(name)
"""


@pytest.mark.slow
def test_no_graph_is_given_up_on_where_activations_are_joined(tmp_path):
    """TensorFlow's remapper does not ask who else reads what it takes out."""
    done = subprocess.run(
        [sys.executable, "-c", JOINED, tmp_path / "narrow.weights.h5"],
        cwd=pathlib.Path(__file__).parents[1],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(done.stdout.split()) > 20
    assert "remapper failed" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [('{"floatx": "bfloat16"}', "floatx"), ('{"image_data_format": "x"}', "image_data")],
)
def test_a_keras_json_that_keras_refuses_is_a_sentence(settings, named, tmp_path):
    (tmp_path / "keras.json").write_text(settings)
    done = subprocess.run(
        [sys.executable, "-m", "pan_tf", "train", "--dataset=bluemarble", "--dry_run"],
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert f"imported with {tmp_path}/keras.json: " in done.stderr
    assert named in done.stderr
