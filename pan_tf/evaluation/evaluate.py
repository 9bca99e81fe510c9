"""An evaluation: trained Ts over one split, beside the baselines, into a folder.

metrics.json    means with intervals, baselines, differences, where it all comes from
per_image.csv   every score of every image
index.html      the report; needs no network and no other file

With pairs each output is compared with its own target. Without pairs, outputs are judged
as a set, and beside that what they keep of their sources, in both directions of a cycle.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from pan_tf import data
from pan_tf import files
from pan_tf import images
from pan_tf import inference
from pan_tf import paths
from pan_tf.data import Split
from pan_tf.evaluation import page
from pan_tf.evaluation import record
from pan_tf.evaluation.baselines import fit
from pan_tf.evaluation.baselines import translations
from pan_tf.evaluation.compare import Result
from pan_tf.evaluation.inputs import Inputs
from pan_tf.evaluation.judges import Judges
from pan_tf.evaluation.judges import check_sizes
from pan_tf.evaluation.measure import images_at_a_time
from pan_tf.evaluation.measure import measure
from pan_tf.evaluation.measure import too_small
from pan_tf.evaluation.measure import usual
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics import SET_METRICS
from pan_tf.metrics import check_channels
from pan_tf.metrics import locate_weights
from pan_tf.metrics.intervals import mean_and_interval
from pan_tf.size import Size

# Images of a list that are looked at without pairs.
LIMIT = 2000


class StoppedError(Exception):
    """A request to stop came while systems were measured."""


@dataclasses.dataclass(frozen=True)
class System:
    """What is measured, in one direction.

    Attributes:
        name: unique in a report.
        checkpoint: `Translator.checkpoint`; None of a baseline.
        translate: float32 `[B, H, W, 3]` in [-1, 1] -> uint8, of sources in order.
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
        outputs: system -> uint8 `[N, H, W, 3]`, where they were kept.
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


