"""What happens around the import of TensorFlow and Keras, whoever imports them.

TensorFlow writes lines of its own to the process' stderr while it loads, from C++, before
it reads how much it may log. Here they are taken out. Once Keras is there, it is told
of the package's layers and metrics, so that `keras.saving.load_model` knows them.
"""

import contextlib
import importlib
import logging
import os
import re
import sys
import tempfile
import traceback
from importlib.machinery import PathFinder

# Before absl's own logging is up, whatever TF_CPP_MIN_LOG_LEVEL says.
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IWE]\d{4} .*(oneDNN|cudart|cuda|cpu_feature_guard|computation_placer|cuInit)"
    rb"|To enable the following instructions"
    rb"|I\d{4} .*(Number of eligible GPUs|Starting new session)"  # TensorFlow 2.20.
)
_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Files that read the user's keras.json: TensorFlow's own Keras, and Keras.
_READERS = ("tensorflow/python/keras/backend.py", "keras/src/backend/config.py")
# Modules in which classes register with Keras.
_REGISTERING = ("layers", "losses", "networks", "metrics", "schedules")


class KerasSettingsError(ValueError):
    """TensorFlow or Keras cannot be imported with the user's keras.json."""


def install():
    """Called once, by the package itself."""
    if "tensorflow" not in sys.modules and os.environ.get(_LEVEL, "3") in "123":
        os.environ[_LEVEL] = "3"
        _Hook.is_quiet = True
    sys.meta_path.insert(0, _Hook)
    register()


def let_through():
    """TensorFlow's lines are shown; called before it is imported."""
    if _Hook.is_quiet:
        _Hook.is_quiet = False
        os.environ[_LEVEL] = "0"


class _Hook:
    """Finds TensorFlow and Keras as Python does, and has a hand in their loading."""

    is_quiet = False
    is_registered = False
    under_way = 0  # Either of them imports the other.
    awaited = None  # A module of ours that was being imported when it was last asked.

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in ("keras", "tensorflow") or name in sys.modules:
            # What was put off, since a module of ours was being imported.
            if not cls.under_way and "keras" in sys.modules:
                register()
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return None
        load = spec.loader.exec_module

        def exec_module(module):
            is_outer, cls.under_way = not cls.under_way, cls.under_way + 1
            try:
                with without_noise() if is_outer else contextlib.nullcontext():
                    load(module)
            except (AssertionError, ValueError) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                if not last.filename.replace(os.sep, "/").endswith(_READERS):
                    raise
                home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
                said = str(error) or last.line  # TensorFlow asserts.
                raise KerasSettingsError(
                    f"TensorFlow and Keras cannot be imported with {home}/keras.json: "
                    f"{said}"
                ) from None
            finally:
                cls.under_way -= 1
            if is_outer and cls.is_quiet:
                logging.getLogger("tensorflow").addFilter(_is_worth_reading)
            if is_outer and "keras" in sys.modules:
                register()

        spec.loader.exec_module = exec_module
        return spec


def _is_worth_reading(log_record):
    """Not each file written, nor that functions are traced for several sizes."""
    if log_record.levelno < logging.WARNING:
        return False
    return "triggered tf.function retracing" not in str(log_record.msg)


def register():
    """Tells Keras of our classes, if it is there and has not been told.

    Not while a module of ours is being imported: they may need it.
    """
    if _Hook.is_registered or "keras" not in sys.modules or _is_loading(_Hook.awaited):
        return
    own = [each for name, each in sys.modules.items() if name.startswith("pan_tf.")]
    _Hook.awaited = next(filter(_is_loading, own), None)
    if _Hook.awaited:
        return
    _Hook.is_registered = True
    if _Hook in sys.meta_path:
        sys.meta_path.remove(_Hook)
    for name in _REGISTERING:
        importlib.import_module(f"pan_tf.{name}")


def _is_loading(module):
    """Whether a module is being imported."""
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


@contextlib.contextmanager
def without_noise():
    """Context in which stderr of the process is held back; what is no noise follows.

    Nothing is held back where TensorFlow's lines are let through.
    """
    if not _Hook.is_quiet:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            stderr = os.dup(2)
            os.dup2(held.fileno(), 2)
        except OSError:  # There is none.
            yield
            return
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            held.seek(0)
            for line in held:
                if not _NOISE.match(line):
                    os.write(stderr, line)
            os.close(stderr)
