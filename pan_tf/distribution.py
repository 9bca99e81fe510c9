"""Strategies: which devices and machines a run uses."""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import signal
import threading

import numpy as np
import tensorflow as tf

from pan_tf import files
from pan_tf import tracing

_TRAIN = "chief", "worker"  # Kinds of processes in TF_CONFIG.
# An IPv6 host stands in brackets: without them its last group would be the port.
_ADDRESS = r"(\[[\w:.%]+\]|[^\s:/,\[\]]+):[0-9]+"
_UNREACHABLE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


@functools.cache
def make_strategy():
    """The strategy for this process; call it before anything else touches a device.

    `MultiWorkerMirroredStrategy` where TF_CONFIG names workers; otherwise
    `MirroredStrategy` over all GPUs of the machine or, without one, over its logical CPU
    devices.

    One a process: the collectives of a second MirroredStrategy are cancelled.

    Raises:
        TroubleError: if the other workers do not come, or leave before all are there.
        ValueError: as of `cluster`, or if another process listens at its address.
    """
    if (found := cluster()) is not None:
        addresses, place = found
        others = [address for i, address in enumerate(addresses) if i != place]
        if others:
            print(f"Waiting for the other workers: {', '.join(others)}.", flush=True)
        try:
            _name_somebody()
            with _obeying_interrupts():
                strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.UnknownError as error:
            raise ValueError(
                f"TF_CONFIG: {addresses[place]} cannot be listened at. Is another "
                f"process still there? ({_clause(error)})"
            ) from error
        except (*_UNREACHABLE, tf.errors.InternalError) as error:
            raise files.TroubleError(
                f"TF_CONFIG: {', '.join(others)} did not join. ({_clause(error)})"
            ) from error
        _take_back_sigterm()
        return strategy
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _clause(error):
    """TensorFlow's reason without what it knows of gRPC, which is some lines."""
    return re.split(r"\s*(?:\n|\[type\.googleapis|Additional GRPC)", error.message)[0]


def _name_somebody():
    """Takes kinds that name nobody out of TF_CONFIG: TensorFlow crashes on them."""
    found = json.loads(os.environ["TF_CONFIG"])
    jobs = {kind: addresses for kind, addresses in found["cluster"].items() if addresses}
    os.environ["TF_CONFIG"] = json.dumps(found | {"cluster": jobs})


@contextlib.contextmanager
def _obeying_interrupts():
    """Context in which Ctrl-C ends the process: C++ that waits runs no handler.

    SIGTERM, of which TensorFlow has a handler of its own, does not.
    """
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    # A background job ignores it; what is not Python's cannot be put back.
    if not is_main or before in (signal.SIG_IGN, None):
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _take_back_sigterm():
    """Puts Python's handler of SIGTERM back.

    TensorFlow's coordination service has put its own in its place, which swallows the
    signal; Python still knows, and names, the one before.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


def cluster():
    """The processes that train together, as the variable TF_CONFIG names them.

    Returns:
        (addresses, the chief's first; this process' place among them); None where the
        variable is not set, or names nobody.

    Raises:
        ValueError: if no `MultiWorkerMirroredStrategy` can be made from it.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    try:
        found = json.loads(text or "{}")
        jobs = found.get("cluster", {})
        for addresses in jobs.values():
            if not isinstance(addresses, list):
                raise TypeError
            for address in addresses:
                is_one = re.fullmatch(_ADDRESS, address)
                if not is_one or not 0 < int(address.rpartition(":")[2]) < 2**16:
                    raise ValueError(f"{address!r} is no host and port. ")
        named = {kind: addresses for kind, addresses in jobs.items() if addresses}
        if not jobs:
            return None
        kind, index = str(found["task"]["type"]), str(found["task"]["index"])
        if not re.fullmatch("[0-9]{1,9}", index):
            raise ValueError(f"{index} is no index. ")
        index = int(index)
        # An evaluator need not stand in the cluster; it is refused below.
        if kind in _TRAIN and index >= (count := len(jobs.get(kind, []))):
            has = f"{count}, counted from 0" if count else "none"
            raise ValueError(f"There is no {kind} {index}: the cluster has {has}. ")
    except json.JSONDecodeError:
        raise ValueError(_not_read(text)) from None
    except KeyError as error:
        raise ValueError(_not_read(text, f"It has no {error}. ")) from None
    except (AttributeError, LookupError, RecursionError, TypeError):
        raise ValueError(_not_read(text)) from None
    except ValueError as error:
        raise ValueError(_not_read(text, error)) from None
    if others := {*named, kind} - {*_TRAIN}:
        raise ValueError(
            f"TF_CONFIG must name workers, and perhaps a chief; all train alike. "
            f"Received: {', '.join(sorted(others))}."
        )
    if len(chiefs := jobs.get("chief", [])) > 1:
        raise ValueError(
            f"TF_CONFIG must name one chief at most. Received: {', '.join(chiefs)}."
        )
    workers = [*chiefs, *jobs.get("worker", [])]
    if twice := sorted({each for each in workers if workers.count(each) > 1}):
        raise ValueError(
            "TF_CONFIG must name each process once: no two can listen at one address. "
            f"Received: {', '.join(twice)} more than once."
        )
    return workers, index + (len(chiefs) if kind == "worker" else 0)


