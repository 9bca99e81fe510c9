"""What a checkpoint holds, as it is at one moment: written while training goes on."""

import keras
import tensorflow as tf

# What `tf.Module` is, without a scope of names, which takes a third of the time.
AutoTrackable = tf.__internal__.tracking.AutoTrackable


class Snapshot:
    """The values of a checkpoint at a moment, under the names that its files have.

    In the memory of the CPU values are not copied: a tensor that was read stays what it
    is, and an update of its variable, made while the tensor is held, goes elsewhere. So
    what is updated lies there twice until the files are written; a GPU's memory holds
    nothing more.

    Args:
        checkpoint: `tf.train.Checkpoint`.
    """

    def __init__(self, checkpoint):
        number = checkpoint.save_counter.numpy()
        view, known = tf.train.TrackableView(checkpoint), {}
        children = dict(view.children(checkpoint))
        del children["save_counter"]  # A `tf.train.Checkpoint` makes its own.
        parts = {name: _copied(view, each, known) for name, each in children.items()}
        self._values = [each for each in known.values() if isinstance(each, _Value)]
        self._checkpoint = tf.train.Checkpoint(**parts)
        self._checkpoint.save_counter.assign(number)

    def write(self, prefix):
        """Writes the files, once, as `tf.train.Checkpoint.write`."""
        try:
            self._checkpoint.write(prefix)
        finally:  # The parts know each other, so that Python keeps them for a while.
            for each in self._values:
                each.value = None


class _Node(AutoTrackable):
    """Parts under the original's names."""


class _Value(AutoTrackable):
    """What a variable was."""

    def __init__(self, value):
        self.value = value

    def _serialize_to_tensors(self):
        return {"VARIABLE_VALUE": self.value}


class _State(tf.train.experimental.PythonState):
    """What a Python state was."""

    def __init__(self, text):
        self._text = text

    def serialize(self):
        return self._text

    def deserialize(self, string_value):
        self._text = string_value


def _on_host(variable):
    """Its value in the memory of the CPU, by few operations: there are some hundreds."""
    # Replicas have the same in each; what they add up when it is read, none here has.
    replica = getattr(variable, "values", (variable,))[0]
    with tf.device("CPU:0"):
        read = tf.raw_ops.ReadVariableOp(resource=replica.handle, dtype=replica.dtype)
        return tf.raw_ops.Identity(input=read)


def _copied(view, found, known):
    """The same parts; each once, as the original has them."""
    if id(found) not in known:
        if isinstance(found, keras.Variable):
            known[id(found)] = _Value(_on_host(found.value))
        elif isinstance(found, tf.Variable):
            known[id(found)] = _Value(_on_host(found))
        elif isinstance(found, tf.train.experimental.PythonState):
            known[id(found)] = _State(found.serialize())
        else:
            known[id(found)] = node = _Node()
            for name, child in view.children(found).items():
                setattr(node, name, _copied(view, child, known))
    return known[id(found)]
