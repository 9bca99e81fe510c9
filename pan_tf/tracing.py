"""Functions that TensorFlow traces, without AutoGraph.

AutoGraph rewrites every Python function that a trace comes by, so that `if` and `for`
may be over tensors. Nothing here needs that: such places say `tf.cond`, `tf.where` and
`tf.map_fn`, and a tensor in an `if` is an error while tracing. The rewriting is a
quarter of the time from a command to its first step.
"""

import functools

import tensorflow as tf

# As `tf.function`, also as a decorator with arguments.
function = functools.partial(tf.function, autograph=False)
# For what is handed to `tf.data.Dataset.map`.
plain = tf.autograph.experimental.do_not_convert
# A function whose calls all layers of a size share: in the graph of each of them a step
# would take twice as long to trace, and a backward pass would compute before its time
# what it computes again.
shared = functools.partial(function, experimental_attributes={"_noinline": True})