def _not_read(text, reason=""):
    """The message on a TF_CONFIG that names no processes; the reason is a sentence."""
    return (
        'TF_CONFIG must be JSON, {"cluster": {"worker": ["host:port", ...]}, "task": '
        '{"type": "worker", "index": 0}}, with an index for each process, and an '
        f"IPv6 host in brackets. {reason}Received: {text!r}."
    )


def check_alone(what):
    """Refuses a TF_CONFIG that names several processes, before any of them is waited for.

    Args:
        what: what one process does; begins the message.

    Raises:
        ValueError: if there are several, or as of `cluster`.
    """
    if (found := cluster()) and len(found[0]) > 1:
        raise ValueError(f"{what} on the devices of one machine: no TF_CONFIG.")


def describe(strategy):
    """The devices that a strategy computes on, for people: "2 GPUs (NVIDIA A100)"."""
    gpus = tf.config.list_physical_devices("GPU")
    replicas = strategy.num_replicas_in_sync
    if gpus:
        details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
        names = sorted({found.get("device_name", "unknown") for found in details})
        return f"{replicas} GPU{'s' * (replicas > 1)} ({', '.join(names)})"
    text = f"CPU, {os.cpu_count()} cores" + f" as {replicas} replicas" * (replicas > 1)
    if pathlib.Path("/dev/nvidia0").exists():
        text += (
            ". A GPU OF THIS MACHINE IS NOT USED: TensorFlow does not find it. The extra "
            "pan_tf[cuda] brings its libraries; --verbose shows what TensorFlow says"
        )
    return text


def num_workers(strategy):
    """Number of processes that train together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return len(cluster()[0])


def is_chief(strategy):
    """Whether this process writes the run folder."""
    return num_workers(strategy) == 1 or cluster()[1] == 0


def any_worker(strategy, flag):
    """Whether `flag` is true on at least one worker; every worker must call it."""
    if num_workers(strategy) == 1:
        return flag
    return bool(_sum(strategy)(tf.constant(int(flag))) > 0)


def check_alike(strategy, facts):
    """Refuses workers that were not given the same; every worker must call it.

    Args:
        strategy: of the run.
        facts: name -> what must be the same everywhere, of the same names on each.

    Raises:
        ValueError: on every worker, naming what differs and what it is here.
    """
    workers = num_workers(strategy)
    if workers == 1:
        return
    digests = (hashlib.sha256(repr(fact).encode()).digest() for fact in facts.values())
    own = np.array([int.from_bytes(digest[:4]) for digest in digests], np.int64)
    replicas = strategy.num_replicas_in_sync // workers  # Of which each has a say.
    summed = _sum(strategy)
    try:
        first = summed(tf.constant(own * is_chief(strategy))).numpy() // replicas
        differing = summed(tf.constant((own != first).astype(np.int64))).numpy()
    except _UNREACHABLE as error:  # It was refused, or killed, before it came here.
        raise files.TroubleError(lost_worker(strategy, error)) from error
    if differing.any():
        # None leaves before all know: the others would only hear that it is lost.
        with contextlib.suppress(*_UNREACHABLE):
            summed(tf.constant(own)).numpy()
        named = [
            f"{name} ({str(fact)[:40]} here)"
            for (name, fact), count in zip(facts.items(), differing, strict=True)
            if count
        ]
        raise ValueError(
            "Workers must be given the same flags and data. What differs: "
            f"{', '.join(named)}."
        )


@functools.cache
def _sum(strategy):
    """A compiled function: the sum over all workers' numbers."""

    @tracing.function
    def summed(number):
        each = strategy.run(tf.identity, args=(number,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    return summed


def lost_worker(strategy, error):
    """A failure to reach other workers as a sentence; None for other errors."""
    if num_workers(strategy) == 1 or not isinstance(error, _UNREACHABLE):
        return None
    return "Another worker is lost: start the command on all of them again."


def check_replicas(config, replicas):
    """Raises ValueError where a setting does not go with the number of replicas.

    Args:
        config: `Config`, or the settings of a fine-tuning.
        replicas: their number.
    """
    if config.batch_size % replicas:
        raise ValueError(
            f"--batch_size is global and must be a multiple of the {replicas} replicas. "
            f"Received: batch_size={config.batch_size}."
        )
    if getattr(config, "jit_compile", False) and replicas > 1:
        raise ValueError(
            "--jit_compile goes with one replica only: XLA cannot compile the all-reduce "
            f"of batch statistics. Received: {replicas} replicas."
        )
