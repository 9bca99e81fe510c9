"""An evaluation: trained Ts over one split, beside the floors, into a folder.

metrics.json    means with intervals, floors, differences, where it all comes from
per_image.csv   every score of every image
index.html      the report; needs no network and no other file
"""

import csv
import io
import itertools
import json
import pathlib

import numpy as np
from absl import logging

import pan_tf
from pan_tf import data
from pan_tf import files
from pan_tf.config import UNALIGNED_NAMES
from pan_tf.config import Config
from pan_tf.evaluation import report
from pan_tf.evaluation import together
from pan_tf.evaluation.baselines import floors
from pan_tf.evaluation.findings import Result
from pan_tf.evaluation.findings import compare
from pan_tf.evaluation.findings import differences
from pan_tf.evaluation.findings import summary
from pan_tf.evaluation.measure import measure
from pan_tf.run_folder import RunFolder


class Evaluation:
    """One evaluation. Making it checks everything that a user can have got wrong.

    Args:
        run_dirs: run folders.
        saved_models: SavedModels.
        checkpoint: "best" or "last", of the run folders.
        split: name of the split; None for the test split, or the validation split
            where there is no other.
        output_dir: where to write; None for a folder in the only run, or beside the
            first of several.
        rank_by: metric that orders images in the report; None: what the first run's
            best checkpoint was chosen by.
        batch_size: images at a time; None: as in `measure`.
        **changes: settings of the data (`dataset`, `data_dir`, `download`,
            `image_size`, `direction`, `synthesize`), in place of the first run's.

    Raises:
        FileNotFoundError, OSError: if a run, a checkpoint or a file is not there, or is
            damaged.
        ValueError: if runs do not go together, or a setting is not legal.
    """

    def __init__(
        self,
        run_dirs=(),
        saved_models=(),
        checkpoint="best",
        split=None,
        output_dir=None,
        rank_by=None,
        batch_size=None,
        **changes,
    ):
        changes = {name: value for name, value in changes.items() if value is not None}
        if not (run_dirs or saved_models):
            raise ValueError("--run_dir or --saved_model must name what to evaluate.")
        together.check_dataset(run_dirs, changes)
        self.translators = together.load(run_dirs, saved_models, checkpoint)
        self.names = together.names_of(self.translators)
        first = self.translators[0].config
        if (
            first
            and first.synthesize != "none"
            and changes.get("dataset", first.dataset) != first.dataset
            and "synthesize" not in changes
        ):
            raise ValueError(
                "--synthesize must be given with another --dataset than the run's, whose "
                f"sources were made of targets ({first.synthesize}): the same, or none."
            )
        # What the run cropped in training does not matter here.
        self.config = (first or Config()).replace(**{"load_size": None, **changes})
        together.check(self.translators, self.names, changes)
        self.rank_by = rank_by or self.config.best_by
        self.batch_size = batch_size
        together.check_shapes(self.translators, self.config.image_size, batch_size)
        known = RunFolder(run_dirs[0]).known_data() if run_dirs else None
        self.config = self.config.replace(fallback_dataset=None)
        self.data = _open(self.config, known)
        self.pairs = self.data.held_out if split is None else self.data.splits.get(split)
        if self.pairs is None:
            raise ValueError(
                f"--split must be one of: {', '.join(self.data.splits)}. Received: "
                f"split={split!r}; without it, test/ or val/ is needed."
            )
        self.output_dir = pathlib.Path(
            output_dir
            or together.default_output_dir(
                *(self.translators, self.names, self.data, self.pairs),
                self.config.image_size,
            )
        )
        files.check_output_dir(self.output_dir, "metrics.json")
        self.notes = _notes(self.translators, self.names, self.data, self.pairs)
        for note in self.notes:
            logging.warning("*** %s ***", note)

    def run(self):
        """Measures, writes the three files, and returns what metrics.json holds."""
        pairs, size = self.pairs, self.config.image_size
        results = []
        for name, translator in zip(self.names, self.translators, strict=True):
            print(f"{name}: {len(pairs)} {pairs.split} images ...", flush=True)
            scores = measure(translator.translate, pairs, size, self.batch_size)
            results.append(Result(name, translator.checkpoint, scores))
        print("Floors ...", flush=True)
        baselines = floors(self.data.train, pairs, size, self.batch_size)
        record = self._record(results, baselines)
        page = report.render(self, results, baselines, record)
        self.output_dir.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        files.write(self.output_dir / "metrics.json", text)
        table = _per_image(pairs.names, results)
        files.write(self.output_dir / "per_image.csv", table)
        files.write(self.output_dir / "index.html", page)
        return record

    def _record(self, results, baselines):
        record = {
            "n": len(self.pairs),
            "dataset": {
                "name": self.data.name,
                "split": self.pairs.split,
                "direction": self.data.direction,
                "synthesized": self.data.synthesized,
                "image_size": self.config.image_size,
                "fingerprint": self.data.fingerprint,
            },
            "notes": self.notes,
            "pan_tf": pan_tf.__version__,
            "baselines": {name: summary(scores) for name, scores in baselines.items()},
        }
        if len(results) == 1:
            (result,) = results
            record |= _one(result, baselines)
        else:
            record["runs"] = {result.name: _one(result, baselines) for result in results}
            record["comparisons"] = [
                compare(*both) for both in itertools.combinations(results, 2)
            ]
        return record


def _one(result, baselines):
    """What metrics.json says of one T."""
    return {
        "checkpoint": result.checkpoint,
        "metrics": summary(result.scores),
        "differences_to_baselines": {
            name: differences(result.scores, scores) for name, scores in baselines.items()
        },
        "equal_images": int(np.isinf(result.scores["psnr_rgb"]).sum()),
    }


def _open(config, known):
    try:
        if config.dataset in UNALIGNED_NAMES:  # Before anything is downloaded.
            raise data.NoPairsError(f"The data set {config.dataset!r} has none.")
        return data.open_data(data.locate(config), verified=known)
    except data.NoPairsError as error:
        raise ValueError(
            f"Outputs are measured against targets, which takes pairs. {error} "
            "--unaligned measures without."
        ) from None


def _notes(translators, names, opened, pairs):
    """Sentences on what a reader of the numbers must know."""
    notes = []
    for name, translator in zip(names, translators, strict=True):
        if "note" in translator.checkpoint:
            notes.append(f"{name}: {translator.checkpoint['note']}")
        if translator.config is None:
            continue
        folder = RunFolder(translator.path)
        notes += [f"{name}, in training: {warning}" for warning in folder.warnings()]
        known = folder.known_data()
        is_aligned = translator.system.paired
        if known and not is_aligned and known["name"] == opened.name:
            continue  # Two lists have another fingerprint than pairs of the same files.
        if known and known["fingerprint"] != opened.fingerprint:
            notes.append(
                f"{name} was trained on other data ({known['name']}, or other files) "
                f"than are evaluated here ({opened.name})."
            )
        elif translator.checkpoint["kind"] == "best" and pairs is opened.validation:
            notes.append(
                f"{name}: the best checkpoint was chosen on these very images, so its "
                "scores are a little optimistic; the last checkpoint's are not."
            )
    return notes


def _per_image(names, results):
    """The text of per_image.csv; `run` is a column where there are several."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    many = len(results) > 1
    metrics = list(results[0].scores)
    writer.writerow([*(["run"] if many else []), "name", *metrics])
    for result in results:
        for i, name in enumerate(names):
            scores = [repr(float(result.scores[metric][i])) for metric in metrics]
            writer.writerow([*([result.name] if many else []), name, *scores])
    return table.getvalue()
