"""A stand-in for tensorflow_model_server, which package indexes do not have.

    python -I stand_in.py MODELS_CONFIG [GRPC_PORT REST_PORT]

Real are: the messages and services (tensorflow-serving-api), models.config and its
proto, the loader and the session (TensorFlow's, in C++), and the look-up of signatures in
the SavedModel's own MetaGraphDef. Written here, after TF Serving's documentation, are the
replay of warm-up requests, the REST layer, the choice of versions and the watch over
their folder. Keras and pan_tf cannot be imported. Prints "READY <gRPC port> <REST port>
<JSON>" and serves on loopback until it is killed.
"""

import base64
import http.server
import json
import os
import pathlib
import re
import sys
import threading
import time
from concurrent import futures

for name in ("keras", "tf_keras", "pan_tf"):
    sys.modules[name] = None  # Importing it is an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

_WARMUP = "assets.extra/tf_serving_warmup_requests"
_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata|:predict)?"
)
_HTTP = {"NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 412}
_Code = grpc.StatusCode
# What reading a body raises that is not as it should be.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class ServingError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Version:
    """One loaded version of a model."""

    def __init__(self, path, number):
        self.number = number
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            load = tf.compat.v1.saved_model.loader.load
            loaded = load(self._session, ["serve"], str(path))
        self.signatures = loaded.signature_def
        self.warmed = 0
        warmup = path / _WARMUP
        if warmup.exists():  # A request that fails makes the load fail.
            records = tf.data.TFRecordDataset(str(warmup)).as_numpy_iterator()
            for record in records:
                log = prediction_log_pb2.PredictionLog.FromString(record)
                self.predict(log.predict_log.request)
                self.warmed += 1

    def run(self, signature, feeds, wanted=()):
        """Outputs by alias; feeds by alias."""
        found = self._signature(signature)
        if set(feeds) != set(found.inputs):
            raise ServingError(
                _Code.INVALID_ARGUMENT,
                f"input size does not match signature: {len(feeds)}!={len(found.inputs)}",
            )
        names = list(wanted) or sorted(found.outputs)
        for name in names:
            if name not in found.outputs:
                message = f"output tensor alias not found in signature: {name}"
                raise ServingError(_Code.INVALID_ARGUMENT, message)
        try:
            values = self._session.run(
                [found.outputs[name].name for name in names],
                {found.inputs[name].name: value for name, value in feeds.items()},
            )
        except tf.errors.OpError as error:
            code = next(c for c in _Code if c.value[0] == error.error_code)
            raise ServingError(code, error.message) from error
        except (TypeError, ValueError) as error:
            raise ServingError(_Code.INVALID_ARGUMENT, str(error)) from error
        return dict(zip(names, values, strict=True))

    def predict(self, request):
        try:
            feeds = {name: tf.make_ndarray(v) for name, v in request.inputs.items()}
        except (TypeError, ValueError) as error:
            raise ServingError(_Code.INVALID_ARGUMENT, str(error)) from error
        name = request.model_spec.signature_name or "serving_default"
        for alias, known in self._signature(name).inputs.items():
            if alias in feeds and request.inputs[alias].dtype != known.dtype:
                message = f"{alias} is of another type than the signature's"
                raise ServingError(_Code.INVALID_ARGUMENT, message)
        values = self.run(name, feeds, request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = self.number
        for alias, value in values.items():
            dtype = self.signatures[name].outputs[alias].dtype
            tensor = tf.make_tensor_proto(value, dtype, np.shape(value))
            response.outputs[alias].CopyFrom(tensor)
        return response

    def predict_json(self, body):
        """The REST API's row and column formats."""
        try:
            request = json.loads(body)
            name = request.get("signature_name") or "serving_default"
            signature = self._signature(name)
            is_row = "instances" in request
            if is_row == ("inputs" in request):
                raise ValueError("JSON must have exactly one of instances, inputs")
            feeds = _feeds(
                request["instances" if is_row else "inputs"], is_row, signature
            )
        except _MALFORMED as error:
            raise ServingError(_Code.INVALID_ARGUMENT, str(error)) from error
        outputs = {
            alias: _to_json(alias, value.tolist())
            for alias, value in self.run(name, feeds).items()
        }
        if is_row:
            rows = [
                dict(zip(outputs, row, strict=True))
                for row in zip(*outputs.values(), strict=True)
            ]
            single = next(iter(outputs.values())) if len(outputs) == 1 else rows
            return {"predictions": single}
        return {"outputs": next(iter(outputs.values())) if len(outputs) == 1 else outputs}

    def _signature(self, name):
        if name not in self.signatures:
            message = f'Serving signature key "{name}" not found.'
            raise ServingError(_Code.FAILED_PRECONDITION, message)
        return self.signatures[name]


def _feeds(value, is_row, signature):
    aliases = sorted(signature.inputs)
    if is_row:
        named = value and isinstance(value[0], dict) and set(value[0]) != {"b64"}
        columns = {aliases[0]: value}
        if named:
            columns = {name: [row[name] for row in value] for name in value[0]}
    else:
        named = isinstance(value, dict) and set(value) != {"b64"}
        columns = value if named else {aliases[0]: value}
    feeds = {}
    for name, column in columns.items():
        if name not in signature.inputs:  # Asking for it would put it in.
            raise KeyError(name)
        dtype = tf.dtypes.as_dtype(signature.inputs[name].dtype)
        kind = object if dtype == tf.string else dtype.as_numpy_dtype
        feeds[name] = np.array(_from_json(column), kind)
        if kind is object and not all(
            isinstance(v, str | bytes) for v in feeds[name].flat
        ):
            raise ValueError("JSON Value is not a string")
    return feeds


def _from_json(value):
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    return [_from_json(item) for item in value] if isinstance(value, list) else value


def _to_json(alias, value):
    if isinstance(value, list | tuple):
        return [_to_json(alias, item) for item in value]
    if isinstance(value, bytes):
        is_binary = alias.endswith("_bytes")
        encoded = base64.b64encode(value).decode()
        return {"b64": encoded} if is_binary else value.decode()
    return value


class Models:
    """The models of a ModelServerConfig."""

    def __init__(self, path):
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(pathlib.Path(path).read_text(), config)
        self._config = config.model_config_list.config
        self._labels = {model.name: dict(model.version_labels) for model in self._config}
        self.versions = {}
        self.update()

    def update(self):
        """Loads the versions that are to be served, then lets go of the others."""
        for model in self._config:
            served = self.versions.get(model.name, {})
            chosen = _chosen(model)
            if set(chosen) == set(served):
                continue
            # A new dictionary: requests under way keep theirs.
            self.versions[model.name] = {
                number: served.get(number)
                or Version(pathlib.Path(model.base_path) / str(number), number)
                for number in chosen
            }

    def watch(self, seconds):
        """Updates for ever; a version that cannot be loaded is tried again."""
        while True:
            time.sleep(seconds)
            try:
                self.update()
            except Exception as error:
                print(f"not loaded: {error}", file=sys.stderr, flush=True)

    def find(self, name, number=None, label=None):
        if name not in self.versions:
            message = f"Servable not found for request: Latest({name})"
            raise ServingError(_Code.NOT_FOUND, message)
        if label:
            if label not in self._labels[name]:
                message = f"Unrecognized servable version label: {label}"
                raise ServingError(_Code.INVALID_ARGUMENT, message)
            number = self._labels[name][label]
        versions = self.versions[name]
        number = max(versions) if number is None else number
        if number not in versions:
            message = f"Servable not found for request: Specific({name}, {number})"
            raise ServingError(_Code.NOT_FOUND, message)
        return versions[number]

    def of(self, spec):
        number = spec.version.value if spec.HasField("version") else None
        return self.find(spec.name, number, spec.version_label)

    def status(self, name, number=None):
        self.find(name, number)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in sorted(self.versions[name], reverse=True):
            if number in (None, version):
                row = response.model_version_status.add(version=version, state=30)
                row.status.SetInParent()
        return response

    def metadata(self, name, version):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = name
        response.model_spec.version.value = version.number
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, signature in version.signatures.items():
            signatures.signature_def[key].CopyFrom(signature)
        response.metadata["signature_def"].Pack(signatures)
        return response


def _chosen(model):
    base = pathlib.Path(model.base_path)
    numbers = sorted(int(path.name) for path in base.iterdir() if path.name.isdigit())
    policy = model.model_version_policy
    if policy.HasField("specific"):
        return [number for number in numbers if number in policy.specific.versions]
    if policy.HasField("all"):
        return numbers
    return numbers[-max(1, policy.latest.num_versions) :]


def serve_grpc(models, port):
    def answering(method):
        def answer(self, request, context):
            try:
                return method(request)
            except ServingError as error:
                context.abort(error.code, str(error))

        return answer

    class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
        Predict = answering(lambda r: models.of(r.model_spec).predict(r))
        GetModelMetadata = answering(
            lambda r: models.metadata(r.model_spec.name, models.of(r.model_spec))
        )

    class Model(model_service_pb2_grpc.ModelServiceServicer):
        GetModelStatus = answering(
            lambda r: models.status(r.model_spec.name, r.model_spec.version.value or None)
        )

    limits = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=limits)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Prediction(), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


def serve_rest(models, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(None)

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body):
            try:
                status, text = 200, self._result(body)
            except ServingError as error:
                status = _HTTP.get(error.code.name, 500)
                text = json.dumps({"error": str(error)})
            contents = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(contents)))
            self.end_headers()
            self.wfile.write(contents)

        def _result(self, body):
            match = _PATH.fullmatch(self.path)
            if not match or (body is None) == (match[4] == ":predict"):
                message = f"Malformed request: {self.command} {self.path}"
                raise ServingError(_Code.NOT_FOUND, message)
            name, number, label, verb = match.groups()
            number = int(number) if number else None
            if verb is None:
                return _proto_to_json(models.status(name, number))
            version = models.find(name, number, label)
            if verb == "/metadata":
                return _proto_to_json(models.metadata(name, version))
            return json.dumps(version.predict_json(body))

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # Clients that may knock at once.

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def _proto_to_json(message):
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def main(config, grpc_port=0, rest_port=0):
    models = Models(config)
    server, grpc_port = serve_grpc(models, grpc_port)
    rest_port = serve_rest(models, int(rest_port))
    warmed = {
        name: {number: version.warmed for number, version in versions.items()}
        for name, versions in models.versions.items()
    }
    threading.Thread(target=models.watch, args=(1.0,), daemon=True).start()
    print("READY", grpc_port, rest_port, json.dumps(warmed), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
