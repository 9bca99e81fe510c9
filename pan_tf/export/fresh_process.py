"""Runs a SavedModel as a server would: a process of its own, no pan_tf, no Keras.

    python -P fresh_process.py SAVED_MODEL REQUESTS RESPONSES

REQUESTS is an .npz of arrays `number:signature`, RESPONSES one of arrays `number`.
The SavedModel goes through the C++ session loader, which restores variables by the
graph's own operation: what only `tf.saved_model.load` can read fails here, as it does in
TF Serving.
"""

import os
import sys

for name in ("keras", "tf_keras", "pan_tf"):
    sys.modules[name] = None  # Importing it is an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def main(saved_model, requests, responses):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        load = tf.compat.v1.saved_model.loader.load
        signatures = load(session, ["serve"], saved_model).signature_def
        outputs = {}
        with np.load(requests) as file:
            for key in file.files:
                number, name = key.split(":")
                value = file[key]
                (source,) = signatures[name].inputs.values()
                (result,) = signatures[name].outputs.values()
                if value.dtype.kind == "S":
                    value = value.astype(object)
                output = session.run(result.name, {source.name: value})
                is_bytes = output.dtype == object
                outputs[number] = output.astype("S") if is_bytes else output
    np.savez(responses, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
