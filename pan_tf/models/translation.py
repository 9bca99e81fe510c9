"""The translation model: T and D, the terms between them, and the one train step.

A *cycle* is one call of `train_step`: `d_updates` updates of D, then `t_updates` of T.
An *iteration* is one minibatch consumed, the unit of every count that a user sees. PAN
gives each update a minibatch of its own, so its cycle of 1 + 3 updates takes four
iterations; with a reused minibatch a cycle is one iteration.
"""

import dataclasses
import functools
import time

import keras
import tensorflow as tf

from pan_tf import images
from pan_tf.losses import DiscriminatorOutput
from pan_tf.losses import Translation


@dataclasses.dataclass(frozen=True)
class UpdateSchedule:
    """Who is updated how often in one cycle, and on which minibatches.

    Attributes:
        d_updates: updates of D, first.
        t_updates: updates of T, after them.
        reuse_minibatch: whether one minibatch serves all updates of the cycle; if not,
            each update has a fresh one.
    """

    d_updates: int = 1
    t_updates: int = 1
    reuse_minibatch: bool = False

    def __post_init__(self):
        if self.d_updates < 0 or self.t_updates < 1:
            raise ValueError(
                "A cycle must have at least one update of T and no negative number of "
                f"D. Received: d_updates={self.d_updates}, t_updates={self.t_updates}."
            )

    @property
    def players(self):
        """Who is updated, in order."""
        return ("discriminator",) * self.d_updates + ("transformer",) * self.t_updates

    @property
    def minibatches(self):
        """Minibatches, hence iterations, in a cycle."""
        return 1 if self.reuse_minibatch else len(self.players)


class Views:
    """A minibatch, and what T and D made of it, through the updates that it serves.

    T's images stay true until T is updated, D's views until D is, or T if they are views
    of T's images. One that serves a single update forgets before anything is used twice.

    Attributes:
        minibatch: image name -> float32 `[B, H, W, 3]` in [-1, 1].
        translation: `Translation` by the present T, or None.
        tape: has recorded how it came about.
        seen: D's views of the minibatch's own images that a new translation starts with.
        gradients: of the last update.
    """

    def __init__(self, minibatch):
        self.minibatch = minibatch
        self.gradients = []
        self.seen = {}
        self._forget_translation()

    def forget(self, player):
        """Drops what is no longer true once a player has been updated."""
        if player == "transformer":
            seen = self.translation.seen
            self.seen = {name: seen[name] for name in seen if name in self.minibatch}
            self._forget_translation()
        else:
            self.seen = {}
            self.translation.seen.clear()

    def _forget_translation(self):
        self.translation = None
        self.tape = tf.GradientTape(watch_accessed_variables=False)


