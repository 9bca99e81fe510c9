"""A trained T as it lies on disk: in a run folder, or in a SavedModel."""

import dataclasses
import math
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from pan_tf import data
from pan_tf import files
from pan_tf import images
from pan_tf import networks
from pan_tf import paths
from pan_tf import recipes
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.inference.whole import WholeImages
from pan_tf.runs.checkpoints import best_is_chosen_by
from pan_tf.runs.checkpoints import damage
from pan_tf.runs.checkpoints import iteration_of
from pan_tf.runs.checkpoints import newest
from pan_tf.runs.checkpoints import newest_best
from pan_tf.runs.folder import RunFolder

# Where an exported SavedModel says what it is.
LABEL = "assets.extra/pan_tf.json"
# A T without a tanh at its end may well go a little beyond [-1, 1].
_CLEARLY_OUTSIDE = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    """A T that was loaded, and what is known of it; attributes as of `Translator`.

    Attributes:
        whole: `WholeImages` through it, which has its `source`, `target` and `field`.
        model: the SavedModel, whose variables live as long as this; None for a run.
    """

    whole: WholeImages
    checkpoint: dict
    geometry: data.Geometry | None
    config: Config | None = None
    system: recipes.System | None = None
    network: keras.Model | None = None
    label: dict | None = None
    shape: tuple | None = None
    model: Any = None


def is_saved_model(path):
    """Whether a folder is a SavedModel."""
    return (path / "saved_model.pb").is_file()


def load_run(path, kind, bn_statistics, inverse):
    """T of a run folder.

    Args:
        path: of the folder.
        kind: of checkpoint, "best" or "last".
        bn_statistics: in place of the recipe's, or None.
        inverse: whether T from target to source is asked for.

    Returns:
        `Loaded`.

    Raises:
        FileNotFoundError, OSError, ValueError: as of `Translator`.
    """
    if not (path / "run.cfg").is_file():
        versions = sorted(p.parent.name for p in path.glob("[0-9]*/saved_model.pb"))
        raise FileNotFoundError(
            f"No run.cfg in {path} and no saved_model.pb: neither a run folder nor a "
            "SavedModel."
            + (f" Its versions are: {', '.join(versions)}." if versions else "")
        )
    runtime.set_up_keras()
    runtime.run_operations_alone()
    folder = RunFolder(path)
    config = folder.config()
    # As the run was made, whatever the table says by now.
    system = recipes.stored(config, folder).with_bn_statistics(bn_statistics)
    if inverse and not system.is_cycle:
        raise ValueError(
            f"--inverse asks for the inverse of {path}, which has none: its recipe, "
            f"{config.recipe}, learns one direction."
        )
    # Whatever the run was trained in: its weights are float32, and so is an export.
    with runtime.under_policy("float32"):
        transformer = system.transformer
        try:
            network = (transformer.swapped() if inverse else transformer)()
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path / 'system.json'} tells of no T that can be built: {error}"
            ) from error
    checkpoint = _restore(network, path, kind, config, inverse)

    # With the range of values, which the system does not hold.
    sides, geometry = data.recorded(folder.known_data() or {}, folder.manifest)
    source, target = sides or (system.source, system.target)
    if inverse:
        source, target = target, source
    return Loaded(
        whole=WholeImages.of_network(network, source, target, str(path)),
        checkpoint=checkpoint,
        geometry=geometry or data.geometry_asked_for(config),
        config=config,
        system=system,
        network=network,
    )


def load_saved_model(path):
    """T of a SavedModel, ours or another's.

    Args:
        path: of its folder.

    Returns:
        `Loaded`.

    Raises:
        OSError: if it is damaged.
        ValueError: if no signature fits.
    """
    try:
        # `signature` alone does not keep the model's variables.
        model = tf.saved_model.load(str(paths.literal(path)))
    # The reader turns a status into whichever of these fits its code.
    except (tf.errors.OpError, IndexError, RuntimeError) as error:
        raise OSError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    signature, spec, key, result = _image_signature(path, model.signatures)

    check = _Check(path)

    def translate(source):
        if spec.dtype == tf.float32:
            return check(source, signature(**{key: source})[result])
        pixels = signature(**{key: images.to_uint8(source)})[result]
        return check(source, images.to_float(pixels))

    outputs = signature.structured_outputs[result].shape
    # An output whose channels are not told has its source's.
    source = images.ImageSpec(spec.shape[-1])
    target = images.ImageSpec(outputs[-1] or spec.shape[-1])
    checkpoint = {"kind": "saved_model", "iteration": None, "chosen_by": None}
    label = field = geometry = None
    if (path / LABEL).is_file():
        needed = {"checkpoint", "receptive_field", "max_pixels"}
        label = files.read_json(path / LABEL, needed)
        with files.naming(path / LABEL):
            checkpoint["iteration"] = label["checkpoint"]["iteration"]
            found = label["receptive_field"]
            radius = np.inf if found["radius"] is None else found["radius"]
            size = found.get("size")  # Exports made before there was one.
            field = networks.ReceptiveField(found["multiple"], radius, size)
        sides, geometry = data.recorded(label, path / LABEL)
        source, target = sides or (source, target)
    limit = label["max_pixels"] if label else math.inf
    return Loaded(
        whole=WholeImages(translate, field, source, target, str(path), limit=limit),
        checkpoint=checkpoint,
        geometry=geometry,
        label=label,
        shape=tuple(spec.shape),
        model=model,
    )


