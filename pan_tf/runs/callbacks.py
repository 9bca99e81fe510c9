"""Side effects of training, as Keras callbacks.

All of them act at the end of a round and count in iterations, `model.iteration`. Their
order matters: the guard looks first, logging closes its window before a checkpoint is
saved, and a validation that finds a new best is part of the next checkpoint.
"""

import resource
import sys
import time

import keras
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from pan_tf import distribution
from pan_tf import progress
from pan_tf.settings import to_text


class EveryIterations(keras.callbacks.Callback):
    """Calls `act(iteration, logs)` in the round that reaches a multiple of `every`.

    A subclass defines `act`.

    Args:
        every: iterations; 0 for never.
        until: iteration at which it acts too, the last one of a run; or None.
    """

    def __init__(self, every, until=None):
        super().__init__()
        self.every, self.until = every, until

    def on_train_batch_end(self, batch, logs=None):
        iteration, step = self.model.iteration, self.model.schedule.minibatches
        if not self.every:
            return
        is_last = self.until is not None and iteration >= self.until
        if is_last or iteration // self.every > (iteration - step) // self.every:
            self.act(iteration, logs)


class MetricsLog(EveryIterations):
    """Means over a window of iterations, to metrics.jsonl and TensorBoard.

    The open window is part of the run's state, so that a resumed run writes the same
    lines as one that was never stopped.

    Args:
        run: `RunFolder`; None on workers that write nothing.
        state: `RunState`.
        writer: TensorBoard summary writer.
        clock: `Clock`; at its last iteration there is a line too.
        every: iterations.
    """

    def __init__(self, run, state, writer, clock, every):
        super().__init__(every, clock.iterations)
        self.run, self.state, self.writer, self.clock = run, state, writer, clock

    def on_train_batch_end(self, batch, logs=None):
        for name, value in logs.items():
            entry = self.state.window.setdefault(name, [0.0, 0])
            entry[0] += value
            entry[1] += 1
        super().on_train_batch_end(batch, logs)

    def act(self, iteration, logs):
        row = {k: total / count for k, (total, count) in self.state.window.items()}
        self.state.window = {}
        row |= self.clock.window()
        if self.run is not None:
            self.run.append_metrics({"iteration": iteration, **row})
            with self.writer.as_default(step=iteration):
                for name, value in row.items():
                    tf.summary.scalar(f"train/{name}", value)


class Clock(keras.callbacks.Callback):
    """Time, throughput, waiting for data and memory.

    Args:
        batch_size: images in a minibatch.
        iterations: at which the run ends.
        cost_of_data: function without arguments: seconds of all cores together that
            preparing an example takes; None where that is not known.
    """

    def __init__(self, batch_size, iterations, cost_of_data=None):
        super().__init__()
        self.batch_size, self.iterations = batch_size, iterations
        self._cost_of_data = cost_of_data

    def on_train_begin(self, logs=None):
        self._start = None

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter(), self.model.iteration, self.model.data_wait
        # The first round compiles; it counts as start-up.
        if self._start is None:
            self._start = self._window = now
        self.now = now

    def window(self):
        """Figures since the last call."""
        figures = self._figures(self._window)
        self._window = self.now
        return figures

    def overall(self):
        """Figures since the first round."""
        return self._figures(self._start)

    def seconds(self):
        """Since the first round."""
        return self.now[0] - self._start[0]

    def seconds_left(self):
        """Estimate from the pace since the first round; None before there is one."""
        done = self.now[1] - self._start[1]
        return (self.iterations - self.now[1]) * self.seconds() / done if done else None

    def _figures(self, since):
        seconds, done = self.now[0] - since[0], self.now[1] - since[1]
        if not done:
            return {"memory_gib": peak_memory()}
        figures = {"images_per_second": done * self.batch_size / seconds}
        if self._cost_of_data is not None:
            # Waiting is little where data take cores that training could have had.
            cores = figures["images_per_second"] * self._cost_of_data()
            figures["data_cores"] = cores
        if self.now[2] is not None:  # Where waiting is measured.
            figures["data_wait"] = (self.now[2] - since[2]) / seconds
        return figures | {"memory_gib": peak_memory()}


def peak_memory():
    """Peak memory in GiB: of the first GPU, or of this process without one."""
    if tf.config.list_logical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    # Kibibytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


