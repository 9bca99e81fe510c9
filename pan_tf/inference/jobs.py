"""A file or a folder of files, translated: N in, N out, and each that failed named."""

import collections
import dataclasses
import pathlib

import keras
from PIL import Image

from pan_tf.inference import image_files
from pan_tf.inference.image_files import ImageFileError
from pan_tf.inference.tiles import seam_score


@dataclasses.dataclass
class Outcome:
    """What became of a job.

    Attributes:
        written: paths.
        skipped: paths that were there already.
        failures: (path, sentence) of each input without an output.
        notes: sentences that a user should read.
    """

    written: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)


class TranslationJob:
    """Files to translate. Making it checks what can be known beforehand.

    Args:
        input: a file, or a folder, which is searched with all folders below it.
        output: a file, for one input file and if the name has the ending of an image;
            else a folder, where the inputs' names and folders are kept.
        keep_format: write in each input's own format (and with a TIFF's tags), not PNG.
        existing: what to do where an output is there already: "fail", before anything is
            computed, "skip" or "overwrite".

    Raises:
        FileNotFoundError: if there is no input.
        FileExistsError: if an output is there already, and `existing` is "fail".
        ValueError: if an output would replace an input, or its format cannot be written.
    """

    def __init__(self, input, output, keep_format=False, existing="fail"):
        self.input, self.output = pathlib.Path(input), pathlib.Path(output)
        self.keep_format, self.existing = keep_format, existing
        self.left_alone = []
        self.pairs = self._pairs()
        inputs = {source.resolve() for source, _ in self.pairs}
        for _, target in self.pairs:
            if target.resolve() in inputs:
                raise ValueError(
                    f"--output must not replace an input. Received: {target} is both."
                )
        there = [target for _, target in self.pairs if target.exists()]
        if there and existing == "fail":
            raise FileExistsError(
                f"{len(there)} of {len(self.pairs)} outputs are there already, the first "
                f"is {there[0]}. Choose another --output, or --existing=skip or "
                "--existing=overwrite."
            )

    def run(self, translator, tile_size=None):
        """Translates every file.

        Args:
            translator: `Translator`.
            tile_size: as in a call of it.

        Returns:
            `Outcome`.
        """
        outcome = Outcome()
        progress = keras.utils.Progbar(len(self.pairs), unit_name="image")
        for done, (source, target) in enumerate(self.pairs):
            if self.existing == "skip" and target.exists():
                outcome.skipped.append(target)
            else:
                try:
                    self._translate(translator, source, target, tile_size, outcome)
                    outcome.written.append(target)
                except (ImageFileError, MemoryError, OSError) as error:
                    outcome.failures.append((source, str(error)))
            progress.update(done + 1)
        return outcome

    def _translate(self, translator, source, target, tile_size, outcome):
        picture = image_files.read_picture(source)
        height, width = picture.pixels.shape[:2]
        tiling = translator.tiling(height, width, tile_size)
        on_tile = None
        if tiling is not None:
            print(
                f"{source}: {height} x {width} pixels, {tiling.count(height, width)} "
                f"tiles of {tiling.tile_size} px, each {tiling.step} further",
                flush=True,
            )
            bar = keras.utils.Progbar(tiling.count(height, width), unit_name="tile")

            def on_tile():
                bar.add(1)

        pixels, used = translator.translate_image(picture.pixels, tile_size, on_tile)
        if used != tiling:
            outcome.notes.append(f"{source}: memory ran out; smaller tiles were used")
            tiling = used
        if tiling is not None:
            score = seam_score(pixels, tiling)
            seams = "no gradient to score seams by"
            if score is not None:
                seams = f"seam score {score:.3f} (gradient at borders to elsewhere)"
            outcome.notes.append(
                f"{source}: {tiling.count(height, width)} tiles of "
                f"{tiling.tile_size} px; {seams}"
            )
        format = self._format(picture, target)
        if picture.tags is not None and len(picture.tags) and format != "TIFF":
            outcome.notes.append(
                f"{source}: its TIFF tags are not in {target.name}; --format=input keeps "
                "them"
            )
        result = dataclasses.replace(picture, pixels=pixels)
        image_files.write_picture(target, result, format)

    def _format(self, picture, target):
        if self.keep_format:
            return image_files.format_like(picture)
        return image_files.format_of(target) or "PNG"

    def _pairs(self):
        """(input, output) of every file, sorted."""
        if self.input.is_file():
            format = image_files.format_of(self.output)
            if format is not None and not self.output.is_dir():
                return [(self.input, self.output)]
            if self.output.suffix and not self.output.is_dir():
                raise ValueError(
                    "--output must be a folder, or a file name that ends in .png, .jpg, "
                    f".tif, .bmp or .webp. Received: output={str(self.output)!r}."
                )
            return [(self.input, self.output / self._name(self.input, set()))]
        if not self.input.is_dir():
            raise FileNotFoundError(f"--input={self.input} is not there.")
        files = sorted(path for path in self.input.rglob("*") if path.is_file())
        endings = {e for e, f in Image.registered_extensions().items() if f in Image.OPEN}
        chosen = [path for path in files if path.suffix.lower() in endings]
        self.left_alone = [path for path in files if path.suffix.lower() not in endings]
        # The output may lie in the input's folder, from an earlier job.
        inside = self.output.resolve()
        if inside != self.input.resolve():
            chosen = [p for p in chosen if not p.resolve().is_relative_to(inside)]
        if not chosen:
            raise FileNotFoundError(f"--input={self.input} holds no image.")
        names = collections.Counter(path.with_suffix("") for path in chosen)
        twins = {path for path in chosen if names[path.with_suffix("")] > 1}
        folder = [path.relative_to(self.input).parent for path in chosen]
        return [
            (path, self.output / place / self._name(path, twins))
            for path, place in zip(chosen, folder, strict=True)
        ]

    def _name(self, path, twins):
        """The output's file name: the input's, with another ending.

        Files whose names differ in nothing but the ending keep that ending as well.
        """
        if self.keep_format:
            format = image_files.format_of(path)
            return path.name if format else path.name + ".png"
        return path.name + ".png" if path in twins else path.stem + ".png"
