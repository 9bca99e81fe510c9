"""An evaluation without pairs: do outputs look as the target's domain does?

metrics.json    of each direction: every system, the sources themselves, real targets
per_image.csv   what can be said of a single image
index.html      the report; needs no network and no other file

Measured of a system in one direction, over held-out sources and targets:

- `c2st`: cross-entropy of a classifier two-sample test, outputs against held-out targets
  (`two_sample_test`), nats. The higher the better; .693 cannot be told apart.
  `c2st_accuracy` is the share that the classifier tells rightly; .5 is by chance.
  `c2st_learnt` is the share of the tests whose classifier had learnt anything.
- `attribute_log_loss`: of a classifier that was trained on real images of both domains,
  minus the log of what it gives the target's domain on an output, nats. The lower the
  better.
- `source_psnr`, `identity_psnr`, `cycle_psnr` in dB: of an output against its source, of
  T(y) against a target y, of a source there and back. They say what is kept: a T that
  changes nothing has the best of each.

The first three as in Table 1 of the Perceptual Discriminators paper, but that an
attribute of three classes, hair, is one class against the others here.
"""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Callable

import numpy as np
from absl import logging

import pan_tf
from pan_tf import data
from pan_tf import files
from pan_tf import images
from pan_tf import inference
from pan_tf import metrics
from pan_tf.config import Config
from pan_tf.dfi import Interpolation
from pan_tf.evaluation import together
from pan_tf.evaluation import unaligned_report
from pan_tf.evaluation.classifier import log_loss
from pan_tf.evaluation.classifier import train_classifier
from pan_tf.evaluation.lists import LIMIT
from pan_tf.evaluation.lists import Domain
from pan_tf.evaluation.lists import check_sizes
from pan_tf.evaluation.lists import held_out
from pan_tf.evaluation.statistics import mean_and_interval
from pan_tf.evaluation.two_sample import two_sample_test
from pan_tf.run_folder import RunFolder

# Of the images that a classifier of both domains is trained on, one in so many chooses
# its epoch.
_CHOICE = 5


class StoppedError(Exception):
    """A request to stop came while systems were measured."""


@dataclasses.dataclass(frozen=True)
class System:
    """What is measured, in one direction.

    Attributes:
        name: unique in a report.
        checkpoint: `Translator.checkpoint`.
        translate: uint8 `[N, H, W, 3]` -> the same; of sources, and of a network also of
            anything else.
        back: the way back; None where there is none.
        is_network: whether it is one.
    """

    name: str
    checkpoint: dict
    translate: Callable
    back: Callable | None = None
    is_network: bool = True


