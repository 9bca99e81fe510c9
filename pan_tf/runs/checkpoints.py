"""Saving and resuming a run, to the bit.

A checkpoint holds T, its average if there is one, D, in a cycle their inverses, the
outputs of the past that D is reminded of, both optimizers (moments and steps, so the
schedules too), the random seeds of layers that have any, the iteration, and the open
logging window. The data stream needs no state: it is a function of the seed and the
iteration.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil

import tensorflow as tf
from absl import logging

from pan_tf import distribution
from pan_tf import files
from pan_tf import paths
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.folder import numbers_of_checkpoints
from pan_tf.runs.snapshot import Snapshot


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

    Under several workers all of them must call each method: what a variable is may be
    known to all of them together only. The chief writes.

    Args:
        folder: where they are kept, on a file system that all workers share.
        model: compiled model, with `iteration` and `saved_parts()`; and, for a best
            checkpoint, the `ema_transformer` that it holds.
        state: `RunState`.
        keep: how many to keep.
    """

    def __init__(self, folder, model, state, keep):
        self._folder = pathlib.Path(folder)
        self._is_chief = distribution.is_chief(model.distribute_strategy)
        self._model = model
        self._checkpoint = tf.train.Checkpoint(state=state, **model.saved_parts())
        if self._is_chief:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._keep = keep
        self._writer = concurrent.futures.ThreadPoolExecutor(1)
        self._writing = None  # `Future` of what is being written.

    def resume(self):
        """Restores the newest checkpoint that is intact.

        Returns:
            Its iteration; 0 if there is none.

        Raises:
            RunFolderError: if none is intact.
        """
        self._clear()
        found = _numbered(self._folder, "ckpt")
        for place, path in enumerate(reversed(found)):
            problem = damage(path)
            if problem is None:
                for damaged in found[len(found) - place :]:
                    self._set_aside(damaged)
                self._checkpoint.restore(str(paths.literal(path))).assert_consumed()
                return self._model.iteration
            logging.warning(
                "*** %s is damaged (%s); trying the checkpoint before it. ***",
                path,
                problem,
            )
        if found:
            best = newest_best(self._folder)
            kept = best and damage(best) is None
            raise RunFolderError(
                f"--run_dir={self._folder.parent}: None of the {len(found)} checkpoints "
                f"in {self._folder} can be read. Choose another --run_dir to start again"
                + (f"; {best}, the best T so far, is whole." if kept else ".")
            )
        return 0

    def _set_aside(self, prefix):
        """Gives a damaged checkpoint another name: those to come may be older than it."""
        if self._is_chief:
            logging.warning("*** It is called damaged-%s from now on. ***", _name(prefix))
            for file in pathlib.Path(prefix).parent.glob(f"{_name(prefix)}.*"):
                file.rename(file.with_name(f"damaged-{file.name}"))

    def save(self, wait=True):
        """Saves everything, as of the model's iteration.

        Args:
            wait: whether the files are there when it returns. If not, a thread writes
                them while training goes on; what goes wrong with it is raised by the
                next call, or by `settle`.
        """
        self.settle()
        number = self._model.iteration
        self._checkpoint.save_counter.assign(number)
        snapshot, prefix = Snapshot(self._checkpoint), self._folder / f"ckpt-{number}"
        if self._is_chief:
            self._writing = self._writer.submit(self._replace, snapshot, prefix)
        if wait:
            self.settle()

    def settle(self, wait=True):
        """Waits for what is being written, or only looks; raises what went wrong."""
        if self._writing is not None and (wait or self._writing.done()):
            writing, self._writing = self._writing, None
            writing.result()

    @contextlib.contextmanager
    def settled(self):
        """Context at whose end nothing is being written, whatever ends it."""
        try:
            yield
        except BaseException:
            try:
                self.settle()
            except Exception as error:  # What ended the context is what is told.
                logging.warning("*** A checkpoint was not written: %s ***", error)
            raise
        self.settle()

    def _replace(self, snapshot, prefix):
        """Writes a checkpoint, and drops those that are not kept."""
        folder = self._folder
        self._write(snapshot, prefix)
        kept = _numbered(folder, "ckpt")
        # TensorFlow's own list of them, for its own tools.
        lines = [f'all_model_checkpoint_paths: "{_name(p)}"' for p in kept[-self._keep :]]
        lines = [f'model_checkpoint_path: "{_name(kept[-1])}"', *lines]
        files.write(folder / "checkpoint", "\n".join(lines) + "\n")
        for old in kept[: -self._keep]:
            pathlib.Path(f"{old}.index").unlink()
        self._clear()

    def _write(self, snapshot, prefix, **texts):
        """Writes a checkpoint whole or not at all.

        Args:
            snapshot: `Snapshot`.
            prefix: path without the endings.
            **texts: ending -> contents of files that belong to it.

        Raises:
            TroubleError: if somebody has deleted or moved the folder, which TensorFlow
                would make again, without the run's other files.
        """
        place = prefix.with_name(f"{prefix.name}_temp")
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError
            snapshot.write(str(place / prefix.name))
            for ending, text in texts.items():
                files.write(place / f"{prefix.name}.{ending}", text)
            # The index makes it a checkpoint: it comes last.
            for file in sorted(place.iterdir(), key=lambda file: file.suffix == ".index"):
                os.replace(file, prefix.parent / file.name)
        except (FileNotFoundError, tf.errors.NotFoundError) as error:
            raise files.TroubleError(f"{self._folder} is gone.") from error
        except tf.errors.OutOfRangeError as error:
            # So TensorFlow calls a file that may not grow so large, and Keras the end
            # of the data. A full disk is this error.
            said = error.node_def, error.op, error.message
            raise tf.errors.ResourceExhaustedError(*said) from error
        finally:  # A full disk needs the space.
            shutil.rmtree(place, ignore_errors=True)

    def _clear(self):
        """Deletes what was half written, or half deleted, when a kill came."""
        if not self._is_chief:
            return
        for half_written in self._folder.rglob("*_temp"):
            shutil.rmtree(half_written, ignore_errors=True)
        for file in self._folder.glob("ckpt-*.data-*"):
            if not file.with_name(f"{file.name.partition('.')[0]}.index").exists():
                file.unlink()

    def last_iteration(self):
        """Iteration of the newest checkpoint, once that is written; None without one."""
        self.settle()
        prefix = newest(self._folder)
        return iteration_of(prefix) if prefix else None

    def save_best(self, chosen_by):
        """Saves the T to translate with as the best so far, then drops the one before.

        Args:
            chosen_by: name of the metric, for `best_is_chosen_by`.
        """
        self.settle()
        prefix = self._folder / "best" / f"transformer-{self._model.iteration}"
        chosen = json.dumps({"chosen_by": chosen_by}) + "\n"
        snapshot = Snapshot(self._best())
        if not self._is_chief:
            return
        self._write(snapshot, prefix, json=chosen)
        for file in prefix.parent.iterdir():
            if not file.name.startswith(f"{prefix.name}."):
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    def has_best(self):
        """Whether the best T so far is there and whole; a warning if it is not."""
        prefix = newest_best(self._folder)
        if prefix is None:
            logging.warning("*** The best checkpoint is gone from %s. ***", self._folder)
            return False
        if problem := damage(prefix):
            logging.warning("*** %s is damaged: %s ***", prefix, problem)
            return False
        return True

    def load_best(self):
        """Puts the best T so far into the model.

        Returns:
            Its iteration; None, with a warning, if it is not there, or not whole.
        """
        if not self.has_best():
            return None
        prefix = newest_best(self._folder)
        self._best().read(str(paths.literal(prefix))).expect_partial()
        return iteration_of(prefix)

    def _best(self):
        return tf.train.Checkpoint(transformer=self._model.ema_transformer)


def newest_best(folder):
    """Prefix of the best T in a folder of checkpoints; None if there is none.

    A kill can leave two: the later one was the better.
    """
    return next(reversed(_numbered(pathlib.Path(folder) / "best", "transformer")), None)


def iteration_of(prefix):
    """Iteration of a checkpoint, by its name."""
    return int(prefix.rpartition("-")[2])


def newest(folder):
    """Prefix of the newest checkpoint in a folder of them; None if there is none."""
    return next(reversed(_numbered(pathlib.Path(folder), "ckpt")), None)


def _name(prefix):
    return pathlib.PurePath(prefix).name


def _numbered(folder, name):
    """Prefixes `<name>-<iteration>` of the checkpoints in a folder, the oldest first."""
    return [str(folder / f"{name}-{n}") for n in numbers_of_checkpoints(folder, name)]


def best_is_chosen_by(prefix, otherwise):
    """Name of the metric that chose a best T; `otherwise` where nothing says so."""
    try:
        return json.loads(pathlib.Path(f"{prefix}.json").read_text("utf-8"))["chosen_by"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # Or damaged.
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
