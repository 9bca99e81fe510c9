"""Trains every system of a table within a budget, and measures them alike.

    <output_dir>/
      index.html results.json results.md    ours beside the paper's
      <task>.png                            source | a column a system | target
      <task>/<system>/seed-<n>/             a run folder each; seed-<n>.cfg beside it

Every training is a process of its own, `scripts/train.py`, so that one that fails takes
nothing with it, and one that is interrupted goes on where it was. A finished one is not
trained again. Measured is the *last* checkpoint, on the held-out split: the best one may
have been chosen on those very images.
"""

import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import keras

from pan_tf import data
from pan_tf import evaluation
from pan_tf import files
from pan_tf import images
from pan_tf import inference
from pan_tf import recipes
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config
from pan_tf.evaluation.findings import summary
from pan_tf.reproduction import report
from pan_tf.reproduction.tables import TABLES
from pan_tf.reproduction.tables import System
from pan_tf.run_folder import RunFolder

_PAPERS_BATCH = 4  # "batch size of 4 were used for all tasks" (Section IV-A).
_VALIDATIONS = 8  # Points of the curves.
_PICTURES = 8  # Held-out images shown.
_STOPPED = (-signal.SIGINT, -signal.SIGTERM)
_PLACES = ("data_dir", "download", "vgg_weights")  # They change no result.