class _Check:
    """Refuses what is no image, of a T that anybody may have made.

    Levels would be made of it in silence: black of what is no number, white of [0, 255].
    """

    def __init__(self, path):
        self._path, self._is_warned = path, False

    def __call__(self, source, output):
        if output.shape[:3] != source.shape[:3]:
            raise ValueError(
                f"{self._path} must give an image of its source's size for each. "
                f"Received: {list(output.shape)} of {list(source.shape)}."
            )
        largest = float(tf.reduce_max(tf.abs(output))) if tf.size(output) else 0.0
        if not math.isfinite(largest):
            raise ValueError(f"{self._path} gave an image of NaN or infinite values.")
        if largest > _CLEARLY_OUTSIDE and not self._is_warned:
            self._is_warned = True
            logging.warning(
                "*** %s gave values up to %.3g: those outside [-1, 1] are clipped. A T "
                "of float32 takes and gives images in [-1, 1]. ***",
                self._path,
                largest,
            )
        return output


def _restore(network, path, kind, config, inverse):
    """Puts a checkpoint of a run into a network; returns `Translator.checkpoint`."""
    prefix = problem = None
    for _ in range(3):  # A training that goes on may replace one meanwhile.
        prefix, checkpoint = _find_checkpoint(path, kind, config, inverse)
        # The best checkpoint holds the T to translate with. The others hold T and,
        # as `deployed`, its moving average, or T again.
        key = "transformer" if checkpoint["kind"] == "best" else "deployed"
        key = "deployed_inverse" if inverse else key
        problem = damage(prefix)
        try:
            if problem is None:
                made = tf.train.Checkpoint(**{key: network})
                status = made.read(str(paths.literal(prefix)))
                status.assert_existing_objects_matched().expect_partial()
                return checkpoint
        except tf.errors.NotFoundError as error:
            problem = str(error).splitlines()[0]
        except (AssertionError, ValueError):  # TensorFlow tells all that it holds.
            raise ValueError(
                f"{prefix} does not fit the T of {path / 'system.json'}: its layers are "
                "others. One of them is of another run, or was changed."
            ) from None
        if pathlib.Path(f"{prefix}.index").exists():
            break
    raise OSError(f"{prefix} is damaged: {problem}")


def _find_checkpoint(run_dir, kind, config, inverse):
    """(prefix of the files, `Translator.checkpoint`)."""
    if kind not in ("best", "last"):
        raise ValueError(
            f"--checkpoint must be one of: best, last. Received: checkpoint={kind!r}."
        )
    checkpoint, prefix = {"kind": kind, "chosen_by": None}, None
    # What is chosen by pairs is chosen for the way there.
    if kind == "best" and not inverse:
        prefix = newest_best(run_dir / "checkpoints")
    if prefix:
        checkpoint["chosen_by"] = best_is_chosen_by(prefix, config.best_by)
    elif kind == "best":
        lacking = "The inverse has" if inverse else "There is"
        checkpoint["kind"] = "last"
        checkpoint["note"] = f"{lacking} no best checkpoint; this is the last."
        logging.warning("*** %s: %s ***", run_dir, checkpoint["note"])
    prefix = prefix or newest(run_dir / "checkpoints")
    if prefix is None:
        raise FileNotFoundError(f"No checkpoint in {run_dir}. Has it been trained?")
    checkpoint["iteration"] = iteration_of(prefix)
    return prefix, checkpoint


def _image_signature(path, signatures):
    """The signature from image to image, float32 in [-1, 1] before uint8 in [0, 255].

    Returns:
        (signature, its input's `tf.TensorSpec`, names of input and output).
    """
    fitting = []
    for signature in signatures.values():
        inputs = signature.structured_input_signature[1]
        outputs = signature.structured_outputs
        if len(inputs) == len(outputs) == 1:
            (key, spec), (result, out) = *inputs.items(), *outputs.items()
            legal = spec.dtype == out.dtype and spec.dtype in (tf.float32, tf.uint8)
            ranks = spec.shape.rank, out.shape.rank
            if legal and ranks == (4, 4) and spec.shape[-1] is not None:
                fitting.append((signature, spec, key, result))
    if not fitting:
        described = {
            name: [
                ", ".join(f"{each.dtype.name} {each.shape}" for each in side.values())
                for side in (s.structured_input_signature[1], s.structured_outputs)
            ]
            for name, s in signatures.items()
        }
        raise ValueError(
            f"{path} must have a signature from one image batch [B, H, W, C], float32 or "
            "uint8, to another of the same dtype. Received: "
            + "; ".join(f"{n}: {a} -> {b}" for n, (a, b) in described.items())
            + "."
        )
    return min(fitting, key=lambda found: found[1].dtype != tf.float32)