class UnalignedEvaluation:
    """One evaluation without pairs. Making it checks what a user can have got wrong.

    Args:
        run_dirs: run folders; of a cycle both directions are measured.
        saved_models: SavedModels, from source to target.
        checkpoint: "best" or "last", of the run folders; of cycles always the last.
        split: name of the split; None for the test split, or the validation split where
            there is no other.
        output_dir: where to write; None for a folder in the only run, or beside the first
            of several.
        batch_size: images at a time; None: as many as have a million pixels, at most 16.
        limit: images of a list that are looked at, at most, spread over it.
        seeds: number of two-sample tests of each system.
        epochs: of each classifier, at most.
        dfi: `dfi.Settings`, to measure deep feature interpolation too; or None.
        names: of the systems, in order; None: as their folders are called.
        **changes: settings of the data (`dataset`, `data_dir`, `attribute`, `download`,
            `image_size`, `direction`), in place of the first run's.

    Raises:
        FileNotFoundError, OSError: if a run, a checkpoint or a file is not there, or is
            damaged.
        WeightsNotFoundError: if `dfi` has no VGG to look through.
        ValueError: if runs do not go together, or a setting is not legal.
    """

    def __init__(
        self,
        run_dirs=(),
        saved_models=(),
        checkpoint="last",
        split=None,
        output_dir=None,
        batch_size=None,
        limit=LIMIT,
        seeds=5,
        epochs=30,
        dfi=None,
        names=None,
        **changes,
    ):
        changes = {name: value for name, value in changes.items() if value is not None}
        if not (run_dirs or saved_models or dfi):
            raise ValueError(
                "--run_dir, --saved_model or --dfi must name what to evaluate."
            )
        together.check_dataset(run_dirs, changes)
        if not (run_dirs or saved_models or output_dir):
            raise ValueError("--output_dir must be given where there is no run.")
        self.translators = [
            # The way back has a last checkpoint only: both from one.
            inference.Translator(t.path, "last") if _is_cycle(t) else t
            for t in together.load(run_dirs, saved_models, checkpoint)
        ]
        self.names = names or together.names_of(self.translators)
        if dfi and "dfi" in self.names:
            raise ValueError("--dfi needs its name: call the run folder 'dfi' otherwise.")
        first = self.translators[0].config if self.translators else None
        self.config = (first or Config()).replace(**{"load_size": None, **changes})
        together.check(self.translators, self.names, changes)
        size = self.config.image_size
        together.check_shapes(self.translators, size, batch_size)
        self.config = self.config.replace(fallback_dataset=None)
        known = RunFolder(run_dirs[0]).known_data() if run_dirs else None
        self.data = _open(self.config, known)
        self.sets = held_out(self.data, split)
        check_sizes(self.data.train, self.sets, limit)
        self.batch_size = batch_size or max(1, min(16, 2**20 // size**2))
        self.limit, self.seeds, self.epochs = limit, tuple(range(1, seeds + 1)), epochs
        self.dfi = dfi and dfi.located()
        if dfi and dfi.by == "attributes" and self.sets.source.attributes is None:
            raise ValueError(
                "--dfi_by=attributes needs a data set that has some, celeb_a. Received: "
                f"dataset={self.data.name}."
            )
        self.output_dir = pathlib.Path(
            output_dir
            or together.default_output_dir(
                *(self.translators, self.names, self.data, self.sets, size),
                suffix="-unaligned",
            )
        )
        files.check_output_dir(self.output_dir, "metrics.json")
        self._inverses = [
            inference.Translator(t.path, "last", inverse=True) if _is_cycle(t) else None
            for t in self.translators
        ]
        self.notes = self._notes()
        for note in self.notes:
            logging.warning("*** %s ***", note)

    def run(self, stop=None):
        """Measures, writes the three files, and returns what metrics.json holds.

        Args:
            stop: anything with `requested`, looked at between systems; or None.

        Raises:
            StoppedError: if it asks to stop; nothing has been written then.
        """
        self._stop = stop
        needs = bool(self.dfi and self.dfi.by == "attributes")
        train, held_out = (
            [
                Domain.read(side, self.config.image_size, self.limit, needs)
                for side in (sets.source, sets.target)
            ]
            for sets in (self.data.train, self.sets)
        )
        record = self._record(held_out)
        self._shown, table = {}, []
        for direction, is_back in self._directions().items():
            order = slice(None, None, -1 if is_back else 1)
            found = self._measure(direction, is_back, train[order], held_out[order])
            record["directions"][direction], self._shown[direction], rows = found
            table += rows
        page = unaligned_report.render(self, record, self._shown)
        self.output_dir.mkdir(parents=True, exist_ok=True)
        files.write(self.output_dir / "per_image.csv", _csv(table))
        files.write(self.output_dir / "index.html", page)
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        files.write(self.output_dir / "metrics.json", text)
        return record

    def some(self, count):
        """After a run: a few sources, outputs and targets, spread over the lists.

        Returns:
            `{"source", "target", "outputs": name -> ...}`, uint8 `[count, H, W, 3]`.
        """
        (sources, targets), outputs = self._shown[self.data.direction]
        shorter = min(len(sources.pixels), len(targets.pixels))
        places = np.linspace(0, shorter - 1, min(count, shorter)).round().astype(int)
        return {
            "source": sources.pixels[places],
            "target": targets.pixels[places],
            "outputs": {name: pixels[places] for name, pixels in outputs.items()},
        }

    def _directions(self):
        """direction -> whether it is the way back; those that a system has."""
        there = self.data.direction
        directions = {there: False}
        if self.dfi or any(self._inverses):
            directions["BtoA" if there == "AtoB" else "AtoB"] = True
        return directions

    def _systems(self, is_back, train, held_out):
        """The systems of a direction, whose domains these are: (sources, targets)."""
        systems = []
        for name, *both in zip(self.names, self.translators, self._inverses, strict=True):
            there, back = reversed(both) if is_back else both
            if there is not None:
                way_back = self._batched(back) if back else None
                translate = self._batched(there)
                systems.append(System(name, there.checkpoint, translate, way_back))
        if self.dfi:
            sources, targets = train
            known = (
                [side.attributes for side in train] if self.dfi.by != "features" else None
            )
            moved = Interpolation(sources.pixels, targets.pixels, self.dfi, known)
            checkpoint = {"kind": "dfi", "iteration": None, "chosen_by": None}

            def translate(pixels):
                return moved.translate(pixels, held_out[0].attributes)

            systems.append(System("dfi", checkpoint, translate, is_network=False))
        return systems

    def _batched(self, translator):
        def translate(pixels):
            parts = np.split(pixels, range(self.batch_size, len(pixels), self.batch_size))
            return np.concatenate(
                [translator.translate(images.to_float(part)).numpy() for part in parts]
            )

        return translate

    def _measure(self, direction, is_back, train, held_out):
        """(what metrics.json holds of a direction, pictures, rows of per_image.csv)."""
        sources, targets = (side.pixels for side in held_out)
        print(f"{direction}: a classifier of the two domains ...", flush=True)
        log_odds = self._attribute_classifier(train)
        if not log_odds.has_learnt:
            self.notes.append(
                f"{direction}: the classifier of the two domains has learnt nothing; its "
                "log-loss, .693 for all, says nothing of any system."
            )
            logging.warning("*** %s ***", self.notes[-1])

        def judged(made, against=targets):
            if self._stop and self._stop.requested:
                raise StoppedError
            test = two_sample_test(against, made, self.seeds, self.epochs)
            losses = log_loss(log_odds(made), 1)
            return losses, {
                "c2st": test["cross_entropy"],
                "c2st_accuracy": {"mean": test["accuracy"], "ci95": None},
                "c2st_learnt": {"mean": test["learnt"] / len(self.seeds), "ci95": None},
                "attribute_log_loss": mean_and_interval(losses),
            }

        # As many other real targets as there are: what the best T could have.
        known = train[1].pixels
        few = min(len(known), len(targets))
        others = known[np.linspace(0, len(known) - 1, few).round().astype(int)]
        baselines = {
            "real": _row(judged(others)[1]),
            "copy_input": _row(judged(sources)[1]),
        }
        # Told by held-out images: the others are those that it was trained on.
        real = mean_and_interval(log_loss(log_odds(targets), 1))
        baselines["real"]["metrics"]["attribute_log_loss"] = real
        systems, outputs, rows = {}, {}, []
        for system in self._systems(is_back, train, held_out):
            print(f"{direction}: {system.name} ...", flush=True)
            made = system.translate(sources)
            losses, found = judged(made)
            scores = {"source_psnr": _psnr(sources, made)}
            if system.back:
                scores["cycle_psnr"] = _psnr(sources, system.back(made))
            found |= {name: mean_and_interval(values) for name, values in scores.items()}
            if system.is_network:
                kept = _psnr(targets, system.translate(targets))
                found["identity_psnr"] = mean_and_interval(kept)
            systems[system.name] = _row(found, system.checkpoint)
            outputs[system.name] = made
            scores = {"attribute_log_loss": losses, **scores}
            for i, name in enumerate(held_out[0].names):
                values = {key: float(each[i]) for key, each in scores.items()}
                about = {"direction": direction, "run": system.name, "name": name}
                rows.append(about | values)
        record = {"n": len(sources), "runs": systems, "baselines": baselines}
        return record, (held_out, outputs), rows

    def _attribute_classifier(self, train):
        kinds = [side.pixels for side in train]
        chosen = [kind[::_CHOICE] for kind in kinds]
        learnt = [np.delete(k, np.s_[::_CHOICE], axis=0) for k in kinds]
        # Of few images small batches, or there would be too few steps in an epoch.
        batch_size = 32 if sum(map(len, learnt)) > 500 else 8
        return train_classifier(learnt, chosen, 1, self.epochs, batch_size)

    def _record(self, held_out):
        return {
            "n": len(held_out[0].pixels),
            "dataset": {
                "name": self.data.name,
                "attribute": self.config.attribute,
                "split": self.sets.split,
                "direction": self.data.direction,
                "image_size": self.config.image_size,
                "fingerprint": self.data.fingerprint,
                "sources": len(held_out[0].pixels),
                "targets": len(held_out[1].pixels),
            },
            "classifiers": {"seeds": len(self.seeds), "epochs": self.epochs},
            "dfi": self.dfi and _described(self.dfi),
            "notes": self.notes,
            "pan_tf": pan_tf.__version__,
            "directions": {},
        }

    def _notes(self):
        notes = []
        for name, translator in zip(self.names, self.translators, strict=True):
            if "note" in translator.checkpoint:
                notes.append(f"{name}: {translator.checkpoint['note']}")
            if translator.config is None:
                continue
            folder = RunFolder(translator.path)
            notes += [f"{name}, in training: {text}" for text in folder.warnings()]
            known = folder.known_data()
            # What needs pairs has another fingerprint of the same files.
            is_alike = not translator.system.paired
            other = "fingerprint" if is_alike else "name"
            if known and known[other] != getattr(self.data, other):
                notes.append(
                    f"{name} was trained on other data ({known['name']}, or other files) "
                    f"than are evaluated here ({self.data.name})."
                )
        if self.sets.split == self.data.train.split:
            notes.append("Measured on the images that were trained on.")
        for sets in (self.data.train, self.sets):
            longest = max(len(sets.source), len(sets.target))
            if longest > self.limit:
                notes.append(
                    f"--limit={self.limit}: of the {longest} images of a list in "
                    f"{sets.split} as many were looked at."
                )
        return notes


def _open(config, known):
    return data.open_data(data.locate(config), verified=known, aligned=False)


def _is_cycle(translator):
    return translator.system and translator.system.is_cycle


def _row(found, checkpoint=None):
    return {"checkpoint": checkpoint, "metrics": found}


def _psnr(one, other):
    parts = range(0, len(one), 16)
    values = [np.asarray(metrics.psnr(one[i : i + 16], other[i : i + 16])) for i in parts]
    return np.minimum(np.concatenate(values).astype(np.float64), metrics.LARGEST_PSNR)


def _described(settings):
    """Without the place of the weights, which is a machine's own."""
    return {k: v for k, v in dataclasses.asdict(settings).items() if k != "vgg_weights"}


def _csv(rows):
    table = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
