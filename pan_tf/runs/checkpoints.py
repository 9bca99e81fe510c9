"""Saving and resuming a run, to the bit.

A checkpoint holds T, its average if there is one, D, in a cycle their inverses, the
outputs of the past that D is reminded of, both optimizers (moments and steps, so the
schedules too), the random seeds of layers that have any, the iteration, and the open
logging window. The data stream needs no state: it is a function of the seed and the
iteration.
"""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile

import tensorflow as tf
from absl import logging

from pan_tf import distribution
from pan_tf import files
from pan_tf import paths


class RunState(tf.train.experimental.PythonState):
    """What a run knows beside its variables; saved in every checkpoint.

    Attributes:
        model: whose `iteration` is saved and restored.
        window: log name -> [sum, count] since the last line of metrics.jsonl.
        best: best value so far of the metric that chooses a checkpoint, or None.
        best_by: the name of the metric that chose it.
        guard: what `CollapseGuard` remembers.
    """

    def __init__(self, model):
        self.model = model
        self.window = {}
        self.best = self.best_by = None
        self.guard = {}

    def serialize(self):
        state = {
            "iteration": self.model.iteration,
            "window": self.window,
            "best": self.best,
            "best_by": self.best_by,
            "guard": self.guard,
        }
        return json.dumps(state)

    def deserialize(self, string_value):
        state = json.loads(string_value)
        self.model.iteration = state["iteration"]
        self.window = state["window"]
        self.best, self.best_by = state["best"], state.get("best_by")
        self.guard = state.get("guard", {})  # Runs begun before there was one.


class Checkpoints:
    """The checkpoints of one run folder.

    Under several workers all of them must call each method; what the others than the
    chief write goes to a scratch folder.

    Args:
        folder: where they are kept, on a file system that all workers share.
        model: compiled model, with `iteration` and `saved_parts()`; and, for a best
            checkpoint, the `ema_transformer` that it holds.
        state: `RunState`.
        keep: how many to keep.
    """

    def __init__(self, folder, model, state, keep):
        strategy = model.distribute_strategy
        self._scratch = None
        self._folder = pathlib.Path(folder)
        if not distribution.is_chief(strategy):
            self._scratch = tempfile.TemporaryDirectory()
        self._model, self._state = model, state
        self._checkpoint = tf.train.Checkpoint(state=state, **model.saved_parts())
        self._writable().mkdir(parents=True, exist_ok=True)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, paths.literal(self._writable()), max_to_keep=keep
        )

    def resume(self):
        """Restores the newest checkpoint that is intact.

        Returns:
            Its iteration; 0 if there is none.
        """
        self._clear()
        state = tf.train.get_checkpoint_state(str(self._folder))
        found = list(state.all_model_checkpoint_paths) if state else []
        for path in reversed(found):
            problem = damage(path)
            if problem is None:
                self._checkpoint.restore(str(paths.literal(path))).assert_consumed()
                return self._model.iteration
            logging.warning(
                "*** %s is damaged (%s); trying the checkpoint before it. ***",
                path,
                problem,
            )
        if found:
            raise OSError(
                f"None of the {len(found)} checkpoints in {self._folder} can be read. "
                "Delete the run folder to start again."
            )
        return 0

    def save(self):
        """Saves everything, as of the model's iteration; returns the path."""
        number = self._model.iteration
        with self._cleared():
            try:
                return self._manager.save(checkpoint_number=number)
            except tf.errors.OpError:
                prefix = self._writable() / f"ckpt-{number}"
                if damage(prefix):
                    for file in prefix.parent.glob(f"{prefix.name}.*"):
                        file.unlink()
                raise

    @contextlib.contextmanager
    def _cleared(self):
        """Context that leaves nothing half written: a full disk needs the space."""
        try:
            yield
        except tf.errors.OpError:
            self._clear()
            raise

    def _clear(self):
        """Deletes what was half written when a kill or an error came."""
        for half_written in self._writable().rglob("*_temp"):
            shutil.rmtree(half_written, ignore_errors=True)

    def last_iteration(self):
        """Iteration of the newest checkpoint; None if there is none."""
        return iteration_of(self._manager.latest_checkpoint)

    def save_best(self, chosen_by):
        """Saves the T to translate with as the best so far, then drops the one before.

        Args:
            chosen_by: name of the metric, for `best_is_chosen_by`.
        """
        folder = self._writable() / "best"
        name = f"transformer-{self._model.iteration}"
        place = folder / f"{name}_temp"
        with self._cleared():
            self._best().write(str(place / name))
        files.write(place / f"{name}.json", json.dumps({"chosen_by": chosen_by}) + "\n")
        # The index makes it a checkpoint: it comes last.
        for file in sorted(place.iterdir(), key=lambda file: file.suffix == ".index"):
            os.replace(file, folder / file.name)
        for file in folder.iterdir():
            if not file.name.startswith(f"{name}."):
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    def load_best(self):
        """Puts the best T so far into the model; returns its iteration.

        Raises:
            FileNotFoundError: if none has been saved.
        """
        prefix = newest_best(self._folder)
        if prefix is None:
            raise FileNotFoundError(f"No best checkpoint in {self._folder}.")
        self._best().read(str(paths.literal(prefix))).expect_partial()
        return int(prefix.rpartition("-")[2])

    def _best(self):
        return tf.train.Checkpoint(transformer=self._model.ema_transformer)

    def _writable(self):
        return pathlib.Path(self._scratch.name) if self._scratch else self._folder


def newest_best(folder):
    """Prefix of the best T in a folder of checkpoints; None if there is none.

    A kill can leave two: the later one was the better.
    """
    prefixes = [
        str(index).removesuffix(".index")
        for index in (pathlib.Path(folder) / "best").glob("transformer-*.index")
    ]
    return max(prefixes, key=lambda p: int(p.rpartition("-")[2]), default=None)


def iteration_of(prefix):
    """Iteration of a checkpoint, by its name; None of None."""
    return int(prefix.rpartition("-")[2]) if prefix else None


def newest(folder):
    """Prefix of the newest checkpoint in a folder of them; None if there is none."""
    state = tf.train.get_checkpoint_state(str(folder))
    prefix = state and state.model_checkpoint_path
    return prefix if prefix and pathlib.Path(f"{prefix}.index").exists() else None


def best_is_chosen_by(prefix, otherwise):
    """Name of the metric that chose a best T; `otherwise` in runs of version 0.1."""
    try:
        return json.loads(pathlib.Path(f"{prefix}.json").read_text("utf-8"))["chosen_by"]
    except FileNotFoundError:
        return otherwise


def damage(path):
    """What is wrong with a checkpoint's files, or None.

    Reads every tensor, which compares its checksum; a file cut short, a flipped bit or
    a missing shard is found before anything is restored.
    """
    try:
        reader = tf.train.load_checkpoint(str(paths.literal(path)))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    # The reader turns a status into whichever of these fits its code.
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
        return str(error).splitlines()[0]
    return None
