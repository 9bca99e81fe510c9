"""An evaluation: trained Ts over one split, beside the baselines, into a folder.

metrics.json    means with intervals, baselines, differences, where it all comes from
per_image.csv   every score of every image
index.html      the report; needs no network and no other file

With pairs each output is compared with its own target. Without pairs, outputs are judged
as a set, and beside that what they keep of their sources, in both directions of a cycle.
"""

from collections.abc import Iterable

from pan_tf import files
from pan_tf import inference
from pan_tf import paths
from pan_tf.data.split import evenly
from pan_tf.evaluation import page
from pan_tf.evaluation import record
from pan_tf.evaluation.directions import Directions
from pan_tf.evaluation.inputs import Inputs
from pan_tf.evaluation.judges import check_counts
from pan_tf.evaluation.measure import check_functions
from pan_tf.evaluation.measure import unmeasurable
from pan_tf.evaluation.measure import usual
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics import SET_METRICS
from pan_tf.metrics import check_channels
from pan_tf.metrics import locate_weights
from pan_tf.metrics.distribution.classifier import EPOCHS

# Images of a list that are looked at without pairs.
LIMIT = 2000
_SEEDS = 5  # Two-sample tests of each system.


class Evaluation(Inputs):
    """One evaluation. Making it checks everything that a user can have got wrong.

    Args:
        run_dirs, saved_models, checkpoint, split, unpaired, batch_size, names, **changes:
            as of `Inputs`; of cycles without pairs the last checkpoint, no other.
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
        checkpoint=None,
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
        if isinstance(metrics, str) or not isinstance(metrics or (), Iterable):
            raise ValueError(f"--metrics must be a list. Received: {metrics!r}.")
        for name in metrics or ():
            if name not in [*METRICS, *SET_METRICS]:  # Of any type.
                raise ValueError(
                    f"--metrics must be some of: {', '.join([*METRICS, *SET_METRICS])}. "
                    f"Received: {name}."
                )
        if rank_by is not None and rank_by not in [*METRICS]:
            raise ValueError(
                f"--rank_by must be one of: {', '.join(METRICS)}. "
                f"Received: rank_by={rank_by!r}."
            )
        if dfi and unpaired is False:
            raise ValueError("--dfi knows no pairs: leave out --nounaligned.")
        # Deep feature interpolation knows no pairs.
        unpaired = True if dfi else unpaired
        super().__init__(run_dirs, saved_models, checkpoint, split, unpaired, **kwargs)
        if unpaired and self.split.synthesize:
            raise ValueError(
                "--unaligned: sources are made of targets here, pairs that is. Received: "
                f"synthesize={self.config.synthesize}."
            )
        self.inverses = [None] * len(self.translators)
        if not self.split.paired:
            self._take_both_directions(checkpoint)
        self.rank_by = rank_by or self.config.best_by
        self.limit, self.epochs = limit or LIMIT, epochs or EPOCHS
        self.seeds = tuple(range(1, (seeds or _SEEDS) + 1))
        if rank_by and not self.split.paired:
            raise ValueError("--rank_by goes with pairs, and there are none here.")
        also = [self.rank_by] if self.split.paired else []
        self._choose_metrics([*(metrics or ()), *also])
        self._check_train()
        if self.split.paired:
            channels = self.split.target.spec.channels
            check_channels(self.of_images + self.of_sets, channels)
            if problem := unmeasurable(self.split, self.geometry, self.of_images):
                raise ValueError(f"{problem} Remove it, or measure at another size.")
        self.weights = locate_weights(
            [*self.of_images, *self.of_sets], vgg_weights, metric_weights
        )
        if self.split.paired:
            asked = {*usual(self.split, has_inverse=False), *self.of_images}
            check_functions(asked, self.geometry.image_size, channels, self.weights)
        self.dfi = dfi and self._check_dfi(dfi)
        if self.of_sets:
            least = max(ROWS[name].least for name in self.of_sets)
            splits = filter(None, (self.data.train, self.split))
            check_counts(splits, self.limit, least)
        by_classifier = any(ROWS[name].by_classifier for name in self.of_sets)
        for name, given in (("limit", limit), ("seeds", seeds), ("epochs", epochs)):
            heard = by_classifier or (name == "limit" and not self.split.paired)
            if given is not None and not heard:
                raise ValueError(f"--{name} goes without pairs: add --unaligned.")
        self.weights.check_needed(metric_weights, ROWS)
        if vgg_weights and not ("vgg16" in self.weights.digests() or self.dfi):
            raise ValueError(
                "--vgg_weights goes with --dfi, or --metrics that need some."
            )
        output_dir = output_dir or self.default_output_dir()
        self.output_dir = paths.named("output_dir", output_dir)
        files.check_output_dir(self.output_dir, "metrics.json", ["pan_tf"])
        self.notes = self._notes()

    def _take_both_directions(self, checkpoint):
        """Loads the inverses of cycles, which have a last checkpoint only: T's too."""
        for i, translator in enumerate(self.translators):
            if translator.system and translator.system.is_cycle:
                path = translator.path
                if checkpoint == "best":
                    raise ValueError(
                        f"--checkpoint=best: {path} is a cycle, both directions of which "
                        "are measured without pairs; an inverse has a last checkpoint "
                        "only. Leave it out, or add --nounaligned."
                    )
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
        usual_sets = [name for name, metric in SET_METRICS.items() if metric.is_usual]
        by_itself = [] if self.split.paired else usual_sets
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

    def _check_train(self):
        """Raises ValueError where something must be trained on what is not there."""
        of_domains = [n for n in self.of_sets if "source" in ROWS[n].compares]
        if self.data.train is None and not self.split.paired:
            raise ValueError(
                f"Nothing to train on in --data_dir={self.config.data_dir}: without "
                "pairs outputs are compared with real images of train/, too."
            )
        if self.data.train is None and of_domains:
            raise ValueError(
                f"--metrics={of_domains[0]} trains a classifier, and nothing is there to "
                f"train on, in --data_dir={self.config.data_dir}."
            )

    def _check_dfi(self, dfi):
        if "dfi" in self.names:
            raise ValueError(
                "--dfi is called 'dfi' in the report: rename the run folder 'dfi'."
            )
        if {spec.channels for spec in self.split.specs} != {3}:
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
                    f"--limit={self.limit}: only so many of the {longest} images of a "
                    f"list in {split.name} were looked at."
                )
        return notes

    def run(self, stop=None, measured=None):
        """Measures, writes the three files, and returns what metrics.json holds.

        Args:
            stop: anything with `requested`, looked at between systems; or None.
            measured: function of this evaluation that gives the `Directions.scores` of
                pairs from elsewhere; None: they are measured here.

        Raises:
            StoppedError: if it asks to stop; nothing has been written then.
        """
        found, there = Directions(self, stop=stop), self.data.direction
        if measured:
            self.directions = [found.of_scores(measured(self))]
        else:
            self.directions = [found.measured(there)]
        if not self.split.paired and (self.dfi or any(self.inverses)):
            other = "BtoA" if there == "AtoB" else "AtoB"
            self.directions.append(found.measured(other, is_back=True))
        said = record.describe(self)
        shown = page.render(self, said)
        self.output_dir.mkdir(parents=True, exist_ok=True)
        record.write(self.output_dir, said, self.directions)
        files.write(self.output_dir / "index.html", shown)
        return said

    def some(self, count):
        """After a run: a few sources, outputs and targets, spread over the lists.

        Returns:
            `{"source", "target", "outputs": name -> ...}`, uint8 `[count, H, W, 3]`.
        """
        direction = self.directions[0]
        split = direction.split
        places = evenly(split.num_together, count)
        some = split.subset(places)
        return {
            "source": self.pixels(some.source),
            "target": self.pixels(some.target),
            "outputs": {n: made[places] for n, made in direction.outputs.items()},
        }
