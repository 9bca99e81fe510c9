"""A trained T at test time, from a run folder or from a SavedModel.

T is run in float32 and as `training=False` has it (the recipe says whose statistics
normalize: moving averages or each image's own; no dropout); its output is rounded to
the bits of the targets.
"""

import copy
import json
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from PIL import Image

from pan_tf import data
from pan_tf import image_files
from pan_tf import images
from pan_tf import networks
from pan_tf import paths
from pan_tf import printing
from pan_tf import recipes
from pan_tf import runtime
from pan_tf.inference.scale import Scale
from pan_tf.inference.whole import WholeImages
from pan_tf.runs.checkpoints import best_is_chosen_by
from pan_tf.runs.checkpoints import damage
from pan_tf.runs.checkpoints import newest
from pan_tf.runs.checkpoints import newest_best
from pan_tf.runs.folder import RunFolder
from pan_tf.size import Size

# Where an exported SavedModel says what it is.
LABEL = "assets.extra/pan_tf.json"


class Translator:
    """A trained T: images in, images of the same size out.

        translator = pan_tf.Translator("runs/quickstart")
        output = translator(pixels)          # uint8 [H, W, C] or [B, H, W, C]

    Args:
        path: run folder or SavedModel.
        checkpoint: of a run, "best", as `--best_by` chose it on the validation pairs, or
            "last". A run without a best has its last taken, with a warning, and
            `checkpoint["note"]` says so.
        bn_statistics: of a run, what its T normalizes by, "moving" or "image", in place
            of what its recipe says.
        inverse: of a run of a cycle, whether to translate from target to source.
        scale: at which scale T sees an image: "auto", that of training; "native", the
            image's own; or a number that its sides are multiplied by. The output has the
            image's size again. None: "auto", or of a SavedModel what it was exported
            with.

    Attributes:
        path: as given.
        checkpoint: what of the run it is: `kind` ("best", "last" or "saved_model"),
            `iteration`, `chosen_by`, the last two None where they are not known; and
            `note`, if another kind was asked for.
        config: the run's `Config`; None for a SavedModel.
        system: the run's `recipes.System`; None for a SavedModel.
        inverse: as given.
        label: what a SavedModel of ours says of itself, else None.
        field: `networks.ReceptiveField`; None where it is not known.
        shape: `[B, H, W, C]` that a SavedModel takes, None where it takes any; None for
            a run, which takes every size.
        source, target: `images.ImageSpec` of what it takes and gives.
        geometry: `data.Geometry` of training; None where it is not known.
        scale: `Scale`.
        network: the Keras T of a run; None for a SavedModel.

    Raises:
        FileNotFoundError: if there is no run, no checkpoint in it, and no SavedModel.
        OSError: if the checkpoint is damaged.
        ValueError: if no signature of the SavedModel fits, the run has no inverse, or its
            networks were others than those of this version.
    """

    def __init__(
        self, path, checkpoint="best", bn_statistics=None, inverse=False, scale=None
    ):
        self.path, self.inverse = paths.named("run_dir", path), inverse
        self.geometry = None
        self.config = self.system = self.label = self.field = None
        self.shape = self.network = None
        if (self.path / "saved_model.pb").is_file():
            if inverse:
                raise ValueError(
                    f"--inverse goes with a run folder, and {path} is a SavedModel: "
                    "export the inverse itself."
                )
            self._load_saved_model()
        else:
            self._load_run(checkpoint, bn_statistics)
        own = self.label.get("scale", "native") if self.label else "auto"
        try:
            self.scale = Scale.of(own if scale is None else scale)
        except ValueError as error:
            raise ValueError(f"--scale {error}. Received: scale={scale!r}.") from None

    def __call__(self, pixels, tile_size=None, on_tile=None):
        """Translates an image or a batch; one image at a time, so none sees another.

        Args:
            pixels: `[H, W, C]` or `[B, H, W, C]`, from 1 x 1 up; dtype and C as of
                `source`, uint8 and RGB in most cases, a label map's numbers one plane.
            tile_size: pixels a side of the tiles that a larger image is cut into; None:
                1024 above two million pixels, if T does not look at the whole image;
                0: none, unless memory is short.
            on_tile: called without arguments after each tile.

        Returns:
            The shape of `pixels` but for dtype and channels, which are `target`'s.

        Raises:
            ValueError: if the array is not such an image, the tile size not legal, or
                the image more than a SavedModel takes.
        """
        pixels = np.asarray(pixels)
        kind, count = self.source.dtype, self.source.planes
        legal = pixels.dtype == kind and pixels.ndim in (3, 4)
        if not legal or pixels.shape[-1] != count or 0 in pixels.shape[-3:]:
            raise ValueError(
                f"`pixels` must be {kind} [H, W, {count}] or [B, H, W, {count}], "
                f"{'RGB, ' if count == 3 else ''}not empty. "
                f"Received: {pixels.dtype} {list(pixels.shape)}."
            )
        labels = self.source.labels
        if labels and pixels.size and pixels.max() >= labels:
            raise ValueError(
                f"`pixels` must be labels from 0 to {labels - 1}. Received: "
                f"{pixels.max()}."
            )
        if pixels.ndim == 3:
            return self.translate_image(pixels, tile_size, on_tile)[0]
        results = [self.translate_image(p, tile_size, on_tile)[0] for p in pixels]
        empty = np.zeros((*pixels.shape[:3], self.target.planes), self.target.dtype)
        return np.stack(results) if results else empty

    def picture(self, source):
        """The output as a picture, which notebooks show.

        Args:
            source: path of an image file, or pixels as in a call.

        Returns:
            `PIL.Image.Image`, RGB or grey, 8 bits; of other outputs as pages show them.
        """
        if isinstance(source, str | pathlib.PurePath):
            source = image_files.read_picture(pathlib.Path(source), self.source).pixels
        (shown,) = images.shown(self(source)[None])
        return Image.fromarray(shown)

    def translate_image(self, pixels, tile_size=None, on_tile=None):
        """Translates one image; arguments as in a call.

        Returns:
            (`[H, W, C]` as of `target`, the `Tiling` that was used or None): a finer one
            than `tiling` gives where memory ran out.
        """
        height, width = pixels.shape[:2]
        seen = self.seen_size(height, width)
        if seen != (height, width):
            pixels = self.source.resize(pixels, seen).numpy()
        output, tiling = self._whole.translate(pixels, tile_size, on_tile)
        if seen != (height, width):
            output = self.target.resize(output, Size(height, width)).numpy()
        return output, tiling

    def tiling(self, height, width, tile_size=None):
        """How an image is cut, `tile_size` as in a call; None if it is not."""
        return self._whole.tiling(*self.seen_size(height, width), tile_size)

    def seen_size(self, height, width):
        """The `Size` at which T sees an image of the size given."""
        if self._only_size and self.scale.value == "auto":
            return Size(height, width)  # Where a hole is, is known at one size only.
        return self.scale.seen_size(self.geometry, height, width)

    @property
    def _only_size(self):
        """Pixels a side of the images that T takes; None where it takes any."""
        return self.field.size if self.field else None

    def at_scale(self, scale):
        """The same T, which sees images at another scale."""
        other = copy.copy(self)
        other.scale = Scale.of(scale)
        return other

    def describe_scale(self):
        """At which scale T sees images, a line for a user."""
        value, geometry, only = self.scale.value, self.geometry, self._only_size
        if only and value == "auto":
            return (
                f"Scale: images as they are. T fills the middle of {only} x {only} "
                "pixels, and takes no other size."
            )
        if isinstance(value, float):
            return f"Scale: every image is scaled by {value:g}, its output back."
        if value == "native" or geometry is None or geometry.is_native:
            trained = f"; T was trained on {geometry}" if geometry else ""
            return f"Scale: images as they are ({value}){trained}."
        return (
            "Scale: images are brought to the training's scale, outputs back (auto); T "
            f"was trained on {geometry}."
        )

    def scale_warning(self, height, width):
        """A sentence on an image that T sees far off the scales it was trained on."""
        if self.geometry is None or self.geometry.files is None:
            return None
        seen = self.seen_size(height, width)
        scale = math.sqrt(seen.height * seen.width / (height * width))
        if not self.geometry.is_far(scale):
            return None
        _, least, greatest = self.geometry.files.scale
        trained = " to ".join(dict.fromkeys(map(printing.two_digits, (least, greatest))))
        return (
            f"{width}x{height} is seen at scale {printing.two_digits(scale)}; T was "
            f"trained at {trained}. Its details are of another size than T knows; "
            "--scale gives another scale."
        )

    def translate_float(self, source):
        """float32 `[B, H, W, C]` in [-1, 1] -> likewise, a tensor."""
        return self._whole.floats(source)

    def translate(self, source):
        """float32 `[B, H, W, C]` in [-1, 1] -> pixels as of `target`, a tensor.

        At the size given, whatever `scale` says; large images by tiles.
        """
        return self._whole(source)

    def _load_run(self, kind, bn_statistics):
        path = self.path
        if not (path / "run.cfg").is_file():
            versions = sorted(p.parent.name for p in path.glob("[0-9]*/saved_model.pb"))
            raise FileNotFoundError(
                f"No run.cfg in {path} and no saved_model.pb: neither a run folder nor a "
                "SavedModel."
                + (f" Its versions are: {', '.join(versions)}." if versions else "")
            )
        runtime.set_up_keras()
        folder = RunFolder(path)
        config = folder.config()
        # As the run was made, whatever the table says by now.
        system = recipes.stored(config, folder)
        self.system = system.with_bn_statistics(bn_statistics)
        self.config = config
        if self.inverse and not self.system.is_cycle:
            raise ValueError(
                f"--inverse asks for the inverse of {path}, which has none: its recipe, "
                f"{config.recipe}, learns one direction."
            )
        # Whatever the run was trained in: its weights are float32, and so is an export.
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")
        try:
            transformer = self.system.transformer
            if self.inverse:
                transformer = transformer.swapped()
            self.network = transformer()
        finally:
            keras.config.set_dtype_policy(policy)
        self._restore(kind)
        self.field = networks.receptive_field(self.network)
        sides = self.system.source, self.system.target
        self.source, self.target = sides[::-1] if self.inverse else sides

        known = folder.known_data() or {}
        specs = known.get("images")
        if specs:  # With the range of values, too.
            sides = [images.ImageSpec.from_json(specs[n]) for n in ("source", "target")]
            self.source, self.target = sides[::-1] if self.inverse else sides
        self._whole = WholeImages.of_network(
            self.network, self.source, self.target, str(path)
        )
        self.geometry = data.Geometry.from_json(known.get("geometry"))
        self.geometry = self.geometry or data.geometry_asked_for(config)

    def _restore(self, kind):
        """Puts a checkpoint into the network."""
        prefix = problem = None
        for _ in range(3):  # A training that goes on may replace one meanwhile.
            prefix, self.checkpoint = _find_checkpoint(
                self.path, kind, self.config, self.inverse
            )
            # The best checkpoint holds the T to translate with. The others hold T and,
            # as `deployed`, its moving average, or T again.
            key = "transformer" if self.checkpoint["kind"] == "best" else "deployed"
            key = "deployed_inverse" if self.inverse else key
            problem = damage(prefix)
            try:
                if problem is None:
                    made = tf.train.Checkpoint(**{key: self.network})
                    status = made.read(str(paths.literal(prefix)))
                    status.assert_existing_objects_matched().expect_partial()
                    return
            except tf.errors.NotFoundError as error:
                problem = str(error).splitlines()[0]
            if pathlib.Path(f"{prefix}.index").exists():
                break
        raise OSError(f"{prefix} is damaged: {problem}")

    def _load_saved_model(self):
        path = self.path
        # `signature` alone does not keep the model's variables.
        self._model = model = tf.saved_model.load(str(paths.literal(path)))
        signature, spec, key, result = _image_signature(path, model.signatures)

        def translate(source):
            if spec.dtype == tf.float32:
                return signature(**{key: source})[result]
            pixels = signature(**{key: images.to_uint8(source)})[result]
            return images.to_float(pixels)

        self.shape = tuple(spec.shape)
        outputs = signature.structured_outputs[result].shape
        # An output whose channels are not told has its source's.
        self.source = images.ImageSpec(spec.shape[-1])
        self.target = images.ImageSpec(outputs[-1] or spec.shape[-1])
        self.checkpoint = {"kind": "saved_model", "iteration": None, "chosen_by": None}
        if (path / LABEL).is_file():
            self.label = json.loads((path / LABEL).read_text(encoding="utf-8"))
            self.checkpoint["iteration"] = self.label["checkpoint"]["iteration"]
            field = self.label["receptive_field"]
            radius = np.inf if field["radius"] is None else field["radius"]
            size = field.get("size")  # Exports made before there was one.
            self.field = networks.ReceptiveField(field["multiple"], radius, size)
            self.geometry = data.Geometry.from_json(self.label.get("geometry"))
            if specs := self.label.get("images"):
                sides = [images.ImageSpec.from_json(specs[n]) for n in specs]
                self.source, self.target = sides
        self._whole = WholeImages(
            translate,
            self.field,
            self.source,
            self.target,
            str(path),
            limit=self.label["max_pixels"] if self.label else math.inf,
        )


