"""What an evaluation measures in one direction: its systems, beside the baselines."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from pan_tf import data
from pan_tf import images
from pan_tf.data import Split
from pan_tf.evaluation import record
from pan_tf.evaluation.baselines import fit
from pan_tf.evaluation.baselines import translations
from pan_tf.evaluation.compare import Result
from pan_tf.evaluation.judges import Judges
from pan_tf.evaluation.measure import images_at_a_time
from pan_tf.evaluation.measure import measure
from pan_tf.evaluation.measure import sizes_recur
from pan_tf.evaluation.measure import unmeasurable
from pan_tf.evaluation.measure import usual
from pan_tf.metrics import ROWS
from pan_tf.metrics.intervals import summarized
from pan_tf.size import Size


class StoppedError(Exception):
    """A request to stop came while systems were measured."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is measured, in one direction.

    Attributes:
        name: unique in a report.
        checkpoint: `Translator.checkpoint`; None of a baseline.
        translate: float32 `[B, H, W, C]` in [-1, 1] -> pixels as of the targets' spec, of
            sources in order.
        back: likewise its inverse; None where there is none.
        takes_all: whether it translates other images than sources.
    """

    name: str
    checkpoint: dict | None
    translate: Callable
    back: Callable | None = None
    takes_all: bool = True


@dataclasses.dataclass(frozen=True)
class Direction:
    """What was found in one direction.

    Attributes:
        name: "AtoB" or "BtoA".
        split: `Split`, its sources those of the direction.
        results: `Result`s of the systems, in order.
        baselines: baseline -> `Result`.
        outputs: system -> uint8 `[N, H, W, C]`, where they were kept.
        translators: those of the systems that are networks.
        native: (`Result`s, baseline -> `Result`) on files as they are, at their own size:
            of each T at its scale, and at the files' own, `NATIVE_SCALE`; None where that
            is what `results` are, or nothing is known of files.
    """

    name: str
    split: Split
    results: list
    baselines: dict
    outputs: dict
    translators: list
    native: tuple | None = None


class Directions:
    """What an `Evaluation` asks for, measured.

    Args:
        evaluation: `Evaluation`.
        fitted: what `baselines.fit` gave of its training pairs; None: fitted when needed.
        stop: anything with `requested`, looked at between systems; or None.
        is_quiet: whether not to print what is being measured.
    """

    def __init__(self, evaluation, fitted=None, stop=None, is_quiet=False):
        self._asked, self._fitted, self._stop = evaluation, fitted, stop
        self._is_quiet, self._traced = is_quiet, {}

    def scores(self, places=None):
        """What the pairs score, one by one.

        Args:
            places: numbers of the split's pairs; None: all.

        Returns:
            "results", "baselines", and where files as they are were measured "native" and
            "native_baselines" -> system -> metric -> float64 `[n]`.
        """
        direction = self.measured(self._asked.data.direction, places=places)
        found = {"results": direction.results, "baselines": direction.baselines.values()}
        if direction.native:
            found["native"], found["native_baselines"] = direction.native
            found["native_baselines"] = found["native_baselines"].values()
        return {group: {r.name: r.scores for r in rs} for group, rs in found.items()}

    def of_scores(self, scores):
        """The `Direction` of what `scores` gives of all places."""
        kinds = {}
        for name, t in zip(self._asked.names, self._asked.translators, strict=True):
            kinds |= dict.fromkeys((name, f"{name}{record.NATIVE_SCALE}"), t.checkpoint)
        found = {
            group: {
                name: Result(name, kinds.get(name), own) for name, own in each.items()
            }
            for group, each in scores.items()
        }
        native = None
        if self._has_native:
            native = list(found["native"].values()), found["native_baselines"]
        return Direction(
            self._asked.data.direction,
            self._asked.split,
            list(found["results"].values()),
            found["baselines"],
            {},
            self._asked.translators,
            native,
        )

    @property
    def fitted(self):
        """What `baselines.fit` gives of the training pairs; None where there are none."""
        if self._fitted is None and self._asked.data.train:
            self._fitted = fit(self._asked.data.train, self._asked.geometry)
        return self._fitted

    def measured(self, name, is_back=False, places=None):
        """`Direction`.

        Args:
            name: its name.
            is_back: whether it is that of the inverses.
            places: numbers of the split's pairs; None: all.

        Raises:
            StoppedError: if a request to stop came.
        """
        split, train = self._asked.split, self._asked.data.train
        if places is not None:
            split = split.subset(places)
        if not split.paired:
            split, train = (each.at_most(self._asked.limit) for each in (split, train))
        if is_back:
            split, train = split.swapped(), train.swapped()
        sets = None
        if self._asked.of_sets:
            train = train and train.at_most(self._asked.limit)
            sets = Judges(self._asked, name, split, train)
        found, outputs = {}, {}
        for system in self._baselines(split):
            found[system.name], _ = self._one(system, name, split, sets)
        if not split.paired:
            found["real"] = sets.real_result()
        results = []
        for system in self._systems(is_back, split, train):
            self._check_stop()
            result, made = self._one(system, name, split, sets)
            results.append(result)
            if made is not None:
                outputs[system.name] = made
        translators = self._asked.inverses if is_back else self._asked.translators
        native = self._measure_native(name, split) if self._has_native else None
        return Direction(name, split, results, found, outputs, translators, native)

    @functools.cached_property
    def _has_native(self):
        """Whether files as they are, are measured too: where that is something else."""
        split = self._asked.split
        if split.by_middle or self._asked.geometry.is_native:
            return False
        if any(t.geometry is None or t.field.size for t in self._asked.translators):
            return False  # Nobody knows the scale of training, or T takes one size.
        sizes = {Size(*map(int, size)) for size in split.sizes()}
        if all(self._asked.geometry.measured_size(*size) == size for size in sizes):
            return False
        if problem := unmeasurable(split, data.NATIVE):
            self._asked.notes.append(f"Files as they are were not measured: {problem}")
            return False
        return True

    def _measure_native(self, name, split):
        """`Direction.native`: what a user gets who translates the files of the split."""
        systems = []
        for own, t in zip(self._asked.names, self._asked.translators, strict=True):
            systems.append(Candidate(own, t.checkpoint, _as_files(t)))
            if t.scale.value != "native":
                native = t.at_scale("native")
                name_there = f"{own}{record.NATIVE_SCALE}"
                systems.append(Candidate(name_there, t.checkpoint, _as_files(native)))
        baselines = self._baselines(split)
        made = []
        for system in [*baselines, *systems]:
            self._check_stop()
            self._say(f"{name}: {system.name}, files as they are ...")
            scores = measure(
                system.translate,
                split,
                data.NATIVE,
                is_traced=self._is_traced(data.NATIVE),
            )
            made.append(Result(system.name, system.checkpoint, scores))
        found, results = made[: len(baselines)], made[len(baselines) :]
        return results, {result.name: result for result in found}

    def _is_traced(self, geometry):
        """As `measure` has it: of the whole split, whatever part is measured."""
        if geometry.preprocess not in self._traced:
            recur = sizes_recur(self._asked.split, geometry)
            self._traced[geometry.preprocess] = recur
        return self._traced[geometry.preprocess]

    def _say(self, line):
        if not self._is_quiet:
            print(line, flush=True)

    def _check_stop(self):
        if self._stop and self._stop.requested:
            raise StoppedError

    def _one(self, system, direction, split, sets):
        """(`Result` of a system, its outputs where they were kept)."""
        is_baseline = system.checkpoint is None
        self._say(f"{direction}: {system.name}, {split} ...")
        names = usual(split, system.back is not None) + self._asked.of_images
        if is_baseline and not split.paired:
            names = []  # What is kept of an image that is copied is known.
        if not system.takes_all:
            names = [n for n in names if "identity" not in ROWS[n].compares]
        keep = {"output": []} if sets else {}
        scores = measure(
            system.translate,
            split,
            self._asked.geometry,
            self._asked.batch_size,
            back=system.back,
            names=names,
            weights=self._asked.weights,
            keep=keep,
            is_traced=self._is_traced(self._asked.geometry),
        )
        if sets is None:
            return Result(system.name, system.checkpoint, scores), None
        outputs = images.shown(self._asked.geometry.middles(keep["output"]))
        of_sets = {}
        for name, value in sets.judge(outputs).items():
            value = summarized(value) if is_baseline else value
            (scores if isinstance(value, np.ndarray) else of_sets)[name] = value
        return Result(system.name, system.checkpoint, scores, of_sets), outputs

    def _baselines(self, split):
        # Without pairs there is nothing to fit a colour by.
        fitted = self.fitted if split.paired else None
        found = translations(split, self._asked.geometry, fitted)
        return [Candidate(name, None, translate) for name, translate in found.items()]

    def _systems(self, is_back, split, train):
        """The systems of a direction."""
        systems = []
        for name, *both in zip(
            self._asked.names, self._asked.translators, self._asked.inverses, strict=True
        ):
            there, back = reversed(both) if is_back else both
            if there is not None:
                way_back = back.translate if back else None
                systems.append(
                    Candidate(name, there.checkpoint, there.translate, way_back)
                )
        if self._asked.dfi:
            systems.append(self._interpolation(split, train))
        return systems

    def _interpolation(self, split, train):
        made = self._asked.interpolated(self._asked.dfi, train, split.source)
        step = self._asked.batch_size or images_at_a_time(self._asked.config.image_size)
        parts = iter(np.split(made, range(step, len(made), step)))
        checkpoint = {"kind": "dfi", "iteration": None, "chosen_by": None}
        # Sources come once, in order.
        return Candidate("dfi", checkpoint, lambda source: next(parts), takes_all=False)


def _as_files(translator):
    """A T as the command `translate` uses it: one image, at its own size."""

    def translate(source):
        (pixels,) = translator.source.to_levels(source).numpy()
        return translator.translate_image(pixels)[0][None]

    return translate
