"""Measures what a table's trainings have left, all of a task alike.

With pairs, the metrics of an evaluation beside the baselines; without, those of an
evaluation without pairs, whose own reports lie beside.
"""

import keras
import numpy as np

from pan_tf import data
from pan_tf import evaluation
from pan_tf import images
from pan_tf import inference
from pan_tf import recipes
from pan_tf.evaluation import StoppedError
from pan_tf.evaluation.baselines import fit
from pan_tf.metrics import ROWS
from pan_tf.metrics import SET_METRICS
from pan_tf.metrics.distribution.sets import Sets
from pan_tf.metrics.intervals import summarized
from pan_tf.runs.folder import RunFolder

_PICTURES = 8  # Held-out images shown.


class Measuring:
    """One task, whose systems have been trained.

    Args:
        task: `Task`.
        trials: its `Trial`s that are of the table.
        failures: run folder -> why its training did not come to its end.
        stop: `StopRequest`.
        asked: `Reproduction`: which metrics, and the weights that they need.

    Raises:
        StoppedError: by its methods, if a request to stop comes.
    """

    def __init__(self, task, trials, failures, stop, asked):
        self._task, self._trials = task, trials
        self._names, self._weights = asked.metrics, asked.weights
        self._files = asked.weight_files
        self._failures, self._stop = failures, stop

    def pairs(self, opened):
        """(what results.json holds of the task, what is shown), by pairs.

        Args:
            opened: `OpenedData`.
        """
        config = self._trials[0].config
        split, size = opened.held_out, config.image_size
        # What was cut away is judged by itself too: the rest is the source.
        crop = images.hole_begin(size.height) if split.lacks_centre else 0

        of_sets = [name for name in self._names if name in SET_METRICS]
        seen = {}  # Features of the real images, by network.

        def summary(translate, crop=0):
            keep = {"output": [], "target": []} if of_sets and not crop else {}
            # The centre may be too small for a network that sees the whole.
            side = min(size) - 2 * crop
            scores = evaluation.measure(
                translate,
                split,
                size,
                crop=crop,
                keep=keep,
                also=[name for name in self._names if ROWS[name].smallest <= side],
                weights=self._weights,
            )
            found = evaluation.summary(scores)
            if keep:
                outputs, real = (np.concatenate(keep[k]) for k in ("output", "target"))
                sets = Sets(real, outputs, weights=self._weights, seen=seen)
                found |= {n: summarized(ROWS[n].of_sets(sets)) for n in of_sets}
            return found

        made = evaluation.translations(split, size, fit(opened.train, size))

        def baselines(crop=0):
            return {name: summary(translate, crop) for name, translate in made.items()}

        batch = data.spread(split, _PICTURES, size)
        shown = _shown(batch)

        rows = {}
        for trial in self._finished(rows):
            keras.backend.clear_session()
            translator = inference.Translator(trial.run_dir, "last")
            seed = _seed(trial, summary(translator.translate))
            if crop:
                seed["metrics_of_centre"] = summary(translator.translate, crop)
            if translator.system.bn_statistics == "image":
                moving = inference.Translator(trial.run_dir, "last", "moving")
                seed["metrics_with_moving"] = summary(moving.translate)
            _add(rows, trial, seed)
            if trial.seed == 1:
                outputs = translator.translate(batch["source"])
                shown["outputs"][trial.system.name] = outputs
        numbers = {
            "n": len(split),
            "baselines": baselines(),
            "baselines_of_centre": baselines(crop) if crop else {},
        }
        return self._result(opened, split, rows, numbers), shown

    def unpaired(self, opened, folder, interpolation, classifiers):
        """The same without pairs.

        Args:
            opened: `OpenedData`.
            folder: where the reports of the evaluations go.
            interpolation: `dfi.Settings`, if that is one of the systems.
            classifiers: `limit`, `seeds` and `epochs` of `Evaluation`.
        """
        split = opened.held_out.unpaired()
        size = self._trials[0].config.image_size
        rows, numbers = {}, {"n": len(split.source), "baselines": {}}
        shown = _shown(data.spread(split, _PICTURES, size))
        by_seed = {}
        for trial in self._finished(rows):
            by_seed.setdefault(trial.seed, []).append(trial)
        for seed, trials in by_seed.items():
            if self._stop.requested:
                raise StoppedError
            keras.backend.clear_session()
            trained = [trial for trial in trials if trial.system.recipe]
            config = trials[0].config
            changes = {"data_dir": config.data_dir, "download": config.download}
            made = evaluation.Evaluation(
                [trial.run_dir for trial in trained],
                checkpoint="last",
                unpaired=True,
                names=[trial.system.name for trial in trained],
                output_dir=folder / f"evaluation-seed-{seed}",
                dfi=interpolation if len(trained) < len(trials) else None,
                metrics=self._names,
                **self._files,
                **classifiers,
                **(changes if trained else changes | _data_of(config)),
            )
            record = made.run(self._stop)
            there, *back = record["directions"].values()
            for trial in trials:
                name = trial.system.name
                found = _seed(trial, there["runs"][name]["metrics"])
                if back and name in back[0]["runs"]:
                    found["metrics_back"] = back[0]["runs"][name]["metrics"]
                _add(rows, trial, found)
            if not numbers["baselines"]:
                shown = made.some(_PICTURES)
                numbers = {"n": there["n"], "baselines": _baselines(there)}
                numbers["baselines_back"] = _baselines(back[0]) if back else {}
        return self._result(opened, split, rows, numbers), shown

    def _finished(self, rows):
        """The trials that can be measured; makes rows of all."""
        for trial in self._trials:
            row = rows.setdefault(trial.system.name, _empty_row(trial.system))
            if trial.run_dir in self._failures:
                reason = self._failures[trial.run_dir]
                row["failures"].append(f"seed {trial.seed}: {reason}")
                continue
            if self._stop.requested:
                raise StoppedError
            yield trial

    def _result(self, opened, held_out, rows, numbers):
        papers = {s.label: s.paper for s in self._task.systems if s.paper}
        configs = [trial.config for trial in self._trials]
        return {
            "label": self._task.label,
            "images_seen": max(
                (
                    whole_rounds(trial.config) * trial.config.batch_size
                    for trial in self._trials
                    if trial.system.recipe
                ),
                default=0,
            ),
            "image_size": configs[0].image_size.to_json(),
            "dataset": opened.describe(),
            "split": held_out.name,
            "paper": papers,
            "systems": rows,
            **numbers,
        }


