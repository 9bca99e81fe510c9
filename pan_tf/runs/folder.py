"""The run folder: what a training run leaves behind.

    run.cfg         resolved flags; --flagfile=run.cfg --run_dir=NEW replays the run
    system.json     the recipe with every value in place: networks, losses, schedule
    manifest.json   flags, versions, hardware, data, git commit, and each start
    metrics.jsonl   an object a line, key `iteration`
    result.json     metrics of the last and the best checkpoint, beside the baselines
    checkpoints/    everything needed to go on; best/ holds T alone
    samples/        source | output | target, at each validation
    result.png      as a sample, by the best T, or the last one where there is none
    logs/           TensorBoard
    .lock           who trains in it now; see `runs.lock`

Files are written whole and then renamed, so that none is ever half there: all but
metrics.jsonl, which grows by lines. A line that a kill cut short is dropped.
"""

import contextlib
import datetime
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import subprocess

from PIL import Image

from pan_tf import bundled
from pan_tf import files
from pan_tf import fingerprints
from pan_tf.config import Config
from pan_tf.runs import lock

# What the manifest's entries are, of those that are read again.
_KINDS = {"data": dict, "inference": dict, "revisions": dict, "starts": list, "vgg": dict}
_MODULES = ("tensorflow", "keras", "numpy", "PIL")


class RunFolderError(Exception):
    """The folder is in use, or of a run of another configuration or of other data."""


