"""A file or a folder of files, translated: N in, N out, and each that failed named."""

import collections
import concurrent.futures
import os
import pathlib

from PIL import Image

from pan_tf import files
from pan_tf import image_files
from pan_tf import paths
from pan_tf.inference.traffic import AT_ONCE
from pan_tf.inference.work import Outcome
from pan_tf.inference.work import Work
from pan_tf.progress import followed


def translate_files(
    translator,
    input,
    output,
    tile_size=None,
    keep_format=False,
    existing="fail",
    engine=None,
):
    """Translates a file, or a folder of files.

    Args:
        translator: function without arguments that gives the `Translator`: what is wrong
            with the files is said before it is loaded.
        input, output, keep_format, existing: as of `TranslationJob`.
        tile_size: as in a call of a `Translator`.
        engine: `bulk.Engine` that does it elsewhere; None: this process does.

    Returns:
        `Outcome`. PNG where it can hold what T gives, else TIFF.

    Raises:
        OSError, ValueError: as of `TranslationJob`, or if the tile size is not legal.
    """
    job = TranslationJob(input, output, keep_format, existing)
    if engine is not None:
        engine.check(job)
    made = translator
    translator = made()
    translator.tiling(1, 1, tile_size)  # Is it legal?
    if not keep_format and image_files.loses_values("PNG", translator.target):
        job = TranslationJob(input, output, existing=existing, format="TIFF")
    print(translator.describe_scale(), flush=True)
    if engine is not None:
        return engine.run(job, made, translator, tile_size)
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
        inputs = {os.path.realpath(source) for source, _, _ in self.targets}
        for _, target, _ in self.targets:
            if os.path.realpath(target) in inputs:
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
        outcome = self.begun()
        work = Work(translator, tile_size, self.existing)
        pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        try:
            results = pool.map(work, self.targets)
            for result in followed(results, "translating", len(self.targets)):
                outcome.add(result)
        finally:
            work.traffic.end()
            pool.shutdown(cancel_futures=True)
        return outcome

    def begun(self):
        """`Outcome` of what is known before anything is translated."""
        return Outcome(
            failures=list(self.lost), left_alone=self.left_alone, notes=list(self.notes)
        )

    def _targets(self):
        """(input, output, format) of every file, sorted."""
        if self.input.is_file():
            format = image_files.format_of(self.output)
            is_folder = self.output.is_dir() or not self.output.suffix
            if not is_folder and format is None:
                *endings, last = (ending for ending, *_ in image_files.FORMATS.values())
                raise ValueError(
                    "--output must be a folder, or a file name that ends in "
                    f"{', '.join(endings)} or {last}. "
                    f"Received: output={str(self.output)!r}."
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
            state = "is neither a file nor a folder"
            if not self.input.exists():
                state = "is not there"
            raise FileNotFoundError(
                f"--input={self.input} {state}."
                + (" It must be a file or a folder, not a pattern." if is_pattern else "")
            )
        # The output may lie in the input's folder, from an earlier job.
        # Not `resolve`, which does not bear links in a circle.
        output, root = (
            pathlib.Path(os.path.realpath(path)) for path in (self.output, self.input)
        )
        if output == root:
            raise ValueError(
                f"--output={self.output} must be another folder than --input: outputs "
                "would be the next inputs."
            )
        found = [p for p in self._walk() if not _is_hidden(p.relative_to(self.input))]
        if output.is_relative_to(root):
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


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def _name(path, format):
    """The output's file name: the input's, with the ending of the format."""
    if image_files.format_of(path) == format:
        return path.name
    return path.stem + image_files.ending_of(format)
