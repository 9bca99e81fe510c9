"""Passes of accumulated minibatches, as a loop over one function a player.

Each in the graph by itself would make tracing and memory grow by the number of them. What
a pass changes goes from pass to pass, and into the variables after the last.
"""

import functools

import keras
import tensorflow as tf

from pan_tf import tracing
from pan_tf.losses import Translation
from pan_tf.models import updates


def is_possible():
    """Whether there can be a loop: in a graph, of one replica.

    Several normalize together, and may not meet inside of a function.
    """
    strategy = tf.distribute.get_strategy()
    return strategy.num_replicas_in_sync == 1 and tf.inside_function()


class Accumulation:
    """`model.accumulate` as a loop, for the graph that is being traced.

    Args:
        model: `TranslationModel`.
        batch: of a round, as `train_step` takes it.
        terms: as of `MinibatchCache`.
    """

    def __init__(self, model, batch, terms):
        self.model, self.batch, self.terms = model, batch, terms
        self.first, self.count = 0, model.schedule.accumulate
        pools = [pool for pool in model.image_pools.values() if pool is not None]
        states = [*model.variables, *model._controlled().values()]
        states += [variable for pool in pools for variable in pool.variables]
        self._pass_of = functools.cache(self._make_pass)
        # What a pass may change: averages, pools, counts of draws.
        self.states = list({id(s): s for s in states if not s.trainable}.values())

    def caches_of(self, first):
        """One `MinibatchCache` of all minibatches from a number on, a row for each."""
        self.first, drawn = first, None
        if self.model.augmentation is not None:
            size = tf.shape(self.batch["source"])[0]
            drawn = self.model.augmentation.draw(size, self.count)
        return [updates.MinibatchCache(None, drawn, self.terms)]

    def __call__(self, player, caches):
        """As `TranslationModel.accumulate`, for what `caches_of` gave."""
        (cache,) = caches
        # T makes its images again; D judges those that are there.
        is_there = player == "discriminator" and cache.translations is not None
        images_of = _images_of(cache) if is_there else None

        def given(number):
            """What the pass of a minibatch is given."""
            place = self.first + number
            minibatch = {k: tf.gather(v, place, axis=1) for k, v in self.batch.items()}
            rows = (_each(lambda v: v[number], v) for v in (cache.drawn, images_of))
            return minibatch, *rows

        sums = [tf.zeros_like(v.value) for v in self.model.variables_of(player)]
        values = [tf.convert_to_tensor(state.value) for state in self.states]
        passed, changed = self._pass_of(player, is_there)
        traced = passed.get_concrete_function(*given(0), sums, values)
        logs, _, made, _ = traced.structured_outputs

        def body(number, logs, sums, made, values):
            log, sums, images, left = traced(*given(number), sums, values)
            logs = tf.nest.map_structure(tf.add, logs, log)
            if keeps:
                write = functools.partial(_written, number)
                made = tf.nest.map_structure(write, made, images)
            values = list(values)
            for i, value in zip(changed, left, strict=True):
                values[i] = value
            return number + 1, logs, sums, made, values

        keeps = self.model.schedule.reuse_minibatch
        begin = (
            tf.constant(0),
            tf.nest.map_structure(lambda v: tf.zeros(v.shape, v.dtype), logs),
            sums,
            tf.nest.map_structure(self._rows, made) if keeps else [],
            values,
        )
        _, logs, sums, made, values = tf.while_loop(
            lambda number, *_: number < self.count, body, begin, parallel_iterations=1
        )
        for i in changed:
            self.states[i].assign(values[i])
        made = tf.nest.map_structure(lambda rows: rows.stack(), made)
        cache.translations = [Translation(**images) for images in made]
        cache.gradients = sums
        return updates.shares(logs, self.count), updates.shares(sums, self.count)

    def _rows(self, value):
        return tf.TensorArray(value.dtype, self.count, element_shape=value.shape)

    def _make_pass(self, player, is_there):
        """(The function of a pass, the numbers of the states that it changes)."""
        changed = []

        @tracing.function(experimental_attributes={"_noinline": True})
        def passed(minibatch, drawn, images_of, sums, values):
            cache = updates.MinibatchCache(minibatch, drawn, self.terms)
            if is_there:
                cache.translations = [Translation(**i, drawn=drawn) for i in images_of]
            # A strategy's variables cannot be written inside of a function.
            given = list(zip(self.states, values, strict=True))
            with keras.StatelessScope(given) as scope:
                logs = self.model.differentiate(player, cache)
            if scope.state_mapping.keys() - {id(state) for state in self.states}:
                raise RuntimeError("A pass has changed what the model does not know.")
            left = [scope.get_current_value(state) for state in self.states]
            changed[:] = [i for i, new in enumerate(left) if new is not values[i]]
            sums = updates.sums(sums, cache.gradients)
            return logs, sums, _images_of(cache), [left[i] for i in changed]

        return passed, changed


def _images_of(cache):
    """For each direction, the images that there are: name -> tensor."""
    found = [translation.images() for translation in cache.translations]
    return [{k: v for k, v in images.items() if v is not None} for images in found]


def _each(function, value):
    """A function of each tensor of a structure; None stays None."""
    return None if value is None else tf.nest.map_structure(function, value)


def _written(number, rows, value):
    return rows.write(number, value)