def whole_rounds(config):
    """Iterations of a training, which ends with a round."""
    per_round = recipes.resolve(config).schedule.minibatches
    return -(-config.iterations // per_round) * per_round


def _shown(batch):
    """The pixels of a batch, uint8, and place for what systems make of it."""
    sides = {n: np.asarray(images.to_uint8(batch[n])) for n in ("source", "target")}
    return sides | {"outputs": {}}


def _data_of(config):
    names = ("dataset", "attribute", "image_size", "preprocess", "direction")
    return {name: getattr(config, name) for name in names}


def _baselines(found):
    return {name: baseline["metrics"] for name, baseline in found["baselines"].items()}


def _seed(trial, metrics):
    """What results.json holds of one training."""
    seed = {"seed": trial.seed, "batch_size": trial.config.batch_size}
    if trial.system.recipe is None:
        return seed | {
            "seconds": 0.0,
            "iterations": 0,
            "warnings": [],
            "metrics": metrics,
        }
    folder = trial.folder
    return seed | {
        "iterations": trial.result["last"]["checkpoint"],
        "seconds": training_seconds(folder, trial.config),
        "warnings": folder.warnings(),
        "metrics": metrics,
    }


def _add(rows, trial, seed):
    row = rows[trial.system.name]
    row["seeds"].append(seed)
    row["curves"].append(_curve(RunFolder(trial.run_dir)))


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
