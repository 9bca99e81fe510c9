"""Passes through a network whose activations are computed again, not kept.

Gradient checkpointing, after Chen et al. (arXiv:1604.06174): the backward pass of each
block, a convolution and what stands around it, makes the block's activations again from
what went in. What blocks give each other, skips included, is kept.
"""

import inspect
import itertools

import keras
import tensorflow as tf


class Recomputed:
    """A functional network, called as such, that keeps nothing inside its blocks.

    Moving averages are updated, and dropout draws, once a call, as without.

    Args:
        network: functional `keras.Model`. If one of its layers is called more than once,
            all of it is one block.
        training: as of the network's call.
    """

    def __init__(self, network, training):
        self._network, self._training = network, training
        blocks = _blocks_of(network)
        self._blocks = blocks if _is_complete(blocks, network) else None

    def __call__(self, inputs):
        """What the network makes of its inputs."""
        if self._blocks is None:
            return _call(self._network, inputs, self._training)
        network = self._network
        known = dict(zip(_ids(network.input), keras.tree.flatten(inputs), strict=True))
        for block in self._blocks:
            made = _call(block, [known[each] for each in block.needs], self._training)
            known |= dict(zip(block.gives, made, strict=True))
        return _looked_up(network.output, known)


class _Block(keras.Model):
    """Some consecutive layers of a network.

    Args:
        layers_: the layers, in an order in which they can be called.
        wanted: ids of the `KerasTensor`s that others want, if the layers give them.
    """

    def __init__(self, layers_, wanted):
        super().__init__()
        self.layers_ = layers_
        given = [each for layer in layers_ for each in _ids(layer.output)]
        asked = [each for layer in layers_ for each in _ids(layer.input)]
        self.needs = [each for each in dict.fromkeys(asked) if each not in given]
        self.gives = [each for each in given if each in wanted]
        self.built = True

    def call(self, inputs, training=None):
        known = dict(zip(self.needs, inputs, strict=True))
        for layer in self.layers_:
            given = _looked_up(layer.input, known)
            takes_training = "training" in inspect.signature(layer.call).parameters
            made = layer(given, **({"training": training} if takes_training else {}))
            known |= dict(zip(_ids(layer.output), keras.tree.flatten(made), strict=True))
        return [known[each] for each in self.gives]


def _ids(tensors):
    return [id(each) for each in keras.tree.flatten(tensors)]


def _looked_up(tensors, known):
    return keras.tree.map_structure(lambda each: known[id(each)], tensors)


def _blocks_of(network):
    """A network's layers, cut once between two convolutions: list of `_Block`.

    There, where the fewest tensors are needed after the cut.
    """
    layers_ = [
        layer
        for layer in network.operations
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    wanted = [set(_ids(network.output))]  # After the last layer, before it, and so on.
    for layer in reversed(layers_):
        wanted.append((wanted[-1] - set(_ids(layer.output))) | set(_ids(layer.input)))
    wanted.reverse()
    convolutions = [
        i for i, layer in enumerate(layers_) if getattr(layer, "kernel", None) is not None
    ]
    cuts = [0, len(layers_)]
    for one, other in itertools.pairwise(convolutions):
        # The last of several such places: what is made up to there is made once.
        places = range(other, one, -1)
        cuts.append(min(places, key=lambda place: len(wanted[place])))
    cuts = sorted(set(cuts))
    return [
        _Block(layers_[start:end], wanted[end]) for start, end in itertools.pairwise(cuts)
    ]


def _is_complete(blocks, network):
    """Whether blocks lead to a network's outputs: a layer tells its first call only."""
    known = set(_ids(network.input))
    for block in blocks:
        if not known.issuperset(block.needs):
            return False
        known.update(block.gives)
    return known.issuperset(_ids(network.output))


def _call(block, inputs, training):
    """What a block makes of inputs; the gradient calls it again."""
    trainable, others = block.trainable_variables, block.non_trainable_variables
    places = [inputs, [v.value for v in trainable], [v.value for v in others]]
    structure = {}

    def forward(inputs, trainable, others):
        outputs, updated = block.stateless_call(
            trainable, others, inputs, training=training
        )
        structure["outputs"] = outputs
        # What is frozen stays as it is; to write it again would take memory.
        changed = [new is not old for new, old in zip(updated, others, strict=True)]
        structure["changed"] = changed
        return [*keras.tree.flatten(outputs)], list(itertools.compress(updated, changed))

    @tf.custom_gradient
    def made(*flat):
        given = keras.tree.pack_sequence_as(places, flat)
        outputs, updated = forward(*given)

        def gradient(*upstream):
            # Not before it is asked for, or it would lie in memory from the start.
            with tf.control_dependencies(upstream[: len(outputs)]):
                inputs, values, states = tf.nest.map_structure(tf.identity, given)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch((inputs, values))
                again, _ = forward(inputs, values, states)
            found = tape.gradient(again, (inputs, values), upstream[: len(outputs)])
            return [*keras.tree.flatten(found), *[None] * len(states)]

        return [*outputs, *updated], gradient

    flat = [tf.convert_to_tensor(each) for each in keras.tree.flatten(places)]
    results = list(made(*flat))
    written = list(itertools.compress(others, structure["changed"]))
    count = len(results) - len(written)
    for variable, value in zip(written, results[count:], strict=True):
        variable.assign(value)
    return keras.tree.pack_sequence_as(structure["outputs"], results[:count])
