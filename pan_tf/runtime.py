"""Settings of the process: what TensorFlow and the C library are told before training."""

import ctypes

import tensorflow as tf

_M_ARENA_MAX = -8  # Of malloc.h.


def prepare(deterministic=False):
    """Call it once, before anything is computed.

    Args:
        deterministic: only deterministic kernels.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    # It would fuse layer 9 of D with its activation, finds that a gradient still needs
    # what lies between, gives up on the whole graph and reports an error.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    # glibc gives each thread a heap of its own, and tensors that one thread makes and
    # another drops leave them full of holes: 2.9 GiB instead of 2.4 after some cycles at
    # 256 px. Other C libraries have one heap.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
