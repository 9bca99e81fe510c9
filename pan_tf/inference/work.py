"""What becomes of one image: read, translated, written; or why it was not."""

import contextlib
import dataclasses
import pathlib
import re

import tensorflow as tf

from pan_tf import files
from pan_tf import image_files
from pan_tf import printing
from pan_tf.data import DatasetNotFoundError
from pan_tf.image_files import ImageFileError
from pan_tf.inference.tiles import seam_score
from pan_tf.inference.traffic import Traffic
from pan_tf.networks import WeightsNotFoundError
from pan_tf.progress import Progress

# T gets images of more pixels one by one: its memory grows with them.
_ALONE = 2**20
_ALIKE = 3  # Notes of one kind that are shown.


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

    def to_json(self):
        """What JSON can hold; `from_json` makes it again, but for `left_alone`."""
        return {
            "written": [str(path) for path in self.written],
            "skipped": [str(path) for path in self.skipped],
            "failures": [(str(path), sentence) for path, sentence in self.failures],
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, found):
        """Takes what `to_json` gave."""
        return cls(
            [pathlib.Path(path) for path in found["written"]],
            [pathlib.Path(path) for path in found["skipped"]],
            [(pathlib.Path(path), said) for path, said in found["failures"]],
            notes=found["notes"],
        )

    def __str__(self):
        count = len(self.written) + len(self.skipped) + len(self.failures)
        there = f", {len(self.skipped)} there already" if self.skipped else ""
        text = f"{count} in, {len(self.written)} out{there}, {len(self.failures)} failed."
        if len(self.left_alone) == 1:
            text = f"1 file is not an image by its name.\n{text}"
        elif self.left_alone:
            text = f"{len(self.left_alone)} files are not images by their names.\n{text}"
        return "\n".join([*map(printing.one_line, _few(self.notes)), text])


@dataclasses.dataclass(frozen=True)
class Work:
    """Translates files, one a call.

    Attributes:
        translator: `Translator`.
        tile_size: as in a call of it.
        existing: as of `TranslationJob`; it is looked at once more, since a job may
            take long.
        traffic: `Traffic` of the images that are on their way beside each other.
    """

    translator: object
    tile_size: int | None = None
    existing: str = "fail"
    traffic: Traffic = dataclasses.field(default_factory=Traffic)

    def __call__(self, item):
        """`Outcome` of one file; of threads, each may do another.

        Args:
            item: (input, output, format).
        """
        source, target, _ = item
        outcome = Outcome()
        if self._is_there(source, target, outcome):
            return outcome
        with self.traffic.of(_pixels(source)):
            self._write_translated(item, outcome)
        return outcome

    def _is_there(self, source, target, outcome):
        """Whether something is there by now that must not, or cannot, be overwritten."""
        if target.is_dir():
            outcome.failures.append((source, f"{target} is a folder"))
            return True
        if self.existing == "overwrite" or not target.exists():
            return False
        if self.existing == "skip" and not target.stat().st_size:
            return False  # What a machine that failed leaves of a file.
        if self.existing == "skip":
            outcome.skipped.append(target)
        else:
            sentence = f"{target} is there by now; another program has written it"
            outcome.failures.append((source, sentence))
        return True

    def _write_translated(self, item, outcome):
        source, target, format = item
        try:
            picture = self._translate(source, outcome)
            spec = self.translator.target
            if self._is_there(source, target, outcome):
                return
            _note_losses(source, picture, format, spec, outcome)
            image_files.write_picture(target, picture, format, spec)
            outcome.written.append(target)
        except (ImageFileError, MemoryError, OSError, ValueError) as error:
            outcome.failures.append((source, str(error)))
        except tf.errors.OpError as error:
            sentence = files.lack_of_memory(error) or _said(error)
            outcome.failures.append((source, sentence))

    def _translate(self, source, outcome):
        """The translated `Picture`."""
        translator, traffic = self.translator, self.traffic
        picture = image_files.read_picture(source, translator.source)
        height, width = picture.pixels.shape[:2]
        warning = translator.scale_warning(height, width)
        if warning:
            outcome.notes.append(f"{source}: {warning}")
        tiling = translator.tiling(height, width, self.tile_size)
        seen = translator.seen_size(height, width)
        if tiling is not None:
            print(
                f"{source}: {width} x {height} pixels, {tiling.count(*seen)} "
                f"tiles of {tiling.tile_size} px, each {tiling.step} further",
                flush=True,
            )
        is_large = seen[0] * seen[1] > _ALONE
        with (
            traffic.alone if is_large else contextlib.nullcontext(),
            Progress(tiling.count(*seen) if tiling else 1, "tiles") as tiles,
        ):
            pixels, used = translator.translate_image(
                picture.pixels,
                self.tile_size,
                traffic.counting(tiles) if tiling else None,
            )
        if used != tiling:
            outcome.notes.append(f"{source}: too little memory; smaller tiles were used")
            tiling = used
        if tiling is not None:
            # Seams lie at T's own scale.
            score = seam_score(pixels, tiling) if seen == (height, width) else None
            seams = "no gradient to score seams by"
            if seen != (height, width):
                seams = "seams lie at T's scale, and are not scored"
            elif score is not None:
                seams = f"seam score {score:.3f} (gradient at borders to elsewhere)"
            outcome.notes.append(
                f"{source}: {tiling.count(*seen)} tiles of {tiling.tile_size} px; {seams}"
            )
        return dataclasses.replace(picture, pixels=pixels)


def _few(notes):
    """Notes, and of those that differ in numbers only, the first ones and a count."""
    kinds = {}
    for note in notes:
        _, is_of_image, said = note.rpartition(": ")
        kind = re.sub(r"[0-9]*\.?[0-9]+", "#", said) if is_of_image else note
        kinds.setdefault(kind, []).append(note)
    for alike in kinds.values():
        yield from alike[:_ALIKE]
        if len(alike) > _ALIKE:
            yield f"... and {len(alike) - _ALIKE} more notes like these."


# What making, and using, a T or a data set may raise: a user's business, a sentence each.
REFUSALS = DatasetNotFoundError, WeightsNotFoundError, OSError, ValueError


def tried(call):
    """(what a function gives, None), or (None, what a user is to know of its failure)."""
    try:
        return call(), None
    except Exception as error:
        said = files.trouble(error)
        if not said and not isinstance(error, REFUSALS):
            raise
        return None, said or str(error)


def _pixels(path):
    """How many an image has, by its header; 1 where that cannot be read."""
    try:
        header = image_files.read_header(path)
    except ImageFileError:
        return 1  # Reading it will tell.
    return header.height * header.width


def _said(error):
    """The line of TensorFlow's message that says what went wrong.

    In a graph it stands after the places in the code that led there.
    """
    lines = [line for line in str(error).splitlines() if line and not line[0].isspace()]
    if not lines:
        return type(error).__name__
    return lines[-1] if lines[0].startswith("Graph execution error") else lines[0]


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
    if picture.alpha is not None and format == "TIFF" and not spec.is_whole:
        outcome.notes.append(
            f"{source}: its transparency is lost beside values of {spec.kind}"
        )
    if picture.alpha is not None and format in image_files.OPAQUE:
        outcome.notes.append(f"{source}: its transparency is lost in a {format} file")
