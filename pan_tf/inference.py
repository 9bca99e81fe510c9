"""T at test time, from a run folder or from a SavedModel.

Whatever evaluates or translates goes through a `Translator`, so that equal weights give
equal images: T is run with `training=False` (moving statistics, no dropout), its output
is rounded to 8 bits.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from pan_tf import images
from pan_tf import recipes
from pan_tf.checkpoints import damage
from pan_tf.checkpoints import newest_best
from pan_tf.config import Config


@dataclasses.dataclass(frozen=True)
class Translator:
    """A trained T.

    Attributes:
        path: run folder or SavedModel.
        translate: float32 `[B, H, W, 3]` in [-1, 1] -> uint8 `[B, H, W, 3]`.
        checkpoint: what of the run it is: `kind` ("best", "last" or "saved_model"),
            `iteration`, `chosen_by`, the last two None where they are not known; and
            `note`, if another kind was asked for.
        config: the run's `Config`; None for a SavedModel.
        shape: `[B, H, W, 3]` that a SavedModel takes, None where it takes any; None for
            a run, which takes what its T takes.
    """

    path: pathlib.Path
    translate: Callable
    checkpoint: dict
    config: Config | None
    shape: tuple | None = None


def load_run(run_dir, kind="best"):
    """T of a run folder.

    Args:
        run_dir: the run folder.
        kind: "best", as `--best_by` chose it on the validation pairs, or "last". A run
            without a best has its last taken, with a warning, and `note` says so.

    Returns:
        `Translator`.

    Raises:
        FileNotFoundError: if there is no run, or no checkpoint in it.
        OSError: if the checkpoint is damaged.
    """
    run_dir = pathlib.Path(run_dir)
    if not (run_dir / "run.cfg").is_file():
        raise FileNotFoundError(f"No run.cfg in {run_dir}: not a run folder.")
    config = Config.from_flagfile(run_dir / "run.cfg")
    checkpoint = {"kind": kind, "chosen_by": None}
    prefix, key = None, "transformer"
    if kind == "best":
        prefix = newest_best(run_dir / "checkpoints")
        if prefix:
            checkpoint["chosen_by"] = config.best_by
        else:
            checkpoint = {"kind": "last", "chosen_by": None}
            checkpoint["note"] = "There is no best checkpoint; this is the last."
            logging.warning("*** %s: %s ***", run_dir, checkpoint["note"])
    if prefix is None:
        # `deployed` is T, or its moving average where the run keeps one.
        prefix, key = tf.train.latest_checkpoint(str(run_dir / "checkpoints")), "deployed"
    if prefix is None:
        raise FileNotFoundError(f"No checkpoint in {run_dir}. Has it been trained?")
    problem = damage(prefix)
    if problem:
        raise OSError(f"{prefix} is damaged: {problem}")
    checkpoint["iteration"] = int(prefix.rpartition("-")[2])
    keras.config.set_dtype_policy(config.dtype_policy)
    transformer = recipes.resolve(config).transformer(None)
    status = tf.train.Checkpoint(**{key: transformer}).read(prefix)
    status.assert_existing_objects_matched().expect_partial()

    @tf.function(reduce_retracing=True)
    def translate(source):
        return images.to_uint8(transformer(source, training=False))

    return Translator(run_dir, translate, checkpoint, config)


def load_saved_model(path):
    """T of a SavedModel: of ours, or of any with a signature from image to image.

    The signature must take one float32 `[B, H, W, 3]` in [-1, 1] and give one of the
    same kind; or uint8, in [0, 255], both.

    Args:
        path: the folder that holds `saved_model.pb`.

    Returns:
        `Translator`.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ValueError: if no signature fits.
    """
    path = pathlib.Path(path)
    if not (path / "saved_model.pb").is_file():
        raise FileNotFoundError(f"No saved_model.pb in {path}: not a SavedModel.")
    model = tf.saved_model.load(str(path))
    for signature in model.signatures.values():
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
        if len(inputs) == len(outputs) == 1:
            (key, spec), (result, out) = *inputs.items(), *outputs.items()
            legal = spec.dtype == out.dtype and spec.dtype in (tf.float32, tf.uint8)
            ranks = spec.shape.rank, out.shape.rank
            if legal and ranks == (4, 4) and spec.shape[-1] == 3:
                break
    else:
        described = {
            name: list(signature.structured_input_signature[1].values())
            for name, signature in model.signatures.items()
        }
        raise ValueError(
            f"{path} must have a signature of one float32 or uint8 image batch "
            f"[B, H, W, 3]. Received: {described}."
        )

    def translate(source):
        if spec.dtype == tf.uint8:
            return signature(**{key: images.to_uint8(source)})[result]
        return images.to_uint8(signature(**{key: source})[result])

    # `signature` alone does not keep the model's variables.
    translate.model = model
    checkpoint = {"kind": "saved_model", "iteration": None, "chosen_by": None}
    return Translator(path, translate, checkpoint, None, tuple(spec.shape))