class ProgressLine(EveryIterations):
    """The line that follows the run: where it is, how fast, how long yet, its losses.

    At most 120 columns: losses are left out where it is full, since TensorBoard and
    metrics.jsonl have all. Where nothing can be rewritten, as in a log file, there is a
    line after the first round, one ten seconds later, and one every so many iterations.

    Args:
        clock: `Clock`.
        every: iterations between lines that are not rewritten.
        verification: `Verification` that goes on meanwhile, or None.
    """

    def __init__(self, clock, every, verification=None):
        super().__init__(every, clock.iterations)
        self.clock, self.verification = clock, verification

    def on_train_begin(self, logs=None):
        self._line, self._next, self._logs = progress.Line(), 0.0, None

    def on_train_batch_end(self, batch, logs=None):
        self._logs = logs
        if self._next is not None and self.clock.seconds() >= self._next:
            later = self.clock.seconds() + 0.5 if self._line.is_live else None
            self._next = 10.0 if self._next == 0.0 and later is None else later
            self._show(logs)
        else:
            super().on_train_batch_end(batch, logs)

    def act(self, iteration, logs):
        if not self._line.is_live:
            self._show(logs)

    def on_train_end(self, logs=None):
        if self._line.is_live and self._logs:
            self._show(self._logs)
        self._line.close()

    def _show(self, logs):
        figures, left = self.clock.overall(), self.clock.seconds_left()
        iteration, iterations = self.model.iteration, self.clock.iterations
        bar = progress.bar(iteration, iterations) + " " if self._line.is_live else ""
        parts = [f"{bar}iteration {iteration}/{iterations}"]
        if left is not None:
            parts.append(f"{figures['images_per_second']:.1f} images/s")
            parts.append(f"{progress.duration(left)} left")
        if figures.get("data_wait", 0.0) > 0.05:
            parts.append(f"waits for data {figures['data_wait']:.0%}")
        parts.append(f"{figures['memory_gib']:.1f} GiB")
        if self.verification and not self.verification.is_done:
            share = self.verification.done / self.verification.total
            parts.append(f"{share:.0%} of files checked")
        # T's losses first.
        for player in "td":
            names = [name for name in logs if name.startswith(f"{player}_")]
            parts += [f"{name} {logs[name]:.3g}" for name in names]
        if not any(name[:2] in ("t_", "d_") for name in logs):
            parts += [f"{name} {value:.3g}" for name, value in logs.items()]
        self._line.show(progress.joined(parts, self._line.width))


class FilesRead(keras.callbacks.Callback):
    """Ends a training where a file turns out unusable; else records the fingerprint.

    Args:
        run: `RunFolder`.
        verification: `Verification` that goes on beside the training.
    """

    def __init__(self, run, verification):
        super().__init__()
        self._run, self._verification = run, verification
        self._is_noted = False

    def on_train_batch_end(self, batch, logs=None):
        self._verification.go_on()  # Not before: it would slow the start.
        if self._verification.is_done:
            self.finish()

    def finish(self):
        """Waits until all files are read; UnusableFilesError as of `Verification`."""
        if not self._is_noted:
            self._run.note_fingerprint(self._verification.fingerprint())
            self._is_noted = True


class Saving(EveryIterations):
    """Checkpoints at an interval, and when the run is asked to stop.

    Args:
        checkpoints: `Checkpoints`.
        guard: `NonFiniteGuard`, asked before each save.
        stop: `StopRequest`.
        every: iterations.
    """

    def __init__(self, checkpoints, guard, stop, every):
        super().__init__(every)
        self.checkpoints, self.guard, self.stop = checkpoints, guard, stop
        self._saved = None

    def on_train_batch_begin(self, batch, logs=None):
        if batch > 0:  # From now on there is something to save.
            self.stop.at_once = False

    def on_train_batch_end(self, batch, logs=None):
        self.checkpoints.settle(wait=False)
        super().on_train_batch_end(batch, logs)
        strategy = self.model.distribute_strategy
        if distribution.any_worker(strategy, self.stop.requested):
            self.stop.requested = True
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._saved != self.model.iteration:
            self.act(self.model.iteration, logs)
        self.checkpoints.settle()

    def act(self, iteration, logs):
        self.guard.check_weights()
        self.checkpoints.save(wait=False)
        self._saved = iteration


def write_hparams(writer, config):
    """Lists the configuration on TensorBoard's HPARAMS page."""
    values = {
        name: to_text(value) if isinstance(value, tuple) else value
        for name, value in vars(config).items()
        if value is not None
    }
    with writer.as_default(step=0):
        hparams.hparams(values)
