"""Settings of the process: what TensorFlow, Keras and the C library are told."""

import ctypes

import keras
import tensorflow as tf

_M_ARENA_MAX = -8  # Of malloc.h.


def prepare(deterministic=False):
    """Call it once, before anything is computed.

    Args:
        deterministic: only deterministic kernels.
    """
    set_up_keras()
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    # It would fuse layer 9 of D with its activation, finds that a gradient still needs
    # what lies between, gives up on the whole graph and reports an error.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    use_one_heap()


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
