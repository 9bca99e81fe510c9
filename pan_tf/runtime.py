"""Settings of the process: what TensorFlow, Keras and the C library are told."""

import contextlib
import ctypes
import functools
import time

import keras
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context

_M_ARENA_MAX = -8  # Of malloc.h.
# A convolution that takes some ten milliseconds of a core; as wide as those of networks.
_MEASURED = (2, 32, 32, 128)
_TIMES = 5
_WORTH = 1.25  # How much faster bfloat16 must be to be chosen.
_TENSOR_CORES = 8, 0  # NVIDIA's compute capability from which GPUs have bfloat16.


def prepare(deterministic=False):
    """Call it once, before anything is computed.

    Args:
        deterministic: only deterministic kernels.
    """
    set_up_keras()
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    join_activations("float32")
    use_one_heap()


def is_on_cpu():
    """Whether networks are computed on CPUs. Whatever pays only there asks this."""
    return not tf.config.list_logical_devices("GPU")


def join_activations(policy, recompute=False):
    """Has TensorFlow join convolutions with the activations after them, or not.

    In bfloat16 on CPUs a round of PAN takes .91 to .95 of the time. In float32 next to
    nothing is gained, and results that are published would round otherwise; a GPU's
    kernels of training are not joined. Where activations are computed again, one
    convolution may have two of them: TensorFlow's remapper joins it with the first,
    reports an error about the other, and gives up on the whole graph.

    Args:
        policy: dtype policy of the networks.
        recompute: whether activations are computed again in backward passes.
    """
    pays = policy == "mixed_bfloat16" and not recompute
    remapping = pays and is_on_cpu()
    tf.config.optimizer.set_experimental_options({"remapping": remapping})


def run_operations_alone():
    """Has CPUs run an operation outside of functions as the kernel that it is.

    TensorFlow makes a function of each that it has not seen yet with the same shapes and
    names, and puts that through all its passes: .7 ms in place of .04. The networks of
    the quickstart are built in .9 s in place of 1.5. Results are the same to the bit;
    functions are as they were, and so are GPUs. A TensorFlow without that switch, which
    only its own C interface names, is left as it is.
    """
    # The context is there from here on, and settings of devices are made.
    pays = is_on_cpu()
    switch = getattr(pywrap_tfe, "TFE_ContextSetRunEagerOpAsFunction", None)
    handle = getattr(context.context(), "_handle", None)
    if switch and handle and pays:
        switch(handle, False)


def use_one_heap():
    """Tells glibc not to give each thread a heap of its own.

    Tensors that one thread makes and another drops leave them full of holes: 2.9 GiB
    instead of 2.4 after some rounds at 256 px. Other C libraries have one heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def set_up_keras():
    """Sets what networks and optimizers depend on, whatever the user's keras.json says.

    That file is for all programs of a user. Half precision is a setting of the run,
    `--dtype_policy`; under a `floatx` of float16 learning rates would be float16 too.
    """
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


@contextlib.contextmanager
def under_policy(name=None):
    """Context with another dtype policy of Keras; after it there is the one before it.

    Args:
        name: of the policy; None: the same, which may be changed in the context.
    """
    before = keras.config.dtype_policy()
    try:
        if name is not None:
            keras.config.set_dtype_policy(name)
        yield
    finally:
        keras.config.set_dtype_policy(before)


def dtype_policy(name):
    """A Keras dtype policy by its name; "auto" is the one this machine is fast in.

    None, of a configuration that no recipe has completed, is float32.
    """
    if name != "auto":
        return name or "float32"
    return "mixed_bfloat16" if bfloat16()[0] else "float32"


def bfloat16():
    """Whether this machine is fast in bfloat16, and why: the end of a sentence."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        found = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
        able = [each.get("compute_capability", (0, 0)) for each in found]
        is_fast = min(able) >= _TENSOR_CORES
        least = ".".join(map(str, min(able)))
        return is_fast, f"a GPU's compute capability is {least}, of 8.0 on they have it"
    gain = bfloat16_gain()
    return gain >= _WORTH, f"convolutions are {gain:.1f} times as fast in bfloat16 here"


@functools.cache
def bfloat16_gain():
    """How many times as fast as in float32 a convolution is in bfloat16 on this CPU.

    Measured once a process, in .2 s at most. CPUs without instructions for bfloat16 are
    slower in it.
    """
    calls = {}
    for dtype in (tf.float32, tf.bfloat16):
        images = tf.ones(_MEASURED, dtype)
        kernel = tf.ones((3, 3, *_MEASURED[-1:] * 2), dtype)
        calls[dtype] = functools.partial(tf.nn.conv2d, images, kernel, 1, "SAME")
    seconds = {dtype: [] for dtype in calls}
    for _ in range(1 + _TIMES):
        for dtype, call in calls.items():
            begin = time.perf_counter()
            call().numpy()
            seconds[dtype].append(time.perf_counter() - begin)
    float32, bfloat16 = (min(found) for found in seconds.values())
    return float32 / bfloat16
