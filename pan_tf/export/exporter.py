"""An export: a trained T becomes the next version of a served model.

    <export_dir>/<version>/
      saved_model.pb variables/     what TF Serving loads
      assets.extra/
        tf_serving_warmup_requests  a request for every signature, run while loading
        pan_tf.json                 label: recipe, data set, checkpoint, limits
        parity.json                 largest difference to the checkpoint

A version is written under a hidden name, proved, and then renamed: the server, which
watches the folder, sees it whole or not at all. No version that is there is touched.
"""

import dataclasses
import datetime
import math
import os
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf
from absl import logging

import pan_tf
from pan_tf import data
from pan_tf import files
from pan_tf import fingerprints
from pan_tf import paths
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.data import DatasetNotFoundError
from pan_tf.export import parity
from pan_tf.export.optimization import optimized
from pan_tf.export.servable import Servable
from pan_tf.export.servable import can_be_files
from pan_tf.export.warmup import write_warmup
from pan_tf.inference import LABEL
from pan_tf.inference import Translator
from pan_tf.runs.folder import RunFolder
from pan_tf.settings import whole_number

_NUM_IMAGES = 8  # Real images that parity is looked at with.


class ParityError(Exception):
    """The SavedModel does not compute what the checkpoint does."""


class Export:
    """One export. Making it checks everything that a user can have got wrong.

    Args:
        run_dir: run folder.
        export_dir: folder of the served model, which holds its versions.
        checkpoint: "best" or "last"; None: "best".
        max_pixels: of all images of a request, sides rounded up to T's multiple.
        inverse: of a cycle, whether to export T from target to source.
        scale: at which scale T sees an image, as of `Translator`; `float_image` is T as
            it is.

    Raises:
        FileNotFoundError, OSError: if there is no run or no checkpoint, or it is damaged.
        ValueError: if a setting is not legal.
    """

    def __init__(
        self,
        run_dir,
        export_dir,
        checkpoint=None,
        max_pixels=2**22,
        inverse=False,
        scale="auto",
    ):
        self.export_dir = paths.named("export_dir", export_dir)
        if self.export_dir.exists() and not self.export_dir.is_dir():
            raise ValueError(f"--export_dir={export_dir} must be a folder.")
        if problem := files.check_place(self.export_dir):
            raise ValueError(f"--export_dir={export_dir}: {problem}")
        for name in ("saved_model.pb", "run.cfg"):
            if (self.export_dir / name).exists():
                raise ValueError(
                    f"--export_dir={export_dir} must be a folder of versions, and holds "
                    f"a {name} itself. Choose another one."
                )
        try:
            str(self.export_dir).encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"--export_dir must be UTF-8: TensorFlow writes to no other place. "
                f"Received: export_dir={str(export_dir)!a}."
            ) from None
        self.translator = Translator(run_dir, checkpoint, inverse=inverse, scale=scale)
        if self.translator.config is None:
            raise ValueError(f"--run_dir={run_dir} is a SavedModel already.")
        only = self.translator.field.size
        if only and isinstance(self.translator.scale.value, float):
            raise ValueError(
                f"--scale must be auto or native: T takes images of {only} x {only} "
                f"pixels only. Received: scale={scale}."
            )
        self.max_pixels = whole_number("max_pixels", max_pixels)
        least = self._pixels_of(*self.translator.config.image_size)
        if max_pixels < least:
            raise ValueError(
                f"--max_pixels must be at least {least}, those of the run's image size. "
                f"Received: max_pixels={max_pixels}."
            )
        self.notes = []
        if not self._are_files():
            self.notes.append(
                "There is no signature of files: PNG has at most four channels."
            )
        special = sorted(paths.SPECIAL & set(str(self.export_dir.absolute())))
        if special:
            self.notes.append(
                f"TensorFlow Serving and tf.saved_model.load take {' '.join(special)} in "
                f"{self.export_dir} for a pattern: serve it from another folder."
            )
        if "note" in self.translator.checkpoint:
            self.notes.append(self.translator.checkpoint["note"])

    def run(self):
        """Writes the next version.

        Returns:
            (its path, the parity report).

        Raises:
            ParityError: if it differs from the checkpoint; nothing is left then.
        """
        sources, origin = self._real_images()
        self.export_dir.mkdir(parents=True, exist_ok=True)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=self.export_dir))
        try:
            report = self._write(partial, sources, origin, is_optimized=True)
            if not parity.holds(report):
                self._note(
                    f"Optimized it differs too much ({_gaps(report)}); as trained."
                )
                shutil.rmtree(partial)
                partial.mkdir()
                report = self._write(partial, sources, origin, is_optimized=False)
            if not parity.holds(report):
                raise ParityError(f"Not exported: it differs from {_gaps(report)}.")
            partial.chmod(0o755)  # Temporary folders are their owner's only.
            return self._publish(partial), report
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _write(self, path, sources, origin, is_optimized):
        """Everything that belongs to a version; returns its parity report."""
        network = self.translator.network
        if is_optimized:
            # Layers of its own would be of the policy that a user has set.
            with runtime.under_policy("float32"):
                network = optimized(network)
        field = self.translator.field
        servable = Servable(
            network,
            field.multiple,
            self.max_pixels,
            field.size,
            self._seen_size(),
            self.translator.source,
            self.translator.target,
        )
        servable.save(path)
        extra = path / "assets.extra"
        extra.mkdir()
        write_warmup(extra, sources[:1], self.translator.source, self._are_files())
        files.write_json(path / LABEL, self._label(is_optimized))
        sent = parity.requests(
            sources,
            self.max_pixels,
            self._pixels_of,
            self.translator.source,
            is_any_size=field.size is None,
            are_files=self._are_files(),
        )
        report = parity.compare(self.translator, sent, parity.run(path, sent))
        record = {"images": origin, "signatures": report}
        files.write_json(extra / "parity.json", record)
        return report

    def _pixels_of(self, height, width):
        """What an image costs a request: its pixels, or T's, rounded up to multiples."""
        multiple = self.translator.field.multiple
        return max(
            math.prod(-(-side // multiple) * multiple for side in size)
            for size in ((height, width), self.translator.seen_size(height, width))
        )

    def _sides(self):
        """`ImageSpec`s of the run's sources and targets, whichever way T goes."""
        sides = self.translator.source, self.translator.target
        return sides[::-1] if self.translator.inverse else sides

    def _are_files(self):
        return can_be_files(self.translator.source, self.translator.target)

    def _seen_size(self):
        """How the graph brings images to size; None where it does not."""
        geometry, scale = self.translator.geometry, self.translator.scale
        is_native = scale.value == "native" or geometry.is_native
        if is_native and not isinstance(scale.value, float):
            return None
        return self.translator.seen_size

    def _publish(self, partial):
        """Gives the folder the next number; a rename is all that a server can see."""
        while True:
            numbers = [
                int(path.name)
                for path in self.export_dir.iterdir()
                if path.name.isdecimal()
            ]
            target = self.export_dir / str(max(numbers, default=0) + 1)
            try:
                os.rename(partial, target)
            except OSError:
                if not target.exists():
                    raise
                continue  # Another export was quicker.
            return target

    def _real_images(self):
        """(levels `[N, H, W, C]` of sources, what they are): the run's, held out."""
        config = self.translator.config.replace(download=False, fallback_dataset=None)
        known = RunFolder(self.translator.path).known_data()
        try:
            opened = data.open_data(
                data.locate(config),
                verified=known,
                paired=self.translator.system.paired,
                specs=self._sides(),
            )
            sources = self._some_of(opened)
        except (DatasetNotFoundError, OSError, ValueError) as error:
            gone = isinstance(error, DatasetNotFoundError | FileNotFoundError)
            state = "are away" if gone else "cannot be used any more"
            # The label goes with the model: it names no folder of this machine.
            self._note(f"Parity was looked at with Blue Marble: the run's data {state}.")
            logging.warning("%s", error)
            # Blue Marble has no larger tiles; a T of one size needs its own.
            side = min(*config.image_size, self.translator.field.size or 512)
            config = config.replace(
                dataset="bluemarble",
                direction=None,
                attribute=None,
                image_size=side,
                load_size=None,
            )
            sides = self.translator.source, self.translator.target
            takes_others = self._are_files() and all(s.takes_8_bits for s in sides)
            if sides[0].labels or not takes_others:
                raise ValueError(
                    "An export of a T of label maps, of more than four channels, or of "
                    "values with a range is proven by its run's own images, which "
                    f"{state}: {error}"
                ) from None
            opened = data.open_data(config, specs=self._sides())  # It is in the package.
            sources = self._some_of(opened)
        else:
            if known and not fingerprints.same_files(
                known["fingerprint"], opened.fingerprint
            ):
                self._note(
                    "Parity was looked at with other images than training measured: the "
                    "data have changed."
                )
        pairs = opened.held_out or opened.train
        return sources, f"{len(sources)} {pairs.name} images of {opened.name}"

    def _some_of(self, opened):
        """The first few held-out sources, `[N, H, W, C]` as of the run."""
        batches = data.evaluation_dataset(
            opened.held_out or opened.train,
            geometry=opened.geometry,
            batch_size=_NUM_IMAGES,
            centre=True,
        )
        try:
            batch = next(iter(batches))
        except tf.errors.OpError as error:  # Damaged since the run verified it.
            if said := files.unusable(error):
                raise files.UnusableFilesError(said) from None
            raise
        side = "target" if self.translator.inverse else "source"
        return self.translator.source.to_levels(batch[side]).numpy()

    def _label(self, is_optimized):
        config, field = self.translator.config, self.translator.field
        known = RunFolder(self.translator.path).known_data() or {}
        return {
            "pan_tf": pan_tf.__version__,
            "tensorflow": tf.__version__,
            "exported": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "recipe": config.recipe,
            "dataset": {key: known.get(key) for key in ("name", "fingerprint")},
            "direction": data.direction(config),
            "inverse": self.translator.inverse,
            "image_size": config.image_size.to_json(),
            "geometry": self.translator.geometry.to_json(),
            "scale": str(self.translator.scale),
            "images": {
                "source": self.translator.source.to_json(),
                "target": self.translator.target.to_json(),
            },
            "channels": {
                "source": self.translator.source.channels,
                "target": self.translator.target.channels,
            },
            "run": self.translator.path.resolve().name,
            "checkpoint": self.translator.checkpoint,
            "weights_sha256": self.translator.digest(),
            "batch_normalization": self.translator.system.bn_statistics,
            "optimized": is_optimized,
            "max_pixels": self.max_pixels,
            "receptive_field": {
                "multiple": field.multiple,
                "radius": field.radius if np.isfinite(field.radius) else None,
                "size": field.size,
            },
            "notes": self.notes,
            # Not those that name places on this machine.
            "settings": {
                setting.name: config.to_json()[setting.name]
                for setting in dataclasses.fields(Config)
                if not setting.metadata["free"]
            },
        }

    def _note(self, note):
        self.notes.append(note)
        logging.warning("*** %s ***", note)


def _gaps(report):
    """The signatures that are beyond their limits, in words."""
    return "; ".join(
        f"{name} by {row['largest_difference']:.3g} {row['unit']}, limit {row['limit']}"
        for name, row in report.items()
        if row["largest_difference"] > row["limit"]
    )
