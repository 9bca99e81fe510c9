"""Callbacks that watch a training run and say in a sentence what goes wrong with it.

`NonFiniteGuard` stops a run that has diverged, `CollapseGuard` warns of a game that one
player has won. Both name the iteration since when, and the flags to try.
"""

import dataclasses
import math
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from pan_tf.runs.callbacks import EveryIterations


class NonFiniteError(Exception):
    """A loss or a weight is NaN or infinite."""


class NonFiniteGuard(EveryIterations):
    """Stops a run whose losses or weights are NaN or infinite.

    Losses are looked at after every round; weights before a validation, which may keep
    them as the best, and before every save (`check_weights`), so that a run can go on
    from every checkpoint.

    Args:
        config: `Config`, for what to advise and for the interval of validations.
        checkpoints: `Checkpoints`, to name the one to go back to.
        until: the last iteration of the run, at which there is a validation; or None.
    """

    def __init__(self, config, checkpoints, until=None):
        super().__init__(config.validate_every, until)
        self.config, self.checkpoints = config, checkpoints

    def on_train_batch_end(self, batch, logs=None):
        broken = [name for name, value in logs.items() if not math.isfinite(value)]
        if broken:
            raise NonFiniteError(
                f"{', '.join(broken)}: not finite (NaN or Inf) since iteration "
                f"{self.model.iteration}. {self.advice()}"
            )
        super().on_train_batch_end(batch, logs)

    def act(self, iteration, logs):
        self.check_weights()

    def check_weights(self):
        """Raises NonFiniteError if a weight or a moving statistic is not finite."""
        for network in self.model.networks.values():
            finite = _all_finite([v.value for v in network.variables])
            if not finite:
                broken = [
                    v.path
                    for v in network.variables
                    if v.dtype != "string" and not _all_finite([v.value])
                ]
                raise NonFiniteError(
                    f"Weights of the {network.name} ({', '.join(broken[:3])}"
                    f"{', ...' if len(broken) > 3 else ''}): not finite (NaN or Inf) at "
                    f"iteration {self.model.iteration}. {self.advice()}"
                )

    def advice(self):
        """What to go back to, and what to try."""
        last = self.checkpoints.last_iteration()
        kept = "Nothing was saved yet."
        if last is not None:
            kept = f"The checkpoint of iteration {last} is intact."
            if hasattr(self.config, "init_from"):
                kept = (
                    f"{kept[:-1]}: --init_from={self.config.run_dir} begins another run "
                    "with its T."
                )
        if self.config.dtype_policy == "mixed_float16":
            return f"{kept} Try --dtype_policy=mixed_bfloat16, or float32."
        has_d = getattr(self.model, "discriminator", None) is not None
        rates = "--learning_rate" + " or --d_learning_rate" * has_d
        return f"{kept} Try a lower {rates}."


def _all_finite(values):
    flags = [tf.reduce_all(tf.math.is_finite(v)) for v in values if v.dtype.is_floating]
    return bool(tf.reduce_all(flags))


@dataclasses.dataclass(frozen=True)
class Sign:
    """One sign of collapse.

    Attributes:
        name: for the run's state.
        reads: names of the logs that it looks at; without them it says nothing.
        shows: their running means, in that order -> whether it is there.
        sentence: what has happened, with a field a mean.
        advice: which flags to try.
    """

    name: str
    reads: tuple
    shows: Callable
    sentence: str
    advice: str


SIGNS = (
    Sign(
        "discriminator_won",
        ("d_real_probability", "d_generated_probability"),
        lambda real, generated: real - generated > 0.8,
        "D tells targets from outputs almost without fail (mean D(y) {:.2f}, D(T(x)) "
        "{:.2f}), so that T learns little from it any more",
        "a lower --d_learning_rate, --adversarial=non_saturating, --real_label=0.9",
    ),
    Sign(
        "discriminator_lost",
        ("d_generated_probability",),
        lambda generated: generated > 0.9,
        "D takes outputs for targets (mean D(T(x)) {:.2f}), so that T learns nothing "
        "from it",
        "a higher --d_learning_rate, more --d_updates",
    ),
    Sign(
        "hinge_idle",
        ("d_hinge_active",),
        lambda active: active < 0.01,
        "the hinge has been active in {:.1%} of D's updates: the perceptual distance "
        "stands beyond the margin by itself, and D plays no perceptual part",
        "a larger --margin",
    ),
    Sign(
        "hinge_full",
        ("d_hinge_active", "d_perceptual_adversarial"),
        lambda active, short: active > 0.99,
        "the hinge has been active in {:.0%} of D's updates: D does not reach the margin "
        "(it is short of it by {:.2f}), and all its features grow",
        "a smaller --margin",
    ),
    Sign(
        "blank_outputs",
        ("output_contrast",),
        lambda contrast: contrast < 0.25,
        "T's outputs are nearly blank: their contrast is {:.2f} of the targets' (PSNR "
        "and SSIM may rise all the same)",
        "a lower --d_learning_rate, a smaller --margin, --adversarial=non_saturating",
    ),
    Sign(
        "same_outputs",
        ("output_diversity",),
        lambda diversity: diversity < 0.25,
        "T's outputs are nearly the same whatever the source: they differ from each "
        "other {:.2f} times as much as the targets do",
        "a smaller --theta, a lower --d_learning_rate",
    ),
)


class CollapseGuard(keras.callbacks.Callback):
    """Warns, once each, of signs of collapse that stay.

    A sign is looked for in running means of the logs, after every round. When it has
    been there for long enough, a sentence goes to the console, to metrics.jsonl (key
    `warning`) and to TensorBoard. Training goes on.

    Args:
        run: `RunFolder`; None on workers that write nothing.
        state: `RunState`, which keeps `guard` through checkpoints.
        writer: TensorBoard summary writer.
        after: iterations that a sign must have been there for; 0: never warn.
        memory: rounds that a running mean remembers.
    """

    def __init__(self, run, state, writer, after, memory=50):
        super().__init__()
        self.run, self.state, self.writer = run, state, writer
        self.after, self.memory = after, memory

    def on_train_batch_end(self, batch, logs=None):
        if not self.after:
            return
        guard, iteration = self.state.guard, self.model.iteration
        # Checkpoints of 0.1 count them as cycles.
        guard["rounds"] = guard.pop("cycles", guard.get("rounds", 0)) + 1
        means, since = guard.setdefault("means", {}), guard.setdefault("since", {})
        share = max(1.0 / guard["rounds"], 1.0 / self.memory)
        for name, value in logs.items():
            means[name] = means.get(name, 0.0) + share * (value - means.get(name, 0.0))
        for sign in SIGNS:
            values = [means[name] for name in sign.reads if name in logs]
            # Where its player rests, nothing is seen of it.
            if len(values) < len(sign.reads) or not sign.shows(*values):
                since.pop(sign.name, None)
                continue
            start = since.setdefault(sign.name, iteration)
            told = guard.setdefault("told", [])
            if iteration - start >= self.after and sign.name not in told:
                told.append(sign.name)
                self.warn(
                    f"Since iteration {start}, {sign.sentence.format(*values)}. Try "
                    f"{sign.advice}."
                )

    def warn(self, sentence):
        """Says it, and writes it down."""
        if self.run is None:
            return
        logging.warning("*** %s ***", sentence)
        iteration = self.model.iteration
        self.run.append_metrics({"iteration": iteration, "warning": sentence})
        with self.writer.as_default(step=iteration):
            tf.summary.text("warnings", sentence)