class TranslationModel(keras.Model):
    """Image transformation network T, trained against a discriminator D.

    Build it, and its optimizers, inside the strategy's scope.

    Args:
        transformer: functional model, image -> image.
        discriminator: functional model, `{"source", "image"}` ->
            `{"logits", "features"}`; None if no term looks at D.
        terms: list of `LossTerm`.
        schedule: `UpdateSchedule`.
        average: a copy of T that follows it as an exponential moving average, or None.
        average_decay: share of the average that a cycle keeps, once it has warmed up.

    Attributes:
        deployed: the T to translate with: the average if there is one.
    """

    def __init__(
        self,
        transformer,
        discriminator,
        terms,
        schedule,
        average=None,
        average_decay=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.transformer = transformer
        self.deployed = transformer
        self.average_decay = average_decay
        if average is not None:
            average.trainable = False
            average.set_weights(transformer.get_weights())
            self.deployed = average
        self.discriminator = discriminator
        self.terms = tuple(terms)
        self.schedule = schedule
        self.d_inputs = sorted({name for term in terms for name in term.d_inputs})
        self.iteration = 0  # Minibatches consumed so far.
        self.data_wait = 0.0  # Seconds spent waiting for them.
        self.built = True  # T and D are functional, hence built.

    def call(self, source, training=False):
        network = self.transformer if training else self.deployed
        return network(source, training=training)

    @functools.cached_property
    def translate_pixels(self):
        """T at test time, compiled: float32 `[B, H, W, 3]` in [-1, 1] -> uint8."""

        @tf.function(reduce_retracing=True)
        def translate(source):
            return images.to_uint8(self.deployed(source, training=False))

        return translate

    def compile(self, t_optimizer, d_optimizer, jit_compile=False):
        """Binds the optimizers.

        Args:
            t_optimizer: updates T.
            d_optimizer: updates D; None without one.
            jit_compile: whether XLA compiles the cycle; on one replica only, since it
                cannot compile an all-reduce of statistics.
        """
        # Optimizer None: Keras would make one that nobody uses.
        super().compile(optimizer=None, jit_compile=jit_compile)
        self.t_optimizer, self.d_optimizer = t_optimizer, d_optimizer
        # Now: under a strategy slots must exist before tracing, and a checkpoint
        # restores only what exists.
        t_optimizer.build(self.transformer.trainable_variables)
        if self.discriminator is not None:
            d_optimizer.build(self.discriminator.trainable_variables)

    @property
    def players(self):
        """Networks and their optimizers: player -> (network, optimizer)."""
        players = {"transformer": (self.transformer, self.t_optimizer)}
        if self.discriminator is not None:
            players["discriminator"] = (self.discriminator, self.d_optimizer)
        return players

    def train_step(self, batch):
        """One cycle on this replica.

        Args:
            batch: dictionary of float32 `[B, N, H, W, 3]` in [-1, 1], N the schedule's
                `minibatches`; B is this replica's share of the global batch. (The
                batch is the first axis, since that is the one that strategies split.)

        Returns:
            name -> float32 scalar, means over this replica's batch; of a player that
            is updated several times, the mean of its updates.
        """
        logs, views, done = {}, None, []
        for i, player in enumerate(self.schedule.players):
            if views is None or not self.schedule.reuse_minibatch:
                # One update after the other: D's looks at targets wait for nothing that
                # T's updates do, and would all be in memory at once.
                with tf.control_dependencies(done):
                    views = Views({k: tf.identity(v[:, i]) for k, v in batch.items()})
            for name, value in self.update(player, views).items():
                logs.setdefault(name, []).append(value)
            done = views.gradients
        if self.deployed is not self.transformer:
            self._follow()
        return {name: tf.add_n(v) / len(v) for name, v in logs.items()}

    def _follow(self):
        """Moves the average towards T, moving statistics included.

        The decay warms up, as in `tf.train.ExponentialMovingAverage`: until there is
        something to remember the average is close to T.
        """
        cycles = tf.cast(self.t_optimizer.iterations.value, tf.float32)
        cycles /= self.schedule.t_updates
        decay = tf.minimum(self.average_decay, (1.0 + cycles) / (10.0 + cycles))
        pairs = zip(self.deployed.variables, self.transformer.variables, strict=True)
        for average, variable in pairs:
            if "float" in variable.dtype:  # Not the seeds of dropout.
                average.assign(variable + decay * (average - variable))

    def update(self, player, views):
        """One update of one player.

        Args:
            player: "transformer" or "discriminator".
            views: `Views` of the minibatch. What still holds of it after this update is
                left there for the next one.

        Returns:
            name -> float32 scalar: the player's losses, and what is worth watching.
        """
        logs = self.differentiate(player, views)
        _, optimizer = self.players[player]
        gradients = _reduced(views.gradients, optimizer)
        optimizer.apply(gradients, self._variables_of(player))
        views.forget(player)
        return logs

    def translate(self, minibatch):
        source = minibatch["source"]
        output = self.transformer(source, training=True)
        return Translation(source, minibatch["target"], output)

    def look(self, translation):
        """Lets D see the images that the terms name, if it has not.

        Each in a call of its own: batch statistics are those of the real or of the
        generated images, never of a mixture.
        """
        for name in self.d_inputs:
            if name not in translation.seen:
                seen = self.discriminator(
                    {"source": translation.source, "image": getattr(translation, name)},
                    training=True,
                )
                translation.seen[name] = DiscriminatorOutput(**seen)
        return translation

    def losses_of(self, player, translation):
        """The player's side of every term: `t_<term>` or `d_<term>` -> scalar."""
        return {
            f"{player[0]}_{term.name}": term.loss(player, translation)
            for term in self.terms
            if term.concerns(player)
        }

    def _variables_of(self, player):
        return getattr(self, player).trainable_variables

    def differentiate(self, player, views):
        """Puts the gradients of one player's losses into `views`; returns the logs."""
        variables = [variable.value for variable in self._variables_of(player)]
        _, optimizer = self.players[player]
        translation = self._translation_of(views, player)
        # Nothing is recorded but what depends on this player's variables: in D's update
        # T's forward pass is not, nor in T's update D's look at the target.
        tape = views.tape
        if player == "discriminator":
            tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            tape.watch(variables)
            self.look(translation)
            losses = self.losses_of(player, translation)
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            # Optimizers SUM gradients over replicas, so each contributes a share.
            loss = tf.add_n(list(losses.values())) / replicas
            scaled = optimizer.scale_loss(loss)
        views.gradients = tape.gradient(scaled, variables)
        if player == "transformer":
            return losses | variation(translation)
        for term in self.terms:
            losses.update(term.diagnostics(translation))
        return losses

    def _translation_of(self, views, player):
        """The present T's translation; recorded if an update of T is to use it."""
        if views.translation is None:
            with views.tape:
                # On a reused minibatch D's update makes the pass for T's as well.
                if player == "transformer" or self.schedule.reuse_minibatch:
                    views.tape.watch([v.value for v in self._variables_of("transformer")])
                views.translation = self.translate(views.minibatch)
            views.translation.seen.update(views.seen)
        return views.translation

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: everything is built. Keras would draw a batch to see, and reduce it in
        a way that fails under MultiWorkerMirroredStrategy (keras-team/keras#20585)."""

    def make_train_function(self, force=False):
        """The function that `fit` calls once a cycle; Keras' documented hook.

        Against Keras' own: `next` is outside the compiled function, so that waiting for
        data can be measured, and losses are reduced by `strategy.reduce`, which also
        works under MultiWorkerMirroredStrategy, where Keras' reduction fails.
        """
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy
        step = self.train_step
        if self.jit_compile:
            step = tf.function(step, jit_compile=True)

        @tf.function
        def cycle(batch):
            logs = strategy.run(step, args=(batch,))
            mean = tf.distribute.ReduceOp.MEAN
            return {k: strategy.reduce(mean, v, axis=None) for k, v in logs.items()}

        def train_function(iterator):
            started = time.perf_counter()
            batch = next(iterator)
            self.data_wait += time.perf_counter() - started
            logs = cycle(batch)
            self.iteration += self.schedule.minibatches
            return logs

        self.train_function = train_function


def variation(translation):
    """How much outputs vary against targets; 1 is as much, 0 is collapse.

    Returns:
        `output_contrast`, of the standard deviations within an image, and
        `output_diversity`, of those between images: each the ratio of means over the
        *replica's* batch, float32 scalar. A batch of one has no diversity; it gives 1.
    """

    def ratio(*axes):
        deviations = [
            tf.reduce_mean(tf.math.reduce_std(tf.cast(x, tf.float32), axes))
            for x in (translation.output, translation.target)
        ]
        # A level of 8 bits on both sides: no target is too flat to divide by.
        output, target = (deviation + 1.0 / 127.5 for deviation in deviations)
        return output / target

    return {"output_contrast": ratio(1, 2), "output_diversity": ratio(0)}


def _reduced(gradients, optimizer):
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