class RunFolder:
    """Reads and writes one run folder.

    Args:
        path: the folder; made by `held`, or else by `start`.
        settings: class of the run's settings, which `run.cfg` holds.
        flag: of a command, by which another folder is chosen.
    """

    def __init__(self, path, settings=Config, flag="--run_dir"):
        self.path, self._settings = pathlib.Path(path), settings
        self.elsewhere = f"another {flag}"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self._config = self.path / "run.cfg"
        self._system = self.path / "system.json"
        self.manifest = self.path / "manifest.json"
        self._metrics = self.path / "metrics.jsonl"
        self._result = self.path / "result.json"
        self._unlocked = None  # Why the folder cannot be locked.

    def is_run(self):
        """Whether there is a run in it."""
        return self._config.exists()

    def check(self, config):
        """Refuses a configuration other than the one that the folder was made with.

        Raises:
            RunFolderError: naming the flags that differ, or if the folder holds
                something else than a run.
        """
        if problem := files.check_place(self.path):
            raise RunFolderError(f"--run_dir={self.path}: {problem}")
        for name in config.unwritable():
            raise RunFolderError(
                f"--{name}={getattr(config, name)!r} cannot be written into run.cfg, "
                "which is UTF-8 and has a flag a line: rename the folder or the file."
            )
        if not self.is_run():
            # What a kill left before there was a run.cfg is nobody's.
            names = [p.name for p in self.path.iterdir()] if self.path.exists() else []
            if [n for n in names if n != lock.NAME and not files.is_partial(n)]:
                raise RunFolderError(
                    f"--run_dir={self.path} holds files but no run.cfg: not a run "
                    "folder. Choose another one."
                )
            return
        self._check_not_ended()
        if self._has_failed():
            return  # It begins anew, as it is asked for now.
        differences = self.with_found(config).differences(self.config())
        began = getattr(config, "init_from", None)
        if began and self.has_checkpoint():
            own = self.config().init_from
            # It would go on from its own checkpoint, and begin with nothing.
            if own is None or os.path.realpath(began) != os.path.realpath(own):
                differences["init_from"] = (began, own)
        if differences:
            raise RunFolderError(
                f"--run_dir={self.path} holds a run of another configuration:\n"
                + "".join(
                    f"    --{name}: {theirs} there, {ours} now\n"
                    for name, (ours, theirs) in differences.items()
                )
                + f"Use its flags, or choose {self.elsewhere}."
            )

    def _check_not_ended(self):
        """Refuses a run whose checkpoints were removed: it would begin anew over it."""
        bests = numbers_of_checkpoints(self.checkpoints / "best", "transformer")
        # Until the first checkpoint a kill may leave a best T, and nothing is lost.
        is_old = bests and bests[-1] > self.config().save_every
        if not self.has_checkpoint() and (self._result.exists() or is_old):
            raise RunFolderError(
                f"--run_dir={self.path} has lost the checkpoints that it would "
                f"go on from, {self.checkpoints / 'ckpt-*'}. It would begin anew, in the "
                f"place of what is there: choose {self.elsewhere} to train again."
            )

    def note_failure(self, error):
        """Lets another configuration begin anew in a folder in which nothing was saved.

        Args:
            error: what ended the training.
        """
        if not self.is_run() or self._has_saved():
            return
        # What was found of its files binds nobody.
        found = "data", "vgg", "metric_weights", "init_from"
        kept = {k: v for k, v in self._read_manifest().items() if k not in found}
        said = str(error) or type(error).__name__
        files.write_json(self.manifest, kept | {"failure": said})

    def _has_saved(self):
        """Whether there is a checkpoint, be it the best T alone."""
        best = numbers_of_checkpoints(self.checkpoints / "best", "transformer")
        return bool(best) or self.has_checkpoint()

    def _has_failed(self):
        """Whether nothing was saved of the run, since it failed."""
        return not self._has_saved() and "failure" in self._read_manifest()

    @contextlib.contextmanager
    def held(self, config):
        """Context in which no other training may use the folder, which it makes.

        Args:
            config: as of `check`: another training may have come and gone since.

        Raises:
            RunFolderError: if another training uses it, or as of `check`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self._refusing(), lock.hold(self.path) as self._unlocked:
            self.check(config)
            for file in self.path.iterdir():
                if files.is_partial(file.name):  # Nobody else writes here.
                    file.unlink()
            yield

    def check_free(self):
        """Refuses a folder that another training uses, here or on another machine.

        Raises:
            RunFolderError: naming its process.
        """
        with self._refusing():
            lock.check_free(self.path)

    @contextlib.contextmanager
    def _refusing(self):
        try:
            yield
        except lock.HeldError as holder:
            raise RunFolderError(
                f"--run_dir={self.path} is in use by another training: {holder}. Wait "
                f"for it, stop it, or choose {self.elsewhere}."
            ) from None

    def config(self):
        """The settings that the run was made with.

        Raises:
            FileNotFoundError: if there is no run.
        """
        try:
            return self._settings.from_flagfile(self._config).with_defaults()
        except ValueError as error:
            if "Unknown command line flag" not in str(error):
                raise
            raise ValueError(
                f"{error}. The run is another command's, or another version's: use it "
                "with that one."
            ) from None

    def with_found(self, config):
        """A configuration, what it leaves open as the run, if any, found it in files."""
        if not self.is_run() or self._has_failed():
            return config
        own = self.config()
        return config.replace(
            **{
                name: getattr(own, name)
                for name in own.found_in_files
                if getattr(config, name) in (None, "auto")
            }
        )

    def has_checkpoint(self):
        """Whether there is something to go on from."""
        return self.last_iteration() > 0

    def last_iteration(self):
        """Iteration of the newest checkpoint; 0 without one."""
        return max(numbers_of_checkpoints(self.checkpoints, "ckpt"), default=0)

    def known_data(self):
        """The manifest's record of the data; None in a new folder.

        Raises:
            ValueError: if it is damaged.
        """
        found = self._read_manifest().get("data")
        if found is None:
            return None
        kinds = {"name": str, "fingerprint": str, "images": dict | None}
        for name, kind in kinds.items():
            if not isinstance(found.get(name), kind):
                raise ValueError(
                    f"{self.manifest} is damaged: {name!r} of its data is "
                    f"{found.get(name)!r}."
                )
        return found

    def system(self):
        """What system.json holds of the run; None in a new folder and in runs of 0.1."""
        return files.read_json(self._system)

    def inference(self):
        """How T translates, as the manifest of a run of 0.1 has it, or None."""
        return self._read_manifest().get("inference")

    def revisions(self):
        """Which networks a run of 0.1 has, by its manifest; None in a new folder."""
        manifest = self._read_manifest()
        return manifest.get("revisions", {}) if manifest else None

    def commit(self):
        """The commit that the run was last started with, where it is known."""
        return self._read_manifest().get("git")

    def check_data(self, fingerprint, names=lambda: None, splits=None):
        """Refuses data other than those that the run was started with.

        A run of which nothing was saved begins anew. One that met files that could not be
        used takes any of their names in their place: none of those was trained on.

        Args:
            fingerprint: of the data, see `fingerprints`.
            names: gives the digest of the names of all images.
            splits: "train" and "validation" -> what `Split.describe` gives; they tell
                where there are more images, or fewer.

        Raises:
            RunFolderError: if the fingerprints differ.
        """
        known = self.known_data() if self.has_checkpoint() else None
        if known is None or fingerprints.same_files(known["fingerprint"], fingerprint):
            return
        restorable = known.get("restorable")
        if restorable is None or restorable != names():
            counts = "; ".join(_counts(known, splits or {}))
            raise RunFolderError(
                f"--run_dir={self.path} was trained on other files than {known['name']} "
                f"holds now (names, sizes or contents differ{counts and '; ' + counts}). "
                f"Restore them, or choose {self.elsewhere}."
            )

    def check_vgg(self, sha256):
        """Refuses weights of VGG other than those that the run was started with.

        Raises:
            RunFolderError: if the digests differ.
        """
        known = self._read_manifest().get("vgg")
        if known and known["sha256"] != sha256:
            raise RunFolderError(
                f"--run_dir={self.path} was trained with other VGG weights (sha256 "
                f"{known['sha256']}). Name their file by --vgg_weights, or choose "
                f"{self.elsewhere}."
            )

    def start(self, config, data, devices, system=None):
        """Makes the folder, or adds a start to its manifest.

        Args:
            config: `Config`.
            data: what `OpenedData.describe` gives.
            devices: names of the devices in use.
            system: what `recipes.System.to_json` gives; it stays once there is a
                checkpoint of it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self.is_run() and self.has_checkpoint():
            config = config.going_on_from(self.config(), self.last_iteration())
        files.write(self._config, config.to_flagfile())
        is_begun = self._system.exists() and self.has_checkpoint()
        if system is not None and not is_begun:
            files.write_json(self._system, system)
        manifest = self._read_manifest()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        manifest.setdefault("started", now)
        manifest.setdefault("starts", []).append(now)
        manifest["flags"] = config.to_json()
        manifest["seed"] = config.seed
        manifest["data"] = data
        manifest["versions"] = {
            name: importlib.import_module(name).__version__ for name in _MODULES
        }
        tfds = "tensorflow_datasets"  # Not imported for its version only.
        manifest["versions"][tfds] = importlib.metadata.version(tfds)
        manifest["versions"]["python"] = platform.python_version()
        manifest["hardware"] = {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "devices": devices,
        }
        manifest["git"] = _git_commit()
        for name in ("lock", "failure"):
            manifest.pop(name, None)
        if self._unlocked:
            manifest["lock"] = self._unlocked
        files.write_json(self.manifest, manifest)

    def note(self, key, value):
        """Records one more fact in the manifest."""
        files.write_json(self.manifest, self._read_manifest() | {key: value})

    def note_restorable(self, names):
        """Records that files of these names cannot be used, until somebody mends them."""
        self.note("data", self.known_data() | {"restorable": names})

    def note_fingerprint(self, fingerprint):
        """Records what the data are, once all files are read."""
        self.note("data", self.known_data() | {"fingerprint": fingerprint})

    def append_metrics(self, row):
        """Adds a line to metrics.jsonl."""
        with open(self._metrics, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def forget_after(self, iteration):
        """Drops the lines of metrics.jsonl that a resumed run will write again.

        A line that a kill cut short is dropped too.
        """
        kept = [row for row in self.read_metrics() if row["iteration"] <= iteration]
        if self._metrics.exists():
            files.write(self._metrics, "".join(json.dumps(row) + "\n" for row in kept))

    def read_metrics(self):
        """The lines of metrics.jsonl as dictionaries, without those that are none."""
        if not self._metrics.exists():
            return []
        rows = []
        text = self._metrics.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            with contextlib.suppress(ValueError):  # A kill cut it short.
                rows.append(json.loads(line))
        return [
            row
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("iteration"), int)
        ]

    def warnings(self):
        """Sentences of the guards, in the order in which they first came.

        Those that differ in numbers only are one, which says how often it came.
        """
        said = {}
        for row in self.read_metrics():
            if "warning" in row:
                kind = re.sub(r"[\d.]+", "#", row["warning"])
                said.setdefault(kind, []).append(row["warning"])
        return [
            first + (f" (Said {1 + len(later)} times.)" if later else "")
            for first, *later in said.values()
        ]

    def save_picture(self, name, pixels):
        """Writes uint8 `[H, W, 3]` as `<name>.png`; returns the path."""
        path = self.path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(path) as partial:
            Image.fromarray(pixels).save(partial, format="png")
        return path

    def save_result(self, result):
        """Writes result.json."""
        files.write_json(self._result, result)

    def forget_result(self):
        """Deletes what an end before has left, of a run that goes on."""
        for name in ("result.json", "result.png"):
            (self.path / name).unlink(missing_ok=True)

    def _read_manifest(self):
        found = files.read_json(self.manifest) or {}
        for name, kind in _KINDS.items():
            if not isinstance(found.get(name) or kind(), kind):
                raise ValueError(
                    f"{self.manifest} is damaged: its {name!r} is {found[name]!r}."
                )
        return found


def numbers_of_checkpoints(folder, name):
    """Iterations of the checkpoints `<name>-<iteration>` in a folder, sorted."""
    found = (path.stem.rpartition("-") for path in folder.glob(f"{name}-*.index"))
    return sorted(int(n) for begin, _, n in found if begin == name and n.isdecimal())


def _counts(known, splits):
    """What has become more or less in splits since a manifest's record of them."""
    for name, now in splits.items():
        then = known.get(name) or {}
        for kind, count in (now or {}).items():
            if kind != "split" and then.get(kind, count) != count:
                yield f"{then[kind]} {name} {kind} when it began, {count} now"


def _git_commit():
    """Commit of the checkout that the package lies in, "-dirty" if it was changed."""
    top = _git("rev-parse", "--show-toplevel")
    # Installed, it may lie in an environment within somebody else's repository.
    if top is None or pathlib.Path(top) != bundled.PACKAGE.parent.resolve():
        return None
    return _git("describe", "--always", "--abbrev=40", "--dirty")


def _git(*arguments):
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=bundled.PACKAGE,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
