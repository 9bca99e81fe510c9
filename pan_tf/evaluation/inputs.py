"""What is evaluated: trained Ts that go together, and the images they are shown."""

import hashlib
import os

import numpy as np

from pan_tf import data
from pan_tf import fingerprints
from pan_tf import images
from pan_tf import inference
from pan_tf import paths
from pan_tf.config import Config
from pan_tf.inference import loaded
from pan_tf.papers import dfi
from pan_tf.runs.folder import RunFolder
from pan_tf.size import Size

_OPTIMISTIC = (
    "{}: the best checkpoint was chosen on these very images, so its scores are a little "
    "optimistic; the last checkpoint's are not."
)


class Inputs:
    """Several Ts and a split that they are shown. Making it checks all of that.

    Args:
        run_dirs: run folders.
        saved_models: SavedModels, from source to target.
        checkpoint: "best" or "last", of the run folders; None: "best".
        split: name of the split; None for the test split, or the validation split where
            there is no other.
        unpaired: whether to look at pairs as if they were none, unless sources are made
            of targets; None: only where the data set has none, or is read so by a system
            that was trained without.
        batch_size: images at a time; None: as `measure` has it.
        names: of the Ts, in order; None: as their folders are called.
        verified: what `OpenedData.describe` gave of these data before; None: what the
            first run knows.
        **changes: settings of the data, in place of the first run's; None counts as not
            given.

    Attributes:
        translators: a `Translator` of each, runs first.
        names: as given, or as the folders are called.
        config: `Config` of the first run, changed.
        data: `OpenedData`.
        geometry: `Geometry` by which images are measured.
        split: the `Split` to measure on.

    Raises:
        DatasetNotFoundError: if the data set is not there.
        FileNotFoundError, OSError: if a run, a checkpoint or a file is not there, or is
            damaged.
        ValueError: if the Ts do not go together, or a setting is not legal.
    """

    def __init__(
        self,
        run_dirs=(),
        saved_models=(),
        checkpoint=None,
        split=None,
        unpaired=None,
        batch_size=None,
        names=None,
        verified=None,
        **changes,
    ):
        changes = {name: value for name, value in changes.items() if value is not None}
        if not run_dirs and "dataset" not in changes:
            raise ValueError(
                "--dataset must be given where there is no run, which knows its data."
            )
        self.translators = _load(run_dirs, saved_models, checkpoint)
        self.names = names or _names_of(self.translators)
        self.batch_size = batch_size
        first = self.translators[0].config if self.translators else None
        _check_data_dir(first, changes)
        _check_synthesis(first, changes)
        config = _measured_by(first or Config(), self.translators, changes)
        if self.translators:
            config = config.replace(**_channels(self.translators, self.names))
        _check_alike(self.translators, self.names, changes)
        self.config = config.replace(fallback_dataset=None)
        _check_shapes(self.translators, config.image_size, batch_size)
        known = verified
        if known is None and run_dirs:
            known = RunFolder(self.translators[0].path).known_data()
        self.data = self._open(known, unpaired)
        self.split = self.data.held_out if split is None else self.data.splits.get(split)
        self.geometry = self.data.geometry
        if self.split is None:
            raise ValueError(
                f"--split must be one of: {', '.join(self.data.splits)}. Received: "
                f"split={split!r}; without it, test/ or val/ is needed."
            )
        if unpaired and self.split.synthesize is None:
            self.split = self.split.unpaired()
        if self.split.source.spec.labels and not self.split.paired:
            raise ValueError("Label maps are measured by pairs only.")

    def pixels(self, listed, name="image"):
        """`Images`, or a side of a `Split`: uint8 `[N, H, W, C]` by `Geometry.centre`."""
        batches = data.evaluation_dataset(
            listed, geometry=self.geometry, batch_size=16, centre=True
        )
        # Judges of sets, and eyes, look at 8 bits.
        return np.concatenate([images.to_uint8(batch[name]).numpy() for batch in batches])

    def sources(self, split, places):
        """Sources of a `Split`, by their numbers, given or made: as of `pixels`."""
        if split.synthesize is None:
            return self.pixels(split.source.subset(places))
        return self.pixels(split.subset(places), "source")

    def interpolated(self, settings, train, listed):
        """`Images` as deep feature interpolation translates them, uint8.

        Args:
            settings: `dfi.Settings`, located.
            train: `Split` of both domains.
            listed: `Images`.
        """
        sides, known, own = (train.source, train.target), None, None
        if settings.by == "attributes":
            known = [side.attributes() for side in sides]
            own = listed.attributes()
        made = dfi.Interpolation(*map(self.pixels, sides), settings, known)
        return made.translate(self.pixels(listed), own)

    def _open(self, known, unpaired):
        # As the systems were trained: what lists may be paired, they do not ask.
        systems = [t.system for t in self.translators]
        paired = not systems or any(s is None or s.paired for s in systems)
        if unpaired is not None:
            paired = not unpaired or self.config.synthesize != "none"
        elif not data.DATASETS[self.config.dataset].paired:
            paired = False
        try:
            if paired:  # Before anything is downloaded.
                data.check_paired(self.config.dataset)
            located = data.locate(self.config, needs_train=False)
            specs = None
            if self.translators:
                first = self.translators[0]
                specs = first.source, first.target
            return data.open_data(located, verified=known, paired=paired, specs=specs)
        except data.NoPairsError as error:
            raise ValueError(f"{error} --unaligned measures without pairs.") from None

    def input_notes(self):
        """Sentences on what a reader of the numbers must know."""
        notes = []
        for name, translator in zip(self.names, self.translators, strict=True):
            if "note" in translator.checkpoint:
                notes.append(f"{name}: {translator.checkpoint['note']}")
            if translator.config is None:
                if self._chose(translator):
                    notes.append(_OPTIMISTIC.format(name))
                continue
            folder = RunFolder(translator.path)
            is_best = translator.checkpoint["kind"] == "best"
            notes += [f"{name}, in training: {text}" for text in folder.warnings()]
            known = folder.known_data()
            if known and not self._is_trained_on(translator, known):
                notes.append(
                    f"{name} was trained on other data ({known['name']}, or other files, "
                    f"or more of them) than are evaluated here ({self.data.name})."
                    + " Whether they chose its checkpoint is not known."
                    * is_best
                )
            elif known and (others := self._unlike(known)):
                notes.append(f"{name} was trained on these images {others}.")
            elif (
                is_best
                and self.data.validation is not None
                and self.split.name == self.data.validation.name
            ):
                notes.append(_OPTIMISTIC.format(name))
        if self.data.train is None:
            notes.append(
                f"There is nothing to train on in {self.config.data_dir}: baselines that "
                "are fitted on that, mean colour and colour table, were not measured."
            )
        elif self.split.name == self.data.train.name:
            notes.append("Measured on the images that were trained on.")
        return notes

    def _is_trained_on(self, translator, known):
        """Whether a run's data, as its manifest has them, are these."""
        if translator.system.paired == self.split.paired:
            return fingerprints.same_files(known["fingerprint"], self.data.fingerprint)
        # Two lists have another fingerprint than pairs of the same files.
        places = [os.path.realpath(c.data_dir) for c in (translator.config, self.config)]
        is_there = not data.DATASETS[self.data.name].is_own or places[0] == places[1]
        return known["name"] == self.data.name and is_there

    def _unlike(self, known):
        """What training made of the same images that is not measured here, in words."""
        now = self.data.describe()
        kinds = {"direction": "", "synthesized": "with synthesized "}
        return " and ".join(
            f"{kind}{was or 'nothing'}, and is measured {kind}{now[key] or 'nothing'}"
            for key, kind in kinds.items()
            if (was := known.get(key, now[key])) != now[key]
        )

    def _chose(self, translator):
        """Whether an export's T was chosen as the best on the measured images."""
        label = translator.label or {}
        if label.get("checkpoint", {}).get("kind") != "best" or not self.split.paired:
            return False
        fingerprint = (label.get("dataset") or {}).get("fingerprint")
        validation = self.data.validation
        return (
            fingerprint is not None
            and validation is not None
            and self.split.name == validation.name
            and fingerprints.same_files(fingerprint, self.data.fingerprint)
        )

    def default_output_dir(self):
        """A folder in the only run, or beside the first of several."""
        first = self.translators[0]
        parts = [self.data.name, self.split.name, self.data.direction]
        parts += [self.data.synthesized] if self.data.synthesized else []
        parts += [str(self.config.image_size), _short(self.data.fingerprint)]
        if first.geometry and first.geometry.preprocess != self.geometry.preprocess:
            parts.append(self.geometry.preprocess)
        what = "-".join(parts) + ("" if self.split.paired else "-unpaired")
        if len(self.translators) > 1:
            names = "-".join(self.names).replace(os.sep, "_")
            if len(os.fsencode(names)) > 100:
                names = _short(names)
            checkpoints = _short(
                " ".join(
                    f"{t.checkpoint['kind']}-{t.checkpoint['iteration']}"
                    for t in self.translators
                )
            )
            return first.path.parent / f"comparison-{names}-{what}-{checkpoints}"
        if first.config is None:
            # A SavedModel may be served from where it lies; nothing is put into it.
            return first.path.parent / f"evaluation-{first.path.name}-{what}"
        kind, iteration = first.checkpoint["kind"], first.checkpoint["iteration"]
        return first.path / "evaluation" / f"{what}-{kind}-{iteration}"


