"""A trained T at test time, from a run folder or from a SavedModel.

T is run in float32 and as `training=False` has it (the recipe says whose statistics
normalize: moving averages or each image's own; no dropout); its output is rounded to
the bits of the targets.
"""

import copy
import hashlib
import math
import pathlib

import numpy as np
from PIL import Image

from pan_tf import image_files
from pan_tf import images
from pan_tf import paths
from pan_tf import printing
from pan_tf.inference import loaded
from pan_tf.inference.scale import Scale
from pan_tf.memory import available_bytes
from pan_tf.size import Size

_COPIES = 3  # In memory at once of an image while it is resized.


class Translator:
    """A trained T: images in, images of the same size out.

        translator = pan_tf.Translator("runs/quickstart")
        output = translator(pixels)          # uint8 [H, W, C] or [B, H, W, C]

    Args:
        path: run folder or SavedModel.
        checkpoint: of a run, "best", as `--best_by` chose it on the validation pairs, or
            "last"; None: "best". A run without a best has its last taken, with a warning,
            and `checkpoint["note"]` says so.
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
        ValueError: if no signature of the SavedModel fits, a checkpoint of one is asked
            for, the run has no inverse, or its networks were others than those of this
            version.
    """

    def __init__(
        self, path, checkpoint=None, bn_statistics=None, inverse=False, scale=None
    ):
        if not isinstance(inverse, bool | np.bool_):
            raise ValueError(
                f"--inverse must be true or false. Received: inverse={inverse!r}."
            )
        self.path, self.inverse = paths.named("run_dir", path), bool(inverse)
        if bn_statistics not in (None, "moving", "image"):
            raise ValueError(
                "`bn_statistics` must be one of: moving, image. Received: "
                f"bn_statistics={bn_statistics!r}."
            )
        if not loaded.is_saved_model(self.path):
            kind = "best" if checkpoint is None else checkpoint
            found = loaded.load_run(self.path, kind, bn_statistics, inverse)
        elif inverse:
            raise ValueError(
                f"--inverse goes with a run folder, and {path} is a SavedModel: "
                "export the inverse itself."
            )
        elif bn_statistics is not None:
            raise ValueError(
                f"`bn_statistics` goes with a run folder, and {path} is a SavedModel, "
                f"which has its own. Received: bn_statistics={bn_statistics!r}."
            )
        elif checkpoint is not None:
            raise ValueError(
                f"--checkpoint goes with a run folder, and {path} is a SavedModel, which "
                f"holds one. Received: checkpoint={checkpoint!r}."
            )
        else:
            found = loaded.load_saved_model(self.path)
        self._loaded = found  # Keeps a SavedModel's variables alive.
        self._whole = found.whole
        self.checkpoint, self.shape = found.checkpoint, found.shape
        self.config, self.system, self.network = found.config, found.system, found.network
        self.source, self.target = found.whole.source, found.whole.target
        self.geometry, self.field = found.geometry, found.whole.field
        self.label = found.label
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
            tile_size: pixels a side of the tiles that a larger image is cut into, at the
                scale that T sees; None: 1024 above two million pixels, if T does not
                look at the whole image; 0: none, unless memory is short.
            on_tile: called without arguments after each tile.

        Returns:
            The shape of `pixels` but for dtype and channels, which are `target`'s.

        Raises:
            ValueError: if the array is not such an image, the tile size not legal, or
                the image more than a SavedModel takes.
            MemoryError: if there is too little even for small tiles.
        """
        try:
            pixels = np.asarray(pixels)
        except ValueError:  # NumPy's own words are of sequences.
            raise ValueError(
                "`pixels` must be an image, or images of one size. Received: images of "
                "several sizes; call it for each."
            ) from None
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

        Raises:
            ImageFileError: if the file is not such an image; the message names it.
            ValueError, MemoryError: as of a call.
        """
        if isinstance(source, str | pathlib.PurePath):
            path = paths.named("source", str(source))
            try:
                source = image_files.read_picture(path, self.source).pixels
            except image_files.ImageFileError as error:
                raise image_files.ImageFileError(f"{path} {error}") from None
        shown = images.shown(self(source))
        if shown.shape[-1] == 1:
            return Image.fromarray(shown[..., 0])
        return Image.fromarray(np.asarray(images.as_rgb(shown)))

    def translate_image(self, pixels, tile_size=None, on_tile=None):
        """Translates one image; arguments as in a call.

        Returns:
            (`[H, W, C]` as of `target`, the `Tiling` that was used or None): a finer one
            than `tiling` gives where memory ran out.
        """
        height, width = pixels.shape[:2]
        seen = self.seen_size(height, width)
        if seen != (height, width):
            self._check_memory(seen)
            pixels = self.source.resize(pixels, seen).numpy()
        output, tiling = self._whole.translate(pixels, tile_size, on_tile)
        if seen != (height, width):
            output = self.target.resize(output, Size(height, width)).numpy()
        return output, tiling

    def _check_memory(self, seen):
        """Raises MemoryError where an image at T's scale does not fit.

        A thin one grows most: both its sides grow as its short one does.
        """
        free, channels = available_bytes(), self.source.channels
        # float32, while they are resized in and out.
        wanted = _COPIES * 4 * seen.height * seen.width * channels
        if free is not None and wanted > free:
            raise MemoryError(
                f"seen at T's scale, {seen.width} x {seen.height} pixels, it "
                f"needs {wanted / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are "
                "free: --scale gives another scale"
            )

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

    def digest(self):
        """What tells its weights from others, whatever the checkpoint's name: sha256."""
        digest = hashlib.sha256()
        if self.network is not None:
            for value in self.network.get_weights():
                digest.update(np.ascontiguousarray(value).tobytes())
        else:
            for path in sorted(each for each in self.path.rglob("*") if each.is_file()):
                digest.update(path.read_bytes())
        return digest.hexdigest()

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
        return (
            f"{width}x{height} is seen at scale {printing.two_digits(scale)}; T was "
            f"trained at {self.geometry.files.range_of_scales}. Its details are of "
            "another size than T knows; --scale gives another scale."
        )

    def translate_float(self, source):
        """float32 `[B, H, W, C]` in [-1, 1] -> likewise, a tensor."""
        return self._whole.floats(source)

    def translate(self, source):
        """float32 `[B, H, W, C]` in [-1, 1] -> pixels as of `target`, a tensor.

        At the size given, whatever `scale` says; large images by tiles.
        """
        return self._whole(source)