def _find_checkpoint(run_dir, kind, config, inverse):
    """(prefix of the files, `Translator.checkpoint`)."""
    if kind not in ("best", "last"):
        raise ValueError(
            f"--checkpoint must be one of: best, last. Received: checkpoint={kind!r}."
        )
    checkpoint, prefix = {"kind": kind, "chosen_by": None}, None
    if kind == "best" and inverse:
        # What is chosen by pairs is chosen for the way there.
        checkpoint["kind"] = "last"
        checkpoint["note"] = "The inverse has no best checkpoint; this is the last."
        logging.warning("*** %s: %s ***", run_dir, checkpoint["note"])
    elif kind == "best":
        prefix = newest_best(run_dir / "checkpoints")
        if prefix:
            checkpoint["chosen_by"] = best_is_chosen_by(prefix, config.best_by)
        else:
            checkpoint["kind"] = "last"
            checkpoint["note"] = "There is no best checkpoint; this is the last."
            logging.warning("*** %s: %s ***", run_dir, checkpoint["note"])
    prefix = prefix or newest(run_dir / "checkpoints")
    if prefix is None:
        raise FileNotFoundError(f"No checkpoint in {run_dir}. Has it been trained?")
    checkpoint["iteration"] = int(prefix.rpartition("-")[2])
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
            name: list(signature.structured_input_signature[1].values())
            for name, signature in signatures.items()
        }
        raise ValueError(
            f"{path} must have a signature of one float32 or uint8 image batch "
            f"[B, H, W, C]. Received: {described}."
        )
    return min(fitting, key=lambda found: found[1].dtype != tf.float32)