def _load(run_dirs, saved_models, checkpoint):
    saved_models = [paths.named("saved_model", path) for path in saved_models]
    for path in saved_models:
        if not loaded.is_saved_model(path):
            raise FileNotFoundError(f"No saved_model.pb in {path}: not a SavedModel.")
    of_exports = None if run_dirs else checkpoint  # Refused, with nothing else to mean.
    translators = [
        *(inference.Translator(path, checkpoint) for path in run_dirs),
        *(inference.Translator(path, of_exports) for path in saved_models),
    ]
    for translator in translators[: len(run_dirs)]:
        if translator.config is None:
            raise ValueError(
                f"--run_dir={translator.path} is a SavedModel: use --saved_model."
            )
    return translators


def _names_of(translators):
    """The last part of each path, or the whole path where that is not unique."""
    short = [t.path.resolve().name for t in translators]
    return [
        name if short.count(name) == 1 else str(t.path)
        for name, t in zip(short, translators, strict=True)
    ]


def _measured_by(config, translators, changes):
    """A configuration by which images are measured: as the first T was trained."""
    geometry = next((t.geometry for t in translators if t.geometry), None)
    # What a squash cropped in training does not matter here.
    config = config.replace(load_size=None)
    other = changes.get("dataset", config.dataset)
    config.replace(dataset=other)  # Refuses a name that is not known.
    if data.DATASETS[config.dataset].is_own and not data.DATASETS[other].is_own:
        config = config.replace(data_dir=Config.data_dir)  # Not the run's own images.
    if geometry is None:
        # Nothing is known of how foreign Ts were trained; the papers squash.
        config = config.replace(preprocess="squash" if translators else None)
    else:
        config = config.replace(preprocess=geometry.preprocess)
        if "image_size" not in changes:
            config = config.replace(image_size=geometry.image_size)
            if geometry.preprocess == changes.get("preprocess", "scale") == "scale":
                config = config.replace(load_size=geometry.load_size)
    return config.replace(**changes)


