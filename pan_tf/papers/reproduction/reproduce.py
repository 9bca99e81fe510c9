"""Trains every system of a table within a budget, and measures them alike.

    <output_dir>/
      index.html results.json results.md    ours beside the paper's
      <task>.png                            source | a column a system | target
      <task>/<system>/seed-<n>/             a run folder each; seed-<n>.cfg beside it

`trials` has the trainings. Measured is the *last* checkpoint, on the held-out split: the
best one may have been chosen on those very images. Without pairs it is measured as
`evaluation.Evaluation` does without pairs, in <task>/evaluation-seed-<n>/.
"""

import dataclasses
import pathlib

from pan_tf import bundled
from pan_tf import data
from pan_tf import distribution
from pan_tf import evaluation
from pan_tf import files
from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics import SET_METRICS
from pan_tf.metrics import locate_weights
from pan_tf.papers import dfi
from pan_tf.papers.reproduction import measuring
from pan_tf.papers.reproduction import report
from pan_tf.papers.reproduction.tables import TABLES
from pan_tf.papers.reproduction.tables import Row
from pan_tf.papers.reproduction.trials import STOPPED
from pan_tf.papers.reproduction.trials import Trial
from pan_tf.runs.folder import RunFolderError
from pan_tf.size import Size

_BUDGETS_BATCH = 4  # Images in an iteration of a `Budget`.
_VALIDATIONS = 8  # Points of the curves.
_PLACES = ("data_dir", "download", "vgg_weights")  # They change no result.