class Evaluation(Inputs):
    """One evaluation. Making it checks everything that a user can have got wrong.

    Args:
        run_dirs, saved_models, checkpoint, split, unpaired, batch_size, names, **changes:
            as of `Inputs`; of cycles without pairs always the last checkpoint.
        output_dir: where to write; None for a folder in the only run, or beside the first
            of several.
        rank_by: metric that orders images in the report; None: what the first run's
            best checkpoint was chosen by.
        metrics: names of metrics that are measured beside the usual ones.
        metric_weights: folder of other published weights that metrics look through; None:
            they are downloaded once.
        vgg_weights: file of VGG's weights, for metrics that look through one; None: those
            of `keras.applications`.
        limit: of sets, images of a list that are looked at, at most; None: 2000.
        seeds: of sets, number of two-sample tests of each system; None: 5.
        epochs: of sets, of each classifier, at most; None: 30.
        dfi: `dfi.Settings`, to measure deep feature interpolation too; or None.

    Raises:
        ValueError: if a setting would go unheard.
        WeightsNotFoundError: if `dfi` or a metric has no VGG to look through.
        And as `Inputs`.
    """

    def __init__(
        self,
        run_dirs=(),
        saved_models=(),
        checkpoint="best",
        split=None,
        output_dir=None,
        rank_by=None,
        metrics=(),
        vgg_weights=None,
        metric_weights=None,
        limit=None,
        seeds=None,
        epochs=None,
        dfi=None,
        unpaired=None,
        **kwargs,
    ):
        if not (run_dirs or saved_models or dfi):
            raise ValueError(
                "--run_dir or --saved_model must name what to evaluate, or --dfi be "
                "given."
            )
        if not (run_dirs or saved_models or output_dir):
            raise ValueError("--output_dir must be given where there is no run.")
        for name in metrics or ():
            if name not in METRICS and name not in SET_METRICS:
                raise ValueError(
                    f"--metrics must be some of: {', '.join([*METRICS, *SET_METRICS])}. "
                    f"Received: {name}."
                )
        if rank_by is not None and rank_by not in METRICS:
            raise ValueError(
                f"--rank_by must be one of: {', '.join(METRICS)}. "
                f"Received: rank_by={rank_by!r}."
            )
        if dfi and unpaired is False:
            raise ValueError("--dfi knows no pairs: leave out --nounaligned.")
        # Deep feature interpolation knows no pairs.
        unpaired = True if dfi else unpaired
        super().__init__(run_dirs, saved_models, checkpoint, split, unpaired, **kwargs)
        self.inverses = [None] * len(self.translators)
        if not self.split.paired:
            self._take_both_directions()
        self.rank_by = rank_by or self.config.best_by
        self.limit, self.epochs = limit or LIMIT, epochs or 30
        self.seeds = tuple(range(1, (seeds or 5) + 1))
        if rank_by and not self.split.paired:
            raise ValueError("--rank_by goes with pairs, and here are none.")
        also = [self.rank_by] if self.split.paired else []
        self._choose_metrics([*(metrics or ()), *also])
        if self.split.paired:
            check_channels(self.of_images + self.of_sets, self.split.target.channels)
            if problem := too_small(self.split, self.geometry, self.of_images):
                raise ValueError(f"{problem} Remove it, or measure at another size.")
        self.weights = locate_weights(
            [*self.of_images, *self.of_sets], vgg_weights, metric_weights
        )
        self.dfi = dfi and self._check_dfi(dfi)
        if self.of_sets:
            least = max(ROWS[name].least for name in self.of_sets)
            check_sizes(self.data.train, self.split, self.limit, least)
        for name, given in (("limit", limit), ("seeds", seeds), ("epochs", epochs)):
            by_classifier = [m for m in self.of_sets if not ROWS[m].needs]
            heard = by_classifier or (name == "limit" and not self.split.paired)
            if given is not None and not heard:
                raise ValueError(f"--{name} goes without pairs: add --unaligned.")
        if metric_weights and not self.weights.has_published:
            raise ValueError(
                "--metric_weights goes with --metrics that need some: lpips, fid, kid."
            )
        if vgg_weights and not ("vgg16" in self.weights.digests() or self.dfi):
            raise ValueError(
                "--vgg_weights goes with --dfi, or --metrics that need some."
            )
        output_dir = output_dir or self.default_output_dir()
        self.output_dir = paths.named("output_dir", output_dir)
        files.check_output_dir(self.output_dir, "metrics.json")
        self.notes = self._notes()
        self._stop = None

    def _take_both_directions(self):
        """Loads the inverses of cycles, which have a last checkpoint only: T's too."""
        for i, translator in enumerate(self.translators):
            if translator.system and translator.system.is_cycle:
                path = translator.path
                self.translators[i] = inference.Translator(path, "last")
                self.inverses[i] = inference.Translator(path, "last", inverse=True)

    def _choose_metrics(self, asked):
        for name in asked:
            if name in METRICS and not self.split.paired:
                raise ValueError(
                    f"--metrics={name} compares an output with its own target: it goes "
                    f"with pairs. Without pairs go: {', '.join(SET_METRICS)}."
                )
        self.of_images = [name for name in asked if name in METRICS]
        by_itself = [] if self.split.paired else _usual_sets()
        source, target = self.split.specs
        if not source.converts_to(target):
            unlike = {n for n in SET_METRICS if "source" in SET_METRICS[n].compares}
            if found := sorted(unlike & {*asked}):
                raise ValueError(
                    f"--metrics={found[0]} compares sources with targets, of {source} "
                    f"and {target}."
                )
            by_itself = [name for name in by_itself if name not in unlike]
        chosen = {*by_itself, *asked}
        self.of_sets = [name for name in SET_METRICS if name in chosen]

    def _check_dfi(self, dfi):
        if "dfi" in self.names:
            raise ValueError("--dfi needs its name: call the run folder 'dfi' otherwise.")
        if {self.split.source.channels, self.split.target.channels} != {3}:
            raise ValueError("--dfi looks through VGG, which takes RGB on both sides.")
        if dfi.by == "attributes" and self.split.source.attributes is None:
            raise ValueError(
                "--dfi_by=attributes needs a data set that has some, celeb_a. Received: "
                f"dataset={self.data.name}."
            )
        return dfi.located()

    def _notes(self):
        notes = self.input_notes()
        for name in self.of_sets:
            enough = ROWS[name].biased_below
            few = min(len(self.split.source), len(self.split.target))
            few = few if self.split.paired else min(few, self.limit)
            if few < enough:
                notes.append(
                    f"{ROWS[name].title} is of {few} images: below {enough} it grows as "
                    "they get fewer. Compare it with others of as many images only."
                )
        for split in () if self.split.paired else (self.data.train, self.split):
            longest = max(len(split.source), len(split.target))
            if longest > self.limit:
                notes.append(
                    f"--limit={self.limit}: of the {longest} images of a list in "
                    f"{split.name} as many were looked at."
                )
        return notes

    def run(self, stop=None, measured=None):
        """Measures, writes the three files, and returns what metrics.json holds.

        Args:
            stop: anything with `requested`, looked at between systems; or None.
            measured: function of this evaluation that gives its `scores`, of pairs, from
                elsewhere; None: they are measured here.

        Raises:
            StoppedError: if it asks to stop; nothing has been written then.
        """
        self._stop = stop
        there = self.data.direction
        if measured:
            self.directions = [self._with(measured(self))]
        else:
            self.directions = [self._measure(there, is_back=False)]
        if not self.split.paired and (self.dfi or any(self.inverses)):
            other = "BtoA" if there == "AtoB" else "AtoB"
            self.directions.append(self._measure(other, is_back=True))
        found = record.describe(self)
        shown = page.render(self, found)
        self.output_dir.mkdir(parents=True, exist_ok=True)
        record.write(self.output_dir, found, self.directions)
        files.write(self.output_dir / "index.html", shown)
        return found

    def some(self, count):
        """After a run: a few sources, outputs and targets, spread over the lists.

        Returns:
            `{"source", "target", "outputs": name -> ...}`, uint8 `[count, H, W, 3]`.
        """
        direction = self.directions[0]
        split = direction.split
        places = np.linspace(0, split.num_together - 1, min(count, split.num_together))
        places = places.round().astype(int)
        some = split.subset(places)
        return {
            "source": self.pixels(some.source),
            "target": self.pixels(some.target),
            "outputs": {n: made[places] for n, made in direction.outputs.items()},
        }

    def scores(self, places=None):
        """Of pairs, what single images score.

        Args:
            places: numbers of the split's pairs; None: all.

        Returns:
            "results", "baselines", and where files as they are were measured "native" and
            "native_baselines" -> system -> metric -> float64 `[n]`.
        """
        direction = self._measure(self.data.direction, False, places)
        found = {"results": direction.results, "baselines": direction.baselines.values()}
        if direction.native:
            found["native"], found["native_baselines"] = direction.native
            found["native_baselines"] = found["native_baselines"].values()
        return {group: {r.name: r.scores for r in rs} for group, rs in found.items()}

    def _with(self, scores):
        """The `Direction` of scores."""
        kinds = {}
        for name, t in zip(self.names, self.translators, strict=True):
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
            self.data.direction,
            self.split,
            list(found["results"].values()),
            found["baselines"],
            {},
            self.translators,
            native,
        )

    @functools.cached_property
    def fitted(self):
        """What `baselines.fit` gives of the training pairs."""
        return fit(self.data.train, self.geometry)

    def _measure(self, name, is_back, places=None):
        """`Direction`, of some places of the split or of all."""
        split, train = self.split, self.data.train
        if places is not None:
            split = split.subset(places)
        if not split.paired:
            split, train = (each.at_most(self.limit) for each in (split, train))
        if is_back:
            split, train = split.swapped(), train.swapped()
        sets = None
        if self.of_sets:
            sets = Judges(self, name, split, train.at_most(self.limit))
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
        translators = self.inverses if is_back else self.translators
        native = self._measure_native(name, split) if self._has_native else None
        return Direction(name, split, results, found, outputs, translators, native)

    @functools.cached_property
    def _has_native(self):
        """Whether files as they are, are measured too: where that is something else."""
        split = self.split
        if not split.paired or split.synthesize or self.geometry.is_native:
            return False
        if any(t.geometry is None or t.field.size for t in self.translators):
            return (
                False  # Nobody says at which scale T was trained, or it knows one size.
            )
        sizes = {Size(*map(int, size)) for size in split.sizes()}
        if all(self.geometry.measured_size(*size) == size for size in sizes):
            return False
        if problem := too_small(split, data.NATIVE, self.of_images):
            self.notes.append(f"Files as they are were not measured: {problem}")
            return False
        return True

    def _measure_native(self, name, split):
        """`Direction.native`: what a user gets who translates the files of the split."""
        systems = []
        for own, t in zip(self.names, self.translators, strict=True):
            systems.append(System(own, t.checkpoint, _as_files(t)))
            if t.scale.value != "native":
                native = t.at_scale("native")
                name_there = f"{own}{record.NATIVE_SCALE}"
                systems.append(System(name_there, t.checkpoint, _as_files(native)))
        baselines = self._baselines(split)
        made = []
        for system in [*baselines, *systems]:
            self._check_stop()
            print(f"{name}: {system.name}, files as they are ...", flush=True)
            scores = measure(system.translate, split, data.NATIVE)
            made.append(Result(system.name, system.checkpoint, scores))
        found, results = made[: len(baselines)], made[len(baselines) :]
        return results, {result.name: result for result in found}

    def _check_stop(self):
        if self._stop and self._stop.requested:
            raise StoppedError

    def _one(self, system, direction, split, sets):
        """(`Result` of a system, its outputs where they were kept)."""
        is_baseline = system.checkpoint is None
        print(f"{direction}: {system.name}, {split} ...", flush=True)
        names = usual(split, system.back is not None) + self.of_images
        if is_baseline and not split.paired:
            names = []  # What is kept of an image that is copied is known.
        if not system.takes_all:
            names = [n for n in names if "identity" not in ROWS[n].compares]
        keep = {"output": []} if sets else {}
        scores = measure(
            system.translate,
            split,
            self.geometry,
            self.batch_size,
            back=system.back,
            names=names,
            weights=self.weights,
            keep=keep,
        )
        if sets is None:
            return Result(system.name, system.checkpoint, scores), None
        outputs = images.shown(self.geometry.middles(keep["output"]))
        of_sets = {}
        for name, value in sets.judge(outputs).items():
            if is_baseline and isinstance(value, np.ndarray):
                value = mean_and_interval(value)
            (scores if isinstance(value, np.ndarray) else of_sets)[name] = value
        return Result(system.name, system.checkpoint, scores, of_sets), outputs

    def _baselines(self, split):
        if not split.paired:
            spec, target = split.specs
            if not spec.converts_to(target):
                return []

            def copied(source):
                pixels = images.with_channels(spec.to_levels(source), target.channels)
                return images.to_bits(pixels, target.bits)

            return [System("copy_input", None, copied)]
        found = translations(self.data.train, self.geometry, self.fitted)
        return [System(name, None, translate) for name, translate in found.items()]

    def _systems(self, is_back, split, train):
        """The systems of a direction."""
        systems = []
        for name, *both in zip(self.names, self.translators, self.inverses, strict=True):
            there, back = reversed(both) if is_back else both
            if there is not None:
                way_back = back.translate if back else None
                systems.append(System(name, there.checkpoint, there.translate, way_back))
        if self.dfi:
            systems.append(self._interpolation(split, train))
        return systems

    def _interpolation(self, split, train):
        made = self.interpolated(self.dfi, train, split.source)
        step = self.batch_size or images_at_a_time(self.config.image_size)
        parts = iter(np.split(made, range(step, len(made), step)))
        checkpoint = {"kind": "dfi", "iteration": None, "chosen_by": None}
        # Sources come once, in order.
        return System("dfi", checkpoint, lambda source: next(parts), takes_all=False)


def _as_files(translator):
    """A T as the command `translate` uses it: one image, at its own size."""

    def translate(source):
        (pixels,) = translator.source.to_levels(source).numpy()
        return translator.translate_image(pixels)[0][None]

    return translate


def _usual_sets():
    return [name for name, metric in SET_METRICS.items() if metric.is_usual]
