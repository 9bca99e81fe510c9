"""A file or a folder of files, translated: N in, N out, and each that failed named."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib

import tensorflow as tf
from PIL import Image

from pan_tf import files
from pan_tf import image_files
from pan_tf import paths
from pan_tf.image_files import ImageFileError
from pan_tf.inference.tiles import seam_score
from pan_tf.inference.traffic import AT_ONCE
from pan_tf.inference.traffic import Traffic
from pan_tf.progress import Progress
from pan_tf.progress import followed

# T gets images of more pixels one by one: its memory grows with them.
_ALONE = 2**20


@dataclasses.dataclass
class Outcome:
    """What became of a job.

    Attributes:
        written: paths.
        skipped: paths that were there already.
        failures: (path, sentence) of each input without an output.
        left_alone: paths that are not images by their names.
        notes: sentences that a user should read.
    """

    written: list = dataclasses.field(default_factory=list)
    skipped: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    left_alone: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)

    def add(self, other):
        """Appends what became of other images."""
        for field in dataclasses.fields(self):
            getattr(self, field.name).extend(getattr(other, field.name))

    def __str__(self):
        count = len(self.written) + len(self.skipped) + len(self.failures)
        there = f", {len(self.skipped)} there already" if self.skipped else ""
        text = f"{count} in, {len(self.written)} out{there}, {len(self.failures)} failed."
        if self.left_alone:
            text = f"{len(self.left_alone)} files are not images by their names.\n{text}"
        return "\n".join([*self.notes, text])


def translate_files(
    translator, input, output, tile_size=None, keep_format=False, existing="fail"
):
    """Translates a file, or a folder of files.

    Args:
        translator: function without arguments that gives the `Translator`: what is wrong
            with the files is said before it is loaded.
        input, output, keep_format, existing: as of `TranslationJob`.
        tile_size: as in a call of a `Translator`.

    Returns:
        `Outcome`. PNG where it can hold what T gives, else TIFF.

    Raises:
        OSError, ValueError: as of `TranslationJob`, or if the tile size is not legal.
    """
    job = TranslationJob(input, output, keep_format, existing)
    translator = translator()
    translator.tiling(1, 1, tile_size)  # Is it legal?
    if not keep_format and image_files.loses_values("PNG", translator.target):
        job = TranslationJob(input, output, existing=existing, format="TIFF")
    return job.run(translator, tile_size)


class TranslationJob:
    """Files to translate. Making it checks what can be known beforehand.

    Args:
        input: a file, or a folder, which is searched with all folders below it.
        output: a file, for one input file and if the name has the ending of an image;
            else a folder, where the inputs' names and folders are kept.
        keep_format: write in each input's own format (and with a TIFF's tags), not PNG.
        format: what files of a folder are written in otherwise.
        existing: what to do where an output is there already: "fail", before anything is
            computed, "skip" or "overwrite".

    Raises:
        FileNotFoundError: if there is no input.
        FileExistsError: if an output is there already, and `existing` is "fail".
        ValueError: if an output would replace an input, or its format cannot be written.
    """

    def __init__(self, input, output, keep_format=False, existing="fail", format="PNG"):
        if existing not in ("fail", "skip", "overwrite"):
            raise ValueError(
                "--existing must be one of: fail, skip, overwrite. "
                f"Received: existing={existing!r}."
            )
        self.input = paths.named("input", input)
        self.output = paths.named("output", output)
        self.keep_format, self.existing, self.format = keep_format, existing, format
        self.left_alone, self.lost, self.notes = [], [], []
        self.targets = self._targets()
        inputs = {source.resolve() for source, _, _ in self.targets}
        for _, target, _ in self.targets:
            if target.resolve() in inputs:
                raise ValueError(
                    f"--output must not replace an input. Received: {target} is both."
                )
        for folder in {target.parent for _, target, _ in self.targets}:
            if problem := files.check_place(folder):
                raise ValueError(f"--output={self.output}: {problem}")
        there = [target for _, target, _ in self.targets if target.exists()]
        if there and existing == "fail":
            raise FileExistsError(
                f"{len(there)} of {len(self.targets)} outputs are there already, the "
                f"first is {there[0]}. Choose another --output, or --existing=skip or "
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
        outcome = Outcome(
            failures=list(self.lost), left_alone=self.left_alone, notes=list(self.notes)
        )
        print(translator.describe_scale(), flush=True)
        traffic = Traffic()
        work = functools.partial(self._one, translator, tile_size, traffic)
        pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        try:
            results = pool.map(work, self.targets)
            for result in followed(results, "translating", len(self.targets)):
                outcome.add(result)
        finally:
            traffic.end()
            pool.shutdown(cancel_futures=True)
        return outcome

    def _one(self, translator, tile_size, traffic, item):
        """`Outcome` of one file; a thread does it.

        Args:
            translator, tile_size: as of `run`.
            traffic: `Traffic`.
            item: (input, output, format).
        """
        source, target, _ = item
        outcome = Outcome()
        if self.existing == "skip" and target.exists():
            outcome.skipped.append(target)
            return outcome
        with traffic.of(_pixels(source)):
            self._write_translated(translator, tile_size, traffic, item, outcome)
        return outcome

    def _write_translated(self, translator, tile_size, traffic, item, outcome):
        source, target, format = item
        try:
            picture = self._translate(translator, source, tile_size, traffic, outcome)
            spec = translator.target
            _note_losses(source, picture, format, spec, outcome)
            image_files.write_picture(target, picture, format, spec)
            outcome.written.append(target)
        except (ImageFileError, MemoryError, OSError, ValueError) as error:
            outcome.failures.append((source, str(error)))
        except tf.errors.OpError as error:
            line, _, _ = str(error).partition("\n")
            outcome.failures.append((source, line or type(error).__name__))

    def _translate(self, translator, source, tile_size, traffic, outcome):
        """The translated `Picture`."""
        picture = image_files.read_picture(source, translator.source)
        height, width = picture.pixels.shape[:2]
        warning = translator.scale_warning(height, width)
        if warning:
            outcome.notes.append(f"{source}: {warning}")
        tiling = translator.tiling(height, width, tile_size)
        seen = translator.seen_size(height, width)
        if tiling is not None:
            print(
                f"{source}: {height} x {width} pixels, {tiling.count(*seen)} "
                f"tiles of {tiling.tile_size} px, each {tiling.step} further",
                flush=True,
            )
        is_large = seen[0] * seen[1] > _ALONE
        with (
            traffic.alone if is_large else contextlib.nullcontext(),
            Progress(tiling.count(*seen) if tiling else 1, "tiles") as tiles,
        ):
            pixels, used = translator.translate_image(
                picture.pixels, tile_size, traffic.counting(tiles) if tiling else None
            )
        if used != tiling:
            outcome.notes.append(f"{source}: too little memory; smaller tiles were used")
            tiling = used
        if tiling is not None:
            # Seams lie at T's own scale.
            score = seam_score(pixels, tiling) if seen == (height, width) else None
            seams = "no gradient to score seams by"
            if score is not None:
                seams = f"seam score {score:.3f} (gradient at borders to elsewhere)"
            outcome.notes.append(
                f"{source}: {tiling.count(*seen)} tiles of {tiling.tile_size} px; {seams}"
            )
        return dataclasses.replace(picture, pixels=pixels)

    def _targets(self):
        """(input, output, format) of every file, sorted."""
        if self.input.is_file():
            format = image_files.format_of(self.output)
            is_folder = self.output.is_dir() or not self.output.suffix
            if not is_folder and format is None:
                raise ValueError(
                    "--output must be a folder, or a file name that ends in .png, .jpg, "
                    f".tif, .bmp, .webp or .npy. Received: output={str(self.output)!r}."
                )
            if not is_folder:
                kept = self._format(self.input)
                if self.keep_format and format != kept:
                    raise ValueError(
                        f"--format=input: {self.output} must end as {kept} files do, "
                        f"{image_files.ending_of(kept)}."
                    )
                return [(self.input, self.output, format)]
            files = [self.input]
        else:
            files = self._files()
        if self.output.is_file():
            raise ValueError(f"--output={self.output} must be a folder; it is a file.")
        formats = {path: self._format(path) for path in files}
        root = self.input if self.input.is_dir() else self.input.parent
        folders = {path: self.output / path.relative_to(root).parent for path in files}
        targets = {
            path: folders[path] / _name(path, format) for path, format in formats.items()
        }
        # Those whose names differ in nothing but the ending keep that ending as well.
        taken = collections.Counter(targets.values())
        for path, target in targets.items():
            if taken[target] > 1:
                ending = image_files.ending_of(formats[path])
                targets[path] = folders[path] / (path.name + ending)
        first = {}
        for path, target in targets.items():
            if first.setdefault(target, path) != path:
                raise ValueError(
                    f"{first[target]} and {path} would both become {target}. Rename one."
                )
        return [(path, targets[path], formats[path]) for path in files]

    def _files(self):
        if not self.input.is_dir():
            if str(self.input) == "-":
                raise ValueError(
                    "--input must be a file or a folder; standard input is not read. "
                    "Received: input='-'."
                )
            is_pattern = set("*?[") & set(str(self.input))
            raise FileNotFoundError(
                f"--input={self.input} is not there."
                + (" It must be a file or a folder, not a pattern." if is_pattern else "")
            )
        # The output may lie in the input's folder, from an earlier job.
        output, root = self.output.resolve(), self.input.resolve()
        if output == root:
            raise ValueError(
                f"--output={self.output} must be another folder than --input: outputs "
                "would be the next inputs."
            )
        found = [p for p in self._walk() if not _is_hidden(p.relative_to(self.input))]
        if output.is_relative_to(root):
            # Not `resolve`, which does not bear links in a circle.
            real = (pathlib.Path(os.path.realpath(path)) for path in found)
            inside = [path.is_relative_to(output) for path in real]
            found = [p for p, skip in zip(found, inside, strict=True) if not skip]
        endings = {e for e, f in Image.registered_extensions().items() if f in Image.OPEN}
        endings |= set(image_files.ENDINGS)
        chosen = [path for path in found if path.suffix.lower() in endings]
        self.left_alone = [path for path in found if path.suffix.lower() not in endings]
        problems = {path: image_files.not_a_file(path) for path in chosen}
        self.lost += [(path, said) for path, said in problems.items() if said]
        if not chosen and not self.lost:
            raise FileNotFoundError(f"--input={self.input} holds no image.")
        return [path for path in chosen if not problems[path]]

    def _walk(self):
        """What lies in the input's folder and below, sorted, folders left out.

        Links to folders are noted; folders that cannot be listed are lost.
        """

        def lose(error):
            sentence = f"cannot be listed: {error.strerror}"
            self.lost.append((pathlib.Path(error.filename), sentence))

        found = []
        for place, folders, names in os.walk(self.input, onerror=lose):
            below = (os.path.join(place, folder) for folder in folders)
            self.notes += [
                f"{path} is a link to a folder; it is not followed"
                for path in below
                if os.path.islink(path)
            ]
            found += [pathlib.Path(place, name) for name in names]
        return sorted(found)

    def _format(self, path):
        """The format that an input is to be written in."""
        return image_files.format_kept(path) if self.keep_format else self.format


def _pixels(path):
    """How many an image has, by its header; 1 where that cannot be read."""
    try:
        header = image_files.read_header(path)
    except ImageFileError:
        return 1  # Reading it will tell.
    return header.height * header.width


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _note_losses(source, picture, format, spec, outcome):
    """What of a picture its output's format cannot hold."""
    if image_files.loses_values(format, spec):
        outcome.notes.append(
            f"{source}: its output's values are {spec.kind}; {format} holds them as "
            "levels; .tif and .npy files hold them as they are"
        )
    if picture.tags is not None and len(picture.tags) and format != "TIFF":
        outcome.notes.append(
            f"{source}: its TIFF tags are lost; --format=input keeps them"
        )
    if picture.alpha is not None and format in image_files.OPAQUE:
        outcome.notes.append(f"{source}: its transparency is lost in a {format} file")


def _name(path, format):
    """The output's file name: the input's, with the ending of the format."""
    if image_files.format_of(path) == format:
        return path.name
    return path.stem + image_files.ending_of(format)
