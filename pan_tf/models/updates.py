"""Who is updated when, what updates of one minibatch share, and how gradients add up."""

import contextlib
import dataclasses

import keras
import tensorflow as tf

from pan_tf import tables


@dataclasses.dataclass(frozen=True)
class UpdateSchedule:
    """Who is updated how often in one round, and on which minibatches.

    Attributes:
        d_updates: updates of D.
        t_updates: updates of T.
        reuse_minibatch: whether one minibatch serves all updates of the round; if not,
            each update has a fresh one.
        t_first: whether T is updated before D, which then judges, of a reused minibatch,
            what T made of it before its last update.
        accumulate: minibatches of an update, which takes the mean of their gradients.
    """

    d_updates: int = 1
    t_updates: int = 1
    reuse_minibatch: bool = False
    t_first: bool = False
    accumulate: int = tables.later(1)

    def __post_init__(self):
        for name in ("d_updates", "t_updates", "accumulate"):
            if type(value := getattr(self, name)) is not int:
                raise ValueError(f"{name} must be a whole number. Received: {value!r}.")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be 1 or more. Received: {self.accumulate}")
        if self.d_updates < 0 or self.t_updates < 1:
            raise ValueError(
                "A round must have at least one update of T and no negative number of "
                f"D. Received: d_updates={self.d_updates}, t_updates={self.t_updates}."
            )

    @property
    def players(self):
        """Who is updated, in order."""
        d, t = ("discriminator",) * self.d_updates, ("transformer",) * self.t_updates
        return t + d if self.t_first else d + t

    @property
    def players_alone(self):
        """Who is updated where T is trained alone, on as many minibatches."""
        return ("transformer",) * (
            self.t_updates if self.reuse_minibatch else len(self.players)
        )

    @property
    def minibatches(self):
        """Minibatches, hence iterations, in a round."""
        return self.accumulate * (1 if self.reuse_minibatch else len(self.players))

    @property
    def keeps_passes(self):
        """Whether T's pass for an update of D serves its own update too.

        Several minibatches would have theirs in memory at once.
        """
        return self.reuse_minibatch and self.accumulate == 1


