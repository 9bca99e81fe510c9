"""Passes of accumulated minibatches, as calls of one function a player.

Each in the graph by itself would make tracing and memory grow by the number of them.
"""

import functools

import keras
import tensorflow as tf

from pan_tf import tracing
from pan_tf.losses import Translation
from pan_tf.models.updates import MinibatchCache


def is_possible():
    """Whether passes can be calls: in a graph, of one replica.

    Several normalize together, and may not meet inside of a function.
    """
    strategy = tf.distribute.get_strategy()
    return strategy.num_replicas_in_sync == 1 and tf.inside_function()


def differentiation(model, terms):
    """`model.differentiate`, each call of which is one of a function.

    Args:
        model: `TranslationModel`.
        terms: as of `MinibatchCache`.

    Returns:
        Function of (player, cache), for the graph that is being traced.
    """
    pools = [pool for pool in model.image_pools.values() if pool is not None]
    states = [*model.variables, *model._controlled().values()]
    states += [variable for pool in pools for variable in pool.variables]
    states = list({id(state): state for state in states}.values())
    written = {}  # Player -> what a pass changes: averages, pools, counts of draws.

    @functools.cache
    def function_of(player):
        @tracing.function(experimental_attributes={"_noinline": True})
        def passed(minibatch, drawn, images_of):
            cache = MinibatchCache(minibatch, drawn, terms)
            if images_of is not None:
                cache.translations = [
                    Translation(**images, drawn=drawn) for images in images_of
                ]
            # A strategy's variables cannot be written inside of a function.
            with keras.StatelessScope() as scope:
                logs = model.differentiate(player, cache)
            if scope.state_mapping.keys() - {id(state) for state in states}:
                raise RuntimeError("A pass has changed what the model does not know.")
            found = [(state, scope.get_current_value(state)) for state in states]
            found = [pair for pair in found if pair[1] is not None]
            written[player] = [state for state, _ in found]
            images_of = [translation.images() for translation in cache.translations]
            return logs, cache.gradients, images_of, [value for _, value in found]

        return passed

    def differentiate(player, cache):
        # T makes its images again; D judges those that are there.
        is_there = player == "discriminator" and cache.translations is not None
        images_of = [t.images() for t in cache.translations] if is_there else None
        logs, cache.gradients, images_of, values = function_of(player)(
            cache.minibatch, cache.drawn, images_of
        )
        cache.translations = [Translation(**images) for images in images_of]
        for state, value in zip(written[player], values, strict=True):
            state.assign(value)
        return logs

    return differentiate
