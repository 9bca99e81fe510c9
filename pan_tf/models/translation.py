"""The translation model: T and D, the terms between them, and the one train step.

A *round* is one call of `train_step`: `d_updates` updates of D, then `t_updates` of T,
or the other way round.
An *iteration* is one minibatch consumed, the unit of every count that a user sees. PAN
gives each update a minibatch of its own, so its round of 1 + 3 updates takes four
iterations; with a reused minibatch a round is one iteration.
"""

import functools
import time

import keras
import tensorflow as tf

from pan_tf import images
from pan_tf import tracing
from pan_tf.losses import DiscriminatorOutput
from pan_tf.losses import Translation
from pan_tf.losses import check_names
from pan_tf.models import accumulation
from pan_tf.models import updates
from pan_tf.models.recomputation import Recomputed
from pan_tf.models.updates import MinibatchCache
from pan_tf.models.variation import over_directions
from pan_tf.models.variation import variation


class TranslationModel(keras.Model):
    """Image transformation network T, trained against a discriminator D.

    Build it, and its optimizers, inside the strategy's scope.

    Args:
        transformer: functional model, image -> image.
        discriminator: functional model, `{"source", "image"}` ->
            `{"logits", "features"}`; None if no term looks at D.
        terms: list of `LossTerm`.
        schedule: `UpdateSchedule`.
        ema_transformer: a copy of T that becomes its exponential moving average, or None.
        ema_decay: share of the average that a round keeps, once it has warmed up.
        encoder: frozen functional model whose features of an image D is given as
            `image`, in place of the image; or None.
        image_pool: `layers.ImagePool` of T's outputs, or None.
        augmentation: `layers.DiscriminatorAugmentation` of what D sees, or None.
        course: `Course`, or None where nothing changes on the way.
        recompute: whether backward passes compute activations again, which need not be
            kept then; the same numbers.

    Attributes:
        ema_transformer: the T to translate with: the average, or T itself without one.

    Raises:
        ValueError: if two terms have one name.
    """

    def __init__(
        self,
        transformer,
        discriminator,
        terms,
        schedule,
        ema_transformer=None,
        ema_decay=0.0,
        encoder=None,
        image_pool=None,
        augmentation=None,
        course=None,
        recompute=False,
        **kwargs,
    ):
        check_names(terms)
        super().__init__(**kwargs)
        self.transformer = transformer
        self.ema_transformer = ema_of(ema_transformer, transformer)
        self.ema_decay = ema_decay
        self.discriminator = discriminator
        self.encoder = encoder
        self.image_pool = image_pool
        self.augmentation, self.course = augmentation, course
        self.terms = tuple(term.with_state() for term in terms)
        self.schedule = schedule
        self._recomputed = {} if recompute else None
        self.iteration = 0  # Minibatches consumed so far.
        self.data_wait = 0.0  # Seconds spent waiting for them.
        self.built = True  # T and D are functional, hence built.

    def call(self, source, training=False):
        network = self.transformer if training else self.ema_transformer
        return network(source, training=training)

    @functools.cached_property
    def translate_pixels(self):
        """T at test time, compiled: float32 `[B, H, W, C]` in [-1, 1] -> uint8."""
        return make_translate_function(self.ema_transformer)

    translate_pixels_inversely = None  # Likewise its inverse, where there is one.

    def test_step(self, batch):
        """Refused: what Keras would measure needs one loss, which a game has not."""
        raise ValueError(
            "`evaluate` of a translation model is pan_tf.evaluate, for a run folder; or "
            "compile `model.ema_transformer` with pan_tf.metrics and evaluate that."
        )

    def get_config(self):
        """Refused: a system is kept by its run folder."""
        raise ValueError(
            "A translation model is not saved whole: `model.ema_transformer.save` saves "
            "the T to translate with, `model.save_weights` all networks, and a run "
            "folder everything."
        )

    def compile(self, t_optimizer, d_optimizer, jit_compile=False):
        """Binds the optimizers.

        Args:
            t_optimizer: updates T.
            d_optimizer: updates D; None without one.
            jit_compile: whether XLA compiles the round; on one replica only, since it
                cannot compile an all-reduce of statistics.
        """
        # Optimizer None: Keras would make one that nobody uses.
        super().compile(optimizer=None, jit_compile=jit_compile)
        self.t_optimizer, self.d_optimizer = t_optimizer, d_optimizer
        # Now: under a strategy slots must exist before tracing, and a checkpoint
        # restores only what exists.
        for player, optimizer in self.players.items():
            optimizer.build(self.variables_of(player))

    @property
    def players(self):
        """Who is trained, by what: player -> optimizer."""
        players = {"transformer": self.t_optimizer}
        if self.discriminator is not None:
            players["discriminator"] = self.d_optimizer
        return players

    def networks_of(self, player):
        """What a player is made of: name -> network. A topology may add to it."""
        return {player: getattr(self, player)}

    @property
    def networks(self):
        """All networks that are trained: name -> network."""
        return {
            k: v for player in self.players for k, v in self.networks_of(player).items()
        }

    @property
    def emas(self):
        """The Ts to translate with: name in checkpoints -> (network, the T that it is or
        is the average of)."""
        return {"deployed": (self.ema_transformer, self.transformer)}

    @property
    def image_pools(self):
        """Outputs of the past: name in checkpoints -> `layers.ImagePool`, or None."""
        return {"memory": self.image_pool}

    def saved_parts(self):
        """What a checkpoint holds beside the run's state: name -> part."""
        return {
            "seeds": [v for v in self.variables if "seed" in v.path],
            **{name: network for name, (network, _) in self.emas.items()},
            **self.networks,
            **{name: pool for name, pool in self.image_pools.items() if pool is not None},
            **{f"{name[0]}_optimizer": each for name, each in self.players.items()},
            **{name: variable.value for name, variable in self._controlled().items()},
        }

    def _controlled(self):
        """What follows the training by itself: name in checkpoints -> variable."""
        found = {
            f"{term.name}_{name}": variable
            for term in self.terms
            for name, variable in term.state().items()
        }
        if self.augmentation is not None:
            found |= self.augmentation.weights_by_name()
        return found

    @property
    def images(self):
        """Names of the images that are made because a term names them."""
        return {name for term in self.terms for name in term.images}

    def variables_of(self, player):
        """What an update of a player changes."""
        networks = self.networks_of(player).values()
        return [v for network in networks for v in network.trainable_variables]

    def train_step(self, batch, iteration=None):
        """One round on this replica.

        Args:
            batch: dictionary of float32 `[B, N, H, W, C]` in [-1, 1], N the schedule's
                `minibatches`; B is this replica's share of the global batch. (The
                batch is the first axis, since that is the one that strategies split.)
            iteration: int64 scalar, for what D's terms weigh by then; None for all.

        Returns:
            name -> float32 scalar, means over this replica's batch; of a player that
            is updated several times, the mean of its updates.
        """
        share = None
        if self.course is not None and iteration is not None:
            share = self.course.d_share(iteration)
        terms = [(t, share if t.d_inputs("transformer") else None) for t in self.terms]
        return self._round(batch, self.schedule.players, terms)

    def train_alone(self, batch):
        """One round in which D takes no part; as `train_step`."""
        terms = [(t, None) for t in self.terms if not t.d_inputs("transformer")]
        return self._round(batch, self.schedule.players_alone, terms)

    def _round(self, batch, players, terms):
        if not isinstance(batch, dict):
            raise ValueError(
                "A translation model is trained by pan_tf.train, or on batches of "
                '{"source", "target"} [B, N, H, W, C], N minibatches of a round. '
                f"Received: {type(batch).__name__}."
            )
        logs, caches, done = [], [], []
        each = self.schedule.accumulate
        update, caches_of = self.update, functools.partial(self._caches_of, batch, terms)
        if each > 1 and accumulation.is_possible():
            loop = accumulation.Accumulation(self, batch, terms)
            update = functools.partial(update, accumulate=loop)
            caches_of = loop.caches_of
        for i, player in enumerate(players):
            if not caches or not self.schedule.reuse_minibatch:
                first = 0 if self.schedule.reuse_minibatch else i * each
                # One update after the other: D's looks at targets wait for nothing that
                # T's updates do, and would all be in memory at once.
                with tf.control_dependencies(done):
                    caches = caches_of(first)
            logs.append(update(player, *caches))
            done = caches[-1].gradients
        self._update_emas()
        return updates.means(logs)

    def _caches_of(self, batch, terms, first):
        """The minibatches of an update, from a number on, as nobody has seen them."""
        numbers = range(first, first + self.schedule.accumulate)
        return [self._cache_of(batch, number, terms) for number in numbers]

    def _cache_of(self, batch, number, terms):
        minibatch = {k: tf.identity(v[:, number]) for k, v in batch.items()}
        drawn = None
        if self.augmentation is not None:
            drawn = self.augmentation.draw(tf.shape(minibatch["source"])[0])
        return MinibatchCache(minibatch, drawn, terms)

    def _update_emas(self):
        """Moves each average towards its T, moving statistics included.

        The decay warms up, as in `tf.train.ExponentialMovingAverage`: until there is
        something to remember the average is close to T.
        """
        rounds = tf.cast(self.t_optimizer.iterations.value, tf.float32)
        rounds /= self.schedule.t_updates
        if self.course is not None:  # In rounds of T alone it is updated more often.
            rounds = self.course.rounds(rounds, self.schedule)
        decay = tf.minimum(self.ema_decay, (1.0 + rounds) / (10.0 + rounds))
        for average, network in self.emas.values():
            if average is network:
                continue
            for mean, variable in zip(average.variables, network.variables, strict=True):
                if "float" in variable.dtype:  # Not the seeds of dropout.
                    mean.assign(variable + decay * (mean - variable))

    def update(self, player, *caches, accumulate=None):
        """One update of one player, by the mean of its minibatches' gradients.

        Args:
            player: "transformer" or "discriminator".
            caches: a `MinibatchCache` each. What still holds of it after this update is
                left there for the next one.
            accumulate: as the method of that name, for these caches; None: the method.

        Returns:
            name -> float32 scalar: the player's losses, and what is worth watching;
            means over the minibatches.
        """
        logs, gradients = (accumulate or self.accumulate)(player, caches)
        optimizer = self.players[player]
        optimizer.apply(updates.reduced(gradients, optimizer), self.variables_of(player))
        for cache in caches:
            cache.forget(player)
            if not self.schedule.keeps_passes:
                cache.forget("transformer")
        return logs

    def accumulate(self, player, caches):
        """Means over minibatches: (name -> float32 scalar, list of gradients)."""
        logs, gradients = [], None
        for cache in caches:
            # One after the other: each has the memory for itself.
            with updates.after(gradients):
                logs.append(self.differentiate(player, cache))
                own = cache.gradients
                gradients = own if gradients is None else updates.sums(gradients, own)
        if len(caches) > 1:
            gradients = updates.shares(gradients, len(caches))
        return updates.means(logs), gradients

    def translate(self, minibatch):
        """A minibatch by the present T: list of `Translation`, one a direction."""
        source, target = minibatch["source"], minibatch["target"]
        return [self._translation(self.transformer, source, target)]

    def _translation(self, transformer, source, target):
        output = self.pass_through(transformer, source)
        translation = Translation(source, target, output)
        if "identity" in self.images:
            translation.identity = self.pass_through(transformer, target)
        return translation

    def pass_through(self, network, inputs, training=True):
        """What a network makes of its inputs, in a pass of training."""
        if self._recomputed is None:
            return network(inputs, training=training)
        if id(network) not in self._recomputed:
            self._recomputed[id(network)] = Recomputed(network, training)
        return self._recomputed[id(network)](inputs)

    def discriminators(self):
        """For each direction: (D, `layers.ImagePool` of its outputs)."""
        return [(self.discriminator, self.image_pool)]

    def _terms_of(self, player, terms):
        """Those that a player minimises: [(term, share of its weight, or None)]."""
        terms = [(term, None) for term in self.terms] if terms is None else terms
        return [
            (term, share if player == "transformer" else None)
            for term, share in terms
            if term.concerns(player)
        ]

    def discriminate(self, player, translations, terms=None):
        """Lets D see the images that the terms name for a player, if it has not.

        Each in a call of its own: batch statistics are those of the real or of the
        generated images, never of a mixture.
        """
        terms = self._terms_of(player, terms)
        names = sorted({name for term, _ in terms for name in term.d_inputs(player)})
        for translation, judge in zip(translations, self.discriminators(), strict=True):
            discriminator, image_pool = judge
            if "pooled" in names and translation.pooled is None:
                translation.pooled = image_pool(tf.stop_gradient(translation.output))
            for name in names:
                if name not in translation.d_outputs:
                    given = {
                        "source": self._shown(translation, "source"),
                        "image": self._encoded(translation, name),
                    }
                    seen = self.pass_through(discriminator, given)
                    translation.d_outputs[name] = DiscriminatorOutput(**seen)
        return translations

    def _encoded(self, translation, name):
        """What D is given of an image."""
        if self.encoder is None:
            return self._shown(translation, name)
        if name not in translation.encoded:
            image = self._shown(translation, name)
            encoded = self.pass_through(self.encoder, image, training=False)
            translation.encoded[name] = encoded
        return translation.encoded[name]

    def _shown(self, translation, name):
        """An image as D, or its encoder, is shown it."""
        image = getattr(translation, name)
        if self.augmentation is None or translation.drawn is None:
            return image
        return self.augmentation(image, translation.drawn, name=name)

    def losses_of(self, player, translations, terms=None):
        """The player's side of every term, summed over directions.

        Args:
            player: "transformer" or "discriminator".
            translations: one a direction, as D has seen them.
            terms: as of `MinibatchCache`.

        Returns:
            `t_<term>` or `d_<term>` -> scalar.
        """
        losses = {}
        for term, share in self._terms_of(player, terms):
            loss = tf.add_n([term.loss(player, each) for each in translations])
            losses[f"{player[0]}_{term.name}"] = loss if share is None else share * loss
        return losses

    def differentiate(self, player, cache):
        """Puts the gradients of one player's losses into `cache`; returns the logs."""
        variables = [variable.value for variable in self.variables_of(player)]
        optimizer = self.players[player]
        # What T makes for its own update must be recorded; D takes what there is.
        if player == "transformer" or cache.translations is None:
            cache.refresh(functools.partial(self._translate_for, player))
        # Nothing is recorded but what depends on this player's variables: in D's update
        # T's forward pass is not, nor in T's update D's look at the target.
        tape = cache.tape
        if player == "discriminator":
            tape = tf.GradientTape(watch_accessed_variables=False)
            for translation in cache.translations:
                translation.d_outputs.clear()  # On another tape, without D's variables.
        with tape:
            tape.watch(variables)
            translations = self.discriminate(player, cache.translations, cache.terms)
            losses = self.losses_of(player, translations, cache.terms)
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            # Optimizers SUM gradients over replicas, so each contributes a share.
            loss = tf.add_n(list(losses.values())) / replicas
            scaled = optimizer.scale_loss(loss)
        cache.gradients = tape.gradient(scaled, variables)
        if player == "transformer":
            return losses | over_directions(variation, translations, tf.minimum)
        for term in self.terms:
            numbers = over_directions(
                term.diagnostics, translations, lambda a, b: (a + b) / 2
            )
            term.follow(numbers)
            for name, value in numbers.items():
                # A second term of a kind keeps its numbers apart by its name.
                losses[f"{name}_{term.name}" if name in losses else name] = value
        if self.augmentation is not None and "d_real_sign" in losses:
            # One D, one augmentation: of several such terms the first is followed.
            batch = tf.shape(translations[0].source)[0]
            losses |= self.augmentation.follow(losses["d_real_sign"], batch)
        return losses

    def _translate_for(self, player, cache):
        """Translations of a minibatch; recorded if an update of T is to use them."""
        with cache.tape:
            # On a reused minibatch D's update makes the pass for T's as well.
            if player == "transformer" or self.schedule.keeps_passes:
                cache.tape.watch([v.value for v in self.variables_of("transformer")])
            return self.translate(cache.minibatch)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: everything is built. Keras would draw a batch to see, and reduce it in
        a way that fails under MultiWorkerMirroredStrategy (keras-team/keras#20585)."""

    def make_train_function(self, force=False):
        """The function that `fit` calls once a round; Keras' documented hook.

        Against Keras' own: `next` is outside the compiled function, so that waiting for
        data can be measured, and losses are reduced by `strategy.reduce`, which also
        works under MultiWorkerMirroredStrategy, where Keras' reduction fails.
        """
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy

        def on_replicas(step):
            if self.jit_compile:
                step = tracing.function(step, jit_compile=True)

            @tracing.function
            def play_round(*args):
                logs = strategy.run(step, args=args)
                mean = tf.distribute.ReduceOp.MEAN
                return {k: strategy.reduce(mean, v, axis=None) for k, v in logs.items()}

            return play_round

        alone, together = map(on_replicas, (self.train_alone, self.train_step))

        def train_function(iterator):
            started = time.perf_counter()
            batch = next(iterator)
            self.data_wait += time.perf_counter() - started
            if self.course is None:
                logs = together(batch)
            elif self.course.is_alone(self.iteration):
                logs = alone(batch)
            else:
                logs = together(batch, tf.constant(self.iteration, tf.int64))
            self.iteration += self.schedule.minibatches
            return logs

        self.train_function = train_function


def make_translate_function(network):
    """A T at test time, compiled: float32 `[B, H, W, C]` in [-1, 1] -> uint8."""

    @tracing.function(reduce_retracing=True)
    def translate(source):
        return images.to_uint8(network(source, training=False))

    return translate


def ema_of(copy, network):
    """A copy of a network, to become its moving average; the network itself for None."""
    if copy is None:
        return network
    copy.trainable = False
    copy.set_weights(network.get_weights())
    return copy