@dataclasses.dataclass(frozen=True)
class Course:
    """What changes in a training of known length on its way, in shares of that length.

    Attributes:
        alone: share, from the beginning, in which T is trained alone (`--warm_up`), on
            the terms in which D takes no part. D has nothing to teach a T that has not
            learnt the layout, and costs as much as later.
        fade: share, after that, over which the terms with D grow in T's objective from 0
            to their weights. D is trained from the beginning of it.
        decay: share, at the end, over which both learning rates fall linearly to 0, D's
            until its own last update.
        settle: share, at the end, in which T is trained alone again. What D has taught
            stays; what its last moves left in the outputs goes.
        iterations: the length; None in a row, which is for any.

    Raises:
        ValueError: if a share is not in [0, 1], or no training with D is left.
    """

    alone: float = 0.0
    fade: float = 0.0
    decay: float = 0.0
    settle: float = tables.later(0.0)
    iterations: int | None = None

    def __post_init__(self):
        shares = self.alone, self.fade, self.decay, self.settle
        if min(shares) < 0.0 or max(shares) > 1.0:
            raise ValueError(f"Shares of a course must be in [0, 1]. Received: {self}.")
        if self.alone + self.fade + self.settle >= 1.0:
            raise ValueError(
                "--warm_up, --fade and --settle must leave a share of the training to D: "
                f"their sum must be below 1. Received: warm_up={self.alone}, "
                f"fade={self.fade}, settle={self.settle}."
            )

    @property
    def alone_until(self):
        """Iteration from which D takes part."""
        return round(self.alone * self.iterations)

    @property
    def settles_from(self):
        """Iteration from which T is alone again."""
        return self.iterations - round(self.settle * self.iterations)

    def is_alone(self, iteration):
        """Whether T is trained alone in the round that begins at an iteration."""
        return not self.alone_until <= iteration < self.settles_from

    @property
    def decay_start(self):
        """Iteration from which learning rates fall."""
        return self.iterations - round(self.decay * self.iterations)

    def d_share(self, iteration):
        """What the terms with D weigh in T's objective, of their weights.

        Args:
            iteration: int, or a tensor of one.

        Returns:
            float32 scalar in [0, 1].
        """
        if not self.fade:
            return tf.constant(1.0)
        since = tf.cast(iteration - self.alone_until, tf.float32)
        return tf.clip_by_value(since / (self.fade * self.iterations), 0.0, 1.0)

    def rounds(self, updates, schedule):
        """How many rounds there have been, by T's updates over those of a game's round.

        Args:
            updates: float32 scalar.
            schedule: `UpdateSchedule`.
        """
        each = len(schedule.players_alone) / schedule.t_updates
        alone, settles = self._first_rounds(schedule)
        together = updates - alone * (each - 1.0)
        again = settles + (together - settles) / each
        # Lines that cross where one part gives way to the next.
        before = tf.maximum(updates / each, together)
        return tf.minimum(before, tf.maximum(again, settles))

    def _first_rounds(self, schedule):
        """Numbers of the first round with D, and of the first one after D."""
        starts = self.alone_until, self.settles_from
        return [-(-iteration // schedule.minibatches) for iteration in starts]

    def updates(self, player, schedule):
        """How many updates of a player there are at an iteration.

        Args:
            player: "transformer" or "discriminator".
            schedule: `UpdateSchedule`.

        Returns:
            iteration -> float.
        """
        round_ = schedule.minibatches
        together = schedule.players.count(player) / round_
        alone = schedule.players_alone.count(player) / round_
        # A round that has begun ends.
        begin, end = (number * round_ for number in self._first_rounds(schedule))

        def updates(iteration):
            with_d = max(0, min(iteration, end) - begin)
            return alone * (iteration - with_d) + together * with_d

        return updates


class MinibatchCache:
    """A minibatch, and what T and D made of it, through the updates that it serves.

    T's images stay true until T is updated, D's outputs until D is, or T if they are of
    T's images; what a frozen encoder makes of the minibatch's own images stays true.

    Attributes:
        minibatch: image name -> float32 `[B, H, W, C]` in [-1, 1].
        drawn: how D is shown it, see `Translation`; or None.
        terms: [(term, what it weighs in T's objective, as a share of its weight, or
            None)]; None for all terms of the model.
        translations: list of `Translation`, one a direction, by T as it is, or, once it
            has been updated, as it was; or None.
        tape: has recorded how they came about.
        gradients: of the last update.
    """

    def __init__(self, minibatch, drawn=None, terms=None):
        self.minibatch = minibatch
        self.drawn, self.terms = drawn, terms
        self.gradients = []
        self.translations = None
        self._outdated = False
        self.tape = None

    def forget(self, player):
        """Drops what is no longer true once a player has been updated."""
        if player == "transformer":
            self._outdated = True
        else:
            for translation in self.translations:
                translation.d_outputs.clear()
                translation.pooled = None
                # What it made of T's images was outside of T's tape.
                _keep_own(translation.encoded)

    def refresh(self, translate):
        """Lets `translate` make T's images again if T is another by now."""
        if self.translations is not None and not self._outdated:
            return
        before = self.translations or []
        self._outdated = False
        self.tape = tf.GradientTape(watch_accessed_variables=False)
        self.translations = translate(self)
        for new in self.translations:
            new.drawn = self.drawn
        for old, new in zip(before, self.translations, strict=False):
            new.d_outputs.update(_keep_own(old.d_outputs))
            new.encoded.update(_keep_own(old.encoded))


def _keep_own(found):
    """Without what was found of generated images."""
    for name in set(found) - {"source", "target"}:
        del found[name]
    return found


def means(logs):
    """Means of several logs: name -> mean over those that have it."""
    values = {}
    for each in logs:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return {name: tf.add_n(each) / len(each) for name, each in values.items()}


def sums(gradients, others):
    """Adds two lists of gradients, one by one."""
    return [a + b for a, b in zip(gradients, others, strict=True)]


def shares(values, count):
    """Each value divided by a count; `values` is a list, or a dictionary."""
    return tf.nest.map_structure(lambda value: value / count, values)


def after(gradients):
    """A context in whose graph everything waits for gradients; None: for nothing.

    By way of one operation: the graph would have an edge for each gradient of each.
    """
    if gradients is None:
        return contextlib.nullcontext()
    with tf.control_dependencies(gradients):
        done = tf.no_op()
    return tf.control_dependencies([done])


def reduced(gradients, optimizer):
    """Sums gradients over replicas where the optimizer would judge them one by one.

    Under float16 Keras' LossScaleOptimizer looks for NaN on replica 0 only, before the
    sum; with the sum made first, all replicas skip the same steps. `apply` sums N equal
    copies again, hence the division.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1 or not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return gradients
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    return [gradient / replicas for gradient in summed]