@dataclasses.dataclass(frozen=True)
class Budget:
    """What each system of a table gets.

    Attributes:
        iterations: minibatches of the paper's four images; a system of another batch
            size sees as many images.
        image_size: pixels a side.
        seeds: number of trainings, with seeds from 1 up.
    """

    iterations: int = 100_000
    image_size: int = 256
    seeds: int = 1

    @classmethod
    def parse(cls, text):
        """From "iterations,image_size,seeds".

        Raises:
            ValueError: if they are not three positive numbers.
        """
        try:
            numbers = [int(number) for number in text.split(",")]
            budget = cls(*numbers)
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != 3 or min(numbers) < 1:
            raise ValueError(
                "--budget must be iterations,image_size,seeds, such as 4000,64,2. "
                f"Received: budget={text!r}."
            )
        return budget


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of one system on one task."""

    system: System
    seed: int
    config: Config

    @property
    def run_dir(self):
        return pathlib.Path(self.config.run_dir)


class _StoppedError(Exception):
    """A request to stop came while systems were measured."""


class Reproduction:
    """One table, within a budget. Making it checks everything that can be wrong.

    Args:
        table: name of `TABLES`.
        budget: `Budget`.
        output_dir: where everything is written.
        configs: folder of the tasks' flagfiles.
        train: path of the training script.
        tasks: names of flagfiles, of those of the table; empty for all.
        systems: names of the table's systems, or of any recipes; empty for the table's.
        batch_size: of every system; None for each its own.
        **changes: settings of all trainings, such as `data_dir`, `width`.

    Raises:
        DatasetNotFoundError, WeightsNotFoundError: if something is missing.
        RunFolderError: if a run folder there is of other settings.
        ValueError: if a setting is not legal, or files are unusable.
    """

    def __init__(
        self,
        table,
        budget,
        output_dir,
        configs,
        train,
        tasks=(),
        systems=(),
        batch_size=_PAPERS_BATCH,
        **changes,
    ):
        self.name, self.table, self.budget = table, TABLES[table], budget
        self.output_dir = pathlib.Path(output_dir)
        files.check_output_dir(self.output_dir, "results.json")
        self.configs, self.train = pathlib.Path(configs), pathlib.Path(train)
        self.batch_size = batch_size
        self.changes = {k: v for k, v in changes.items() if v is not None}
        known = [task.config for task in self.table.tasks]
        _check_names("tasks", tasks, known)
        chosen = [t for t in self.table.tasks if not tasks or t.config in tasks]
        self.tasks = [(task, self._trials(task, systems)) for task in chosen]
        for _, trials in self.tasks:
            for trial in trials:
                recipes.complete(trial.config)
                _folder(trial).check(trial.config)
            self._open(trials)

    def _open(self, trials):
        """The data of a task, checked."""
        config = data.locate(trials[0].config)
        known = next((k for t in trials if (k := _folder(t).known_data())), None)
        opened = data.open_data(config, verified=known)
        if opened.held_out is None:
            raise ValueError(
                f"--data_dir={config.data_dir} must have a test/ or val/ to measure on."
            )
        return opened

    def _trials(self, task, names):
        systems = {system.name: system for system in task.systems}
        extra = {name: System(name, name, name) for name in RECIPE_NAMES}
        _check_names(
            "systems", names, [*systems, *(n for n in extra if n not in systems)]
        )
        chosen = [({**extra, **systems})[name] for name in names or systems]
        base = Config.from_flagfile(self.configs / f"{task.config}.cfg")
        trials = []
        for system in chosen:
            for seed in range(1, self.budget.seeds + 1):
                trials.append(Trial(system, seed, self._config(base, task, system, seed)))
        return trials

    def _config(self, base, task, system, seed):
        size = self.budget.image_size
        config = base.replace(
            recipe=system.recipe,
            image_size=size,
            # The same share of the image is cropped.
            load_size=base.load_size and round(base.load_size * size / base.image_size),
            seed=seed,
            batch_size=self.batch_size,
            fallback_dataset=None,
            run_dir=str(self.output_dir / task.config / system.name / f"seed-{seed}"),
        ).replace(**{**self.changes, **system.settings})
        batch_size = recipes.resolve(config).batch_size
        # Another batch size: as many images.
        iterations = max(1, self.budget.iterations * _PAPERS_BATCH // batch_size)
        every = max(1, iterations // _VALIDATIONS)
        return config.replace(
            batch_size=batch_size,
            iterations=iterations,
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
            files.write(self.output_dir / "results.json", "{}\n")
        failures = {}
        for task, trials in self.tasks:
            for i, trial in enumerate(trials, start=1):
                if not _is_finished(trial):
                    print(
                        f"\n== {task.config}, {trial.system.name}, seed {trial.seed} "
                        f"({i} of {len(trials)})",
                        flush=True,
                    )
                    failure = self._train(trial, stop)
                    if stop.requested or failure in _STOPPED:
                        return None
                    if failure is None and not _is_finished(trial):
                        return None  # It was told to stop.
                    if failure is not None:
                        failures[trial.run_dir] = f"exit status {failure}"
        try:
            record, shown = self._measure(failures, stop)
        except _StoppedError:
            return None
        report.write(self, record, shown)
        return record

    def _train(self, trial, stop):
        """Runs a training to its end; None, or its exit status if that is not 0.

        A request to stop is passed on: the training saves, and ends.
        """
        trial.run_dir.parent.mkdir(parents=True, exist_ok=True)
        path = trial.run_dir.with_suffix(".cfg")
        files.write(path, trial.config.to_flagfile())
        command = [sys.executable, str(self.train), f"--flagfile={path}"]
        # A group of its own: Ctrl-C reaches it once, through us.
        child = subprocess.Popen(command, start_new_session=True)
        is_told = False
        try:
            while child.poll() is None:
                if stop.requested and not is_told:
                    child.send_signal(signal.SIGTERM)
                    is_told = True
                time.sleep(0.2)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        return child.returncode or None

    def _measure(self, failures, stop):
        record = {
            "table": self.name,
            "title": self.table.title,
            "budget": dataclasses.asdict(self.budget),
            "batch_size": self.batch_size,
            "settings": {k: v for k, v in self.changes.items() if k not in _PLACES},
            "tasks": {},
        }
        shown = {}
        for task, trials in self.tasks:
            record["tasks"][task.config], shown[task.config] = self._measure_task(
                task, trials, failures, stop
            )
        return record, shown

    def _measure_task(self, task, trials, failures, stop):
        opened, config = self._open(trials), trials[0].config
        pairs, size = opened.held_out, config.image_size
        # What was cut away is judged by itself too: the rest is the source.
        crop = images.hole_begin(size) if config.synthesize == "hole" else 0
        print(f"\n{task.config}: measuring on {len(pairs)} {pairs.split} images ...")

        def floors(**kwargs):
            found = evaluation.floors(opened.train, pairs, size, **kwargs)
            return {name: summary(scores) for name, scores in found.items()}

        batch = _some(pairs, size)
        shown = {"source": batch["source"], "target": batch["target"], "outputs": {}}

        def measured(translator, **kwargs):
            scores = evaluation.measure(translator.translate, pairs, size, **kwargs)
            return summary(scores)

        rows = {}
        for trial in trials:
            row = rows.setdefault(trial.system.name, _empty_row(trial.system))
            if trial.run_dir in failures:
                row["failures"].append(f"seed {trial.seed}: {failures[trial.run_dir]}")
                continue
            if stop.requested:
                raise _StoppedError
            keras.backend.clear_session()
            translator = inference.Translator(trial.run_dir, "last")
            seed = {
                "seed": trial.seed,
                "iterations": translator.checkpoint["iteration"],
                "batch_size": trial.config.batch_size,
                "seconds": training_seconds(_folder(trial), trial.config),
                "warnings": _folder(trial).warnings(),
                "metrics": measured(translator),
            }
            if crop:
                seed["metrics_of_centre"] = measured(translator, crop=crop)
            if recipes.resolve(translator.config).statistics == "image":
                moving = inference.Translator(trial.run_dir, "last", "moving")
                seed["metrics_with_moving"] = measured(moving)
            row["seeds"].append(seed)
            row["curves"].append(_curve(_folder(trial)))
            if trial.seed == 1:
                outputs = translator.translate(batch["source"])
                shown["outputs"][trial.system.name] = outputs
        result = {
            "label": task.label,
            "dataset": opened.describe(),
            "n": len(pairs),
            "split": pairs.split,
            "paper": {s.label: s.paper for s in task.systems if s.paper},
            "baselines": floors(),
            "baselines_of_centre": floors(crop=crop) if crop else {},
            "systems": rows,
        }
        return result, shown


def _empty_row(system):
    return {
        "label": system.label,
        "recipe": system.recipe,
        "settings": system.settings,
        "paper": system.paper,
        "seeds": [],
        "curves": [],
        "failures": [],
    }


def _check_names(flag, names, known):
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"--{flag} must be of: {', '.join(known)}. Received: {', '.join(unknown)}."
        )


def _folder(trial):
    return RunFolder(trial.run_dir)


def _is_finished(trial):
    """Whether a training came to its end with the iterations that are asked for."""
    path = trial.run_dir / "result.json"
    if not path.exists():
        return False
    result = json.loads(path.read_text(encoding="utf-8"))
    trained = Config.from_flagfile(trial.run_dir / "run.cfg")
    return (
        result["last"]["checkpoint"] >= trial.config.iterations
        and not trial.config.differences(trained)
        and trained.iterations == trial.config.iterations
    )


def _some(pairs, size):
    """The pairs to show, spread over the split."""
    count = min(_PICTURES, len(pairs))
    places = [round(i * (len(pairs) - 1) / max(1, count - 1)) for i in range(count)]
    (batch,) = data.evaluation_dataset(
        pairs.subset(places), image_size=size, batch_size=count
    )
    return batch


def training_seconds(folder, config):
    """Seconds that a run spent training and validating, without start-up and pauses."""
    seconds, before = 0.0, 0
    for row in folder.read_metrics():
        if row.get("images_per_second"):
            images_seen = (row["iteration"] - before) * config.batch_size
            seconds += images_seen / row["images_per_second"]
            before = row["iteration"]
    return seconds


def _curve(folder):
    """metric -> list of (iteration, value) of a run's validations."""
    curves = {}
    for row in folder.read_metrics():
        for name, value in row.items():
            if name.startswith("val_"):
                points = curves.setdefault(name.removeprefix("val_"), [])
                points.append((row["iteration"], value))
    return curves