class Reproduction:
    """One table, within a budget. Making it checks everything that can be wrong.

    Args:
        table: name of `TABLES`.
        budget: `Budget`.
        output_dir: where everything is written.
        tasks: names of flagfiles, of those of the table; empty for all.
        systems: names of the table's systems, or of any recipes; empty for the table's.
        batch_size: of every system; 0 for each its own, None for the table's.
        classifiers: `limit`, `seeds`, `epochs` of `Evaluation`, of tables
            without pairs; None for its own.
        vgg_star_weights: file of VGG*'s weights, of the systems that look through it;
            None: they are not fine-tuned, which the page says.
        dfi_iterations: of deep feature interpolation, an image.
        metrics: rows of the table of metrics, measured beside the table's own.
        metric_weights: as of `Evaluation`.
        **changes: settings of all trainings, such as `data_dir`, `width`.

    Raises:
        DatasetNotFoundError, WeightsNotFoundError: if something is missing.
        RunFolderError: if a run folder there is of other settings, files or weights, or
            of a longer training.
        ValueError: if a setting is not legal, or files are unusable.
    """

    def __init__(
        self,
        table,
        budget,
        output_dir,
        tasks=(),
        systems=(),
        batch_size: int | None = None,
        classifiers=None,
        vgg_star_weights=None,
        dfi_iterations: int | None = None,
        metrics=(),
        metric_weights=None,
        **changes,
    ):
        self.name, self.table, self.budget = table, TABLES[table], budget
        self.output_dir = pathlib.Path(output_dir)
        files.check_output_dir(self.output_dir, "results.json", ("table",))
        distribution.check_alone("A table is reproduced")
        self.batch_size = self.table.batch_size if batch_size is None else batch_size
        self.changes = {k: v for k, v in changes.items() if v is not None}
        self.classifiers = classifiers or {}
        self.vgg_star_weights = vgg_star_weights
        self.metrics = tuple(dict.fromkeys((*self.table.metrics, *metrics)))
        # Classifiers are trained on lists.
        paired = self.table.paired
        sets = [n for n, r in SET_METRICS.items() if not (paired and r.by_classifier)]
        offered = [*(METRICS if self.table.paired else ()), *sets]
        _check_names("metrics", metrics, offered)
        vgg_weights = self.changes.get("vgg_weights")
        self.weights = locate_weights(self.metrics, vgg_weights, metric_weights)
        self.weights.check_needed(metric_weights, offered)
        self.weight_files = {"metric_weights": metric_weights}
        if "vgg16" in self.weights.digests():
            self.weight_files["vgg_weights"] = vgg_weights
        known = [task.name for task in self.table.tasks]
        _check_names("tasks", tasks, known)
        chosen = [t for t in self.table.tasks if not tasks or t.name in tasks]
        self.tasks = [(task, self._trials(task, systems)) for task in chosen]
        self._check_results()
        every = [trial for _, trials in self.tasks for trial in trials]
        trained = [trial.config for trial in every if trial.system.recipe]
        if vgg_star_weights and not any(recipes.resolve(c).star for c in trained):
            raise ValueError(
                f"--vgg_star_weights={vgg_star_weights} is of systems that look through "
                "VGG*, and none of those chosen does."
            )
        self.interpolation = None
        if any(trial.system.recipe is None for trial in every):
            asked = {"iterations": dfi_iterations} if dfi_iterations else {}
            self.interpolation = dfi.Settings(vgg_weights=vgg_weights, **asked).located()
        elif dfi_iterations:
            raise ValueError("--dfi_iterations goes with --systems=dfi.")
        if self.table.paired and self.classifiers:
            flags = ", ".join(f"--{name}" for name in self.classifiers)
            raise ValueError(f"{flags} goes with tables without pairs.")
        for trial in every:
            if trial.system.recipe:
                recipes.complete(trial.config)
                folder = trial.folder
                folder.check(trial.config)
                recipes.check_stored(trial.config, folder)
                _check_length(trial.config, folder)
                trial.check_result()
        for _, trials in self.tasks:
            self._open(trials)

    def _check_results(self):
        """Raises ValueError if results are there that would be lost."""
        path = self.output_dir / "results.json"
        found = files.read_json(path, ("table",))
        if found is None or "tasks" not in found:  # Nothing is measured yet.
            return
        if found["table"] != self.name:
            raise ValueError(
                f"--output_dir={self.output_dir} holds the results of --table="
                f"{found['table']}. Choose another one."
            )
        chosen = {task.name: [t.system.name for t in each] for task, each in self.tasks}
        for task, record in found["tasks"].items():
            left_out = [
                s for s in record.get("systems", ()) if s not in chosen.get(task, ())
            ]
            if left_out:
                raise ValueError(
                    f"--output_dir={self.output_dir} holds results of "
                    f"{', '.join(left_out)} on {task}, which would be lost: name them "
                    "too, for nothing is trained twice, or choose another one."
                )

    def _open(self, trials):
        """The data of a task, checked."""
        config = data.locate(trials[0].config)
        folders = [trial.folder for trial in trials]
        known = next((k for f in folders if (k := f.known_data())), None)
        opened = data.open_data(config, verified=known, paired=self.table.paired)
        if opened.held_out is None:
            raise ValueError(
                f"--data_dir={config.data_dir} must have a test/ or val/ to measure on."
            )
        for trial, folder in zip(trials, folders, strict=True):
            if trial.system.recipe and folder.has_checkpoint():
                self._check_training(trial.config, folder, opened)
        least = max(ROWS[name].least for name in self.metrics)
        if self.table.paired and len(opened.held_out) < least:
            raise ValueError(
                f"--metrics of sets need {least} held-out images. Received: "
                f"{len(opened.held_out)} ({opened.held_out.name})."
            )
        if not self.table.paired:
            limit = self.classifiers.get("limit", evaluation.LIMIT)
            evaluation.check_counts([opened.train, opened.held_out.unpaired()], limit)
        return opened

    def _check_training(self, config, folder, opened):
        """Raises RunFolderError if it was given other files, or another VGG.

        `train` would, but is not called for what is finished.
        """
        system = recipes.resolve(config)
        if system.paired != self.table.paired:  # Which has a fingerprint of its own.
            known = folder.known_data()
            opened = data.open_data(config, verified=known, paired=system.paired)
        folder.check_data(opened.fingerprint)
        if system.vgg:
            _, sha256 = networks.locate_vgg_weights(config.vgg_weights, system.vgg)
            folder.check_vgg(sha256)

    def _trials(self, task, names):
        systems = {system.name: system for system in task.systems}
        others = [name for name in RECIPE_NAMES if name not in systems]
        every = systems | {name: Row(name, name, name) for name in others}
        _check_names("systems", names, every)
        chosen = [every[name] for name in dict.fromkeys(names or systems)]
        begun = {s.init_from for s in chosen} - {None, *(s.name for s in chosen)}
        chosen = [systems[name] for name in sorted(begun)] + chosen
        chosen.sort(key=lambda system: system.init_from is not None)
        if not any(system.is_shown for system in chosen):
            raise ValueError(
                "--systems must name one that is measured. Received: "
                f"{', '.join(system.name for system in chosen)}."
            )
        base = Config.from_flagfile(bundled.folder("configs") / f"{task.config}.cfg")
        trials = []
        for system in chosen:
            # What is not trained comes out the same every time.
            seeds = self.budget.seeds if system.recipe else 1
            for seed in range(1, seeds + 1):
                try:
                    config = self._config(base, task, system, seed)
                except ValueError as error:
                    raise ValueError(
                        f"--systems={system.name} cannot do {task.name}: {error}"
                    ) from None
                trials.append(Trial(system, seed, config))
        return trials

    def _config(self, base, task, system, seed):
        size = Size.of(self.budget.image_size or base.image_size)
        load_size = base.load_size and base.load_size.scaled(
            size.height / base.image_size.height
        )
        if system.load_scale:
            load_size = size.scaled(system.load_scale)
        images = base.iterations * recipes.resolve(base).batch_size
        if self.budget.iterations:
            images = self.budget.iterations * _BUDGETS_BATCH
        folder = self.output_dir / task.name
        begun = system.init_from and str(folder / system.init_from / f"seed-{seed}")
        settings = {**task.settings, **self.changes, **system.settings}
        if not data.DATASETS[settings.get("dataset", base.dataset)].has_attributes:
            settings["attribute"] = None  # Other data have none.
        config = base.replace(
            recipe=system.recipe or base.recipe,
            init_from=begun,
            decay_start=None,
            image_size=size,
            # As both papers have it, whatever the files are.
            preprocess="squash",
            **dict.fromkeys(("source_channels", "target_channels"), 3),
            **dict.fromkeys(("source_bits", "target_bits"), 8),
            load_size=load_size,  # The same share of the image is cropped.
            seed=seed,
            batch_size=self.batch_size or None,
            fallback_dataset=None,
            run_dir=str(folder / system.name / f"seed-{seed}"),
        ).replace(**settings)
        if self.vgg_star_weights and recipes.resolve(config).star:
            config = config.replace(vgg_weights=self.vgg_star_weights)
        batch_size = recipes.resolve(config).batch_size
        # Another batch size: as many images.
        iterations = max(1, images // batch_size)
        every = max(1, iterations // _VALIDATIONS)
        # The rates fall over the same share of the run.
        decay = base.decay_start and base.decay_start * iterations // base.iterations
        if system.decay_from:
            decay = int(system.decay_from * iterations)
        return config.replace(
            batch_size=batch_size,
            iterations=iterations,
            decay_start=decay,
            validate_every=every,
            save_every=every,
            log_every=max(1, min(config.log_every, every)),
        )

    def run(self, stop):
        """Trains what is not trained yet, measures, and writes the page.

        Args:
            stop: `StopRequest`.

        Returns:
            What results.json holds; None if it was stopped before the end.
        """
        self.output_dir.mkdir(parents=True, exist_ok=True)
        # Marks the folder as ours from the first moment on.
        if not (self.output_dir / "results.json").exists():
            files.write_json(self.output_dir / "results.json", {"table": self.name})
        failures = {}
        for task, trials in self.tasks:
            for i, trial in enumerate(trials, start=1):
                if trial.system.recipe and not trial.is_finished:
                    print(
                        f"\n== {task.name}, {trial.system.name}, seed {trial.seed} "
                        f"({i} of {len(trials)})",
                        flush=True,
                    )
                    failure = trial.train(stop)
                    if stop.requested or failure in STOPPED:
                        return None
                    if failure is None and not trial.is_finished:
                        return None  # It was told to stop.
                    if failure is not None:
                        failures[trial.run_dir] = f"exit status {failure}"
        try:
            record, shown = self._measure(failures, stop)
        except measuring.StoppedError:
            return None
        report.write(self, record, shown)
        return record

    def _note(self):
        """What a reader must know, of the table and of how it was run."""
        every = [trial.config for _, trials in self.tasks for trial in trials]
        is_bare = any(recipes.resolve(config).star for config in every)
        if is_bare and not self.vgg_star_weights:
            tuned = "VGG* runs on VGG's own weights, not fine-tuned."
            return f"{self.table.note} {tuned}".strip()
        return self.table.note

    def _measure(self, failures, stop):
        record = {
            "table": self.name,
            "title": self.table.title,
            "note": self._note(),
            "metrics": list(self.metrics),
            "budget": dataclasses.asdict(self.budget),
            "papers_budget": self.table.budget,
            "batch_size": self.batch_size or None,
            "weights": self.weights.digests(),
            "settings": {k: v for k, v in self.changes.items() if k not in _PLACES},
            "tasks": {},
        }
        shown = {}
        for task, trials in self.tasks:
            print(f"\n{task.name}: measuring ...", flush=True)
            measured = measuring.Measuring(
                task, [t for t in trials if t.system.is_shown], failures, stop, self
            )
            if self.table.paired:
                found = measured.pairs(self._open(trials))
            else:
                found = measured.unpaired(
                    self._open(trials),
                    self.output_dir / task.name,
                    self.interpolation,
                    self.classifiers,
                )
            record["tasks"][task.name], shown[task.name] = found
        return record, shown


def _check_length(config, folder):
    """Raises RunFolderError if more iterations were trained than are asked for."""
    trained = folder.last_iteration()
    if trained > measuring.whole_rounds(config):
        raise RunFolderError(
            f"{folder.path} holds a longer training, of {trained} iterations in place of "
            f"{config.iterations}. Choose another --output_dir, or that --budget."
        )


def _check_names(flag, names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"--{flag} must be of: {', '.join(known)}. Received: {', '.join(unknown)}."
        )