def _check_data_dir(first, changes):
    """Raises ValueError if a folder is named that the run's data set does not read."""
    if (
        "data_dir" in changes
        and "dataset" not in changes
        and data.DATASETS[first.dataset].in_package
    ):
        raise ValueError(
            f"--data_dir is not read by the run's data set, {first.dataset}, which lies "
            "in a package. To measure on your own pairs, add --dataset=folder. Received: "
            f"data_dir={str(changes['data_dir'])!r}."
        )


def _check_synthesis(first, changes):
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


def _check_alike(translators, names, changes):
    """Runs of one report must see the same source images."""
    first = {}  # Setting -> (name of the first T that has it, its value).
    for name, t in zip(names, translators, strict=True):
        settings = {}
        if t.config:
            settings = {n: getattr(t.config, n) for n in ("dataset", "synthesize")}
            settings["direction"] = data.direction(t.config)
            settings["attribute"] = t.config.attribute
        if t.geometry and "preprocess" not in changes:
            settings["image_size"] = t.geometry.image_size
            settings["preprocess"] = t.geometry.preprocess
            # What a squash cropped in training does not matter here.
            if t.geometry.preprocess != "squash":
                settings["load_size"] = t.geometry.load_size
        for field, theirs in settings.items():
            there, own = first.setdefault(field, (name, theirs))
            if field not in changes and own != theirs:
                raise ValueError(
                    f"Runs to compare must have one --{field}, or the flag must be "
                    f"given. Received: {own} in {there}, {theirs} in {name}."
                )
    places = [os.path.realpath(t.path) for t in translators]
    if len(set(names)) < len(names) or len(set(places)) < len(places):
        raise ValueError(f"Each run once. Received: {', '.join(names)}.")


def _channels(translators, names):
    """Settings of what all of the Ts take and give."""
    specs = [(t.source, t.target) for t in translators]
    for name, spec in zip(names, specs, strict=True):
        if [s.to_json() for s in spec] != [s.to_json() for s in specs[0]]:
            raise ValueError(
                "What is compared must have equal channels and bits. Received: "
                f"{specs[0][0]} to {specs[0][1]} of {names[0]}, {spec[0]} to {spec[1]} "
                f"of {name}."
            )
    source, target = specs[0]
    found = {"target_channels": target.channels, "target_bits": target.bits}
    if source.labels:
        return found | {"source_labels": source.labels, "source_channels": None}
    return found | {"source_channels": source.channels, "source_bits": source.bits}


def _check_shapes(translators, image_size, batch_size):
    """A SavedModel may have been exported for one size, or one batch."""
    for translator in translators:
        only = translator.field.size if translator.field else None
        if only is not None and Size.of(only) != image_size:
            raise ValueError(
                f"--image_size must be that of {translator.path}, {only}. "
                f"Received: image_size={image_size}."
            )
        if translator.shape is None:
            continue
        batch, height, width = translator.shape[:3]
        if {height} - {None, image_size.height} or {width} - {None, image_size.width}:
            raise ValueError(
                f"--image_size must be that of {translator.path}, {height} x {width}. "
                f"Received: image_size={image_size}."
            )
        if batch is not None and (batch != 1 or batch_size != 1):
            raise ValueError(
                f"{translator.path} takes batches of {batch}; it must take any, or 1 "
                f"with --batch_size=1. Received: batch_size={batch_size}."
            )


def _short(text):
    """Six digits that stand for a text in a file name."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:6]
