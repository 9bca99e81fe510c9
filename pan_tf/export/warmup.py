"""Requests that TF Serving runs while it loads a version, before it sends it traffic."""

import pathlib

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from pan_tf.export import parity


def write_warmup(folder, source, spec, are_files):
    """Writes one request for each signature.

    Args:
        folder: the version's `assets.extra`.
        source: pixels `[1, H, W, C]`, of the size that is expected most.
        spec: `ImageSpec` of them.
        are_files: whether there is a signature of files.
    """
    requests = {
        "image": ("image", source),
        "float_image": ("image", spec.to_float(source).numpy()),
    }
    if are_files:
        files = np.array([parity.encoded(source[0], spec)], object)
        requests["serving_default"] = ("image_bytes", files)
    path = pathlib.Path(folder) / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, (name, value) in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())
