"""Client of a served translation model: image files in, PNG files out.

    python serving/client.py photo.jpg map.png
    python serving/client.py photos maps --protocol=grpc --address=127.0.0.1:8500

Needs nothing of pan_tf, and no TensorFlow. REST needs Python alone; gRPC needs the
packages grpcio and protobuf. From Python:

    client = Client("127.0.0.1:8501", model="aerial2map")
    (png,) = client.translate([open("photo.jpg", "rb").read()])

Requests are repeated, after a pause that doubles, when the server cannot be reached, is
busy or still loading; never when it says that the request is wrong, and never after a
time-out, since the server may still be at work on it.

Sizes of messages. gRPC: a server takes up to 2 GiB; a client takes answers of 4 MiB
unless told otherwise, as is done here. REST: base64 makes files a third larger. A model
also has a limit of its own for the pixels of a request (`--max_pixels` of its export),
and answers with INVALID_ARGUMENT beyond it.
"""

import argparse
import base64
import collections
import http.client
import json
import math
import os
import pathlib
import random
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")
_BUSY = (429, 502, 503)  # HTTP statuses after which a request may be repeated.
_DT_STRING = 7  # Of TensorFlow's DataType.
_AVAILABLE = 30  # Of ModelVersionStatus.State.
_LARGEST = 2**31 - 1  # Bytes of a gRPC message.
_LONGEST = 86400.0  # Seconds that a request may take; sockets bear no infinity.


class ServingError(Exception):
    """The server refused a request, or could not be reached; the message says why.

    Attributes:
        code: name of the gRPC status, such as "INVALID_ARGUMENT"; over REST, "HTTP 400".
    """

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Client:
    """A model on a server.

    Args:
        address: "host:port"; 8501 is the usual port of REST, 8500 of gRPC. Over REST also
            a URL, "https://host/path". A proxy of the environment (`http_proxy`) is used
            unless the server is on this machine, or named in `no_proxy`.
        model: its name in models.config.
        protocol: "rest" or "grpc".
        version: number of a version; None for the newest.
        timeout: seconds without an answer; over gRPC for one attempt in all, over REST
            between one piece of it and the next.
        retries: attempts after the first.

    Raises:
        ServingError: if the packages of gRPC are missing.
        ValueError: if an argument is not legal.
    """

    def __init__(
        self,
        address="127.0.0.1:8501",
        model="aerial2map",
        protocol="rest",
        version=None,
        timeout=60.0,
        retries=4,
    ):
        if protocol not in ("rest", "grpc"):
            raise ValueError(
                f"`protocol` must be one of: rest, grpc. Received: protocol={protocol!r}."
            )
        timeout = min(timeout, _LONGEST)
        if retries < 0 or not timeout > 0:
            raise ValueError(
                "`retries` must be at least 0, and `timeout` above 0 seconds. "
                f"Received: retries={retries}, timeout={timeout}."
            )
        self._name = f"{model} at {address} ({protocol})"
        transport = _Rest if protocol == "rest" else _Grpc
        self._transport = transport(address, model, version, timeout)
        self._retries = retries

    def translate(self, files):
        """Translates encoded images, of any sizes, in one request.

        Args:
            files: list of bytes, PNG or JPEG files.

        Returns:
            List of bytes, PNG files, in order, each of the size of its input.

        Raises:
            ServingError: if the server refuses them, or is not to be reached.
        """
        files = list(files)
        for attempt in range(self._retries + 1):
            try:
                outputs = self._transport.translate(files)
            except _Again as again:
                if attempt == self._retries:
                    raise again.error from None
                # Doubling, and not in step with other clients.
                time.sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))
                continue
            if len(outputs) != len(files):
                raise ServingError(
                    "INTERNAL", f"{len(outputs)} answers to {len(files)} files"
                )
            return outputs

    def wait(self, seconds):
        """Waits until the model is loaded.

        Raises:
            ServingError: if it is not by then.
            ValueError: if that is no number of seconds.
        """
        if math.isnan(seconds):
            raise ValueError(f"`seconds` must be a number. Received: {seconds}.")
        end = time.monotonic() + seconds
        while True:
            left = min(max(0.1, end - time.monotonic()), _LONGEST)
            try:
                if self._transport.is_ready(left):
                    return
                reason = "it is loading"
            except _Again as again:
                reason = again.error
            except ServingError as error:
                reason = error
            if time.monotonic() > end:
                raise ServingError(
                    "UNAVAILABLE",
                    f"{self._name} is not ready after {seconds:g} seconds: {reason}",
                )
            time.sleep(0.2)


class _Again(Exception):
    """A failure after which the same request may succeed."""

    def __init__(self, code, message):
        super().__init__(message)
        self.error = ServingError(code, message)


def _is_near(url):
    """Whether a URL is of this machine, for which no proxy is asked."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _proxy(url, *kinds):
    """The first proxy that the environment has for a URL; None without one."""
    around = urllib.request.proxy_bypass(urllib.parse.urlsplit(url).netloc)
    if _is_near(url) or around:
        return None
    known = urllib.request.getproxies()
    return next((known[kind] for kind in kinds if kind in known), None)


def _through(proxy):
    """The end of an error's sentence: the failure may be the proxy's."""
    if not proxy:
        return ""
    shown = proxy.rpartition("@")[2]  # Without a password.
    return f" (through the proxy {shown}; `no_proxy` goes around it)"


class _Rest:
    def __init__(self, address, model, version, timeout):
        base = address if "://" in address else f"http://{address}"
        scheme = base.partition("://")[0].lower()
        if scheme not in ("http", "https"):
            raise ValueError(
                "`address` must be host:port, or a URL of http or https. "
                f"Received: address={address!r}."
            )
        part = "" if version is None else f"/versions/{version}"
        self._url = f"{base.rstrip('/')}/v1/models/{model}{part}"
        self._timeout, self._proxy = timeout, _proxy(base, scheme)
        # Without a handler of ours, proxies are the environment's.
        handlers = [urllib.request.ProxyHandler({})] if _is_near(base) else []
        self._open = urllib.request.build_opener(*handlers).open

    def translate(self, files):
        encoded = [{"b64": base64.b64encode(file).decode()} for file in files]
        body = json.dumps({"inputs": {"image_bytes": encoded}}).encode()
        answer = self._call(":predict", body, self._timeout)
        try:
            return [base64.b64decode(output["b64"]) for output in answer["outputs"]]
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None

    def is_ready(self, timeout):
        answer = self._call("", None, timeout)
        try:
            versions = answer["model_version_status"]
            return any(version["state"] == "AVAILABLE" for version in versions)
        except (KeyError, TypeError):
            raise self._strange() from None

    def _call(self, verb, body, timeout):
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + verb, body, kind)
        try:
            with self._open(request, timeout=timeout) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            try:
                with error:
                    text = error.read().decode("utf-8", "replace")
                text = json.loads(text)["error"]
            except (OSError, http.client.HTTPException):
                text = error.reason  # The connection broke before all was said.
            except (ValueError, KeyError, TypeError, RecursionError):
                pass
            failure = _Again if error.code in _BUSY else ServingError
            text = f"{text}{_through(self._proxy)}"
            raise failure(f"HTTP {error.code}", text) from None
        except TimeoutError:
            raise self._late(timeout) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError | socket.timeout):
                raise self._late(timeout) from None
            raise _Again("UNAVAILABLE", self._failed(error.reason)) from None
        # The connection broke, or it is not HTTP that is spoken there.
        except (OSError, http.client.HTTPException) as error:
            raise _Again("UNAVAILABLE", self._failed(repr(error))) from None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._strange() from None

    def _failed(self, why):
        return f"{self._url}: {why}{_through(self._proxy)}"

    def _late(self, timeout):
        return ServingError("DEADLINE_EXCEEDED", f"no answer in {timeout:g} seconds")

    def _strange(self):
        sentence = f"{self._url} does not answer as a model server"
        return ServingError("INTERNAL", f"{sentence}{_through(self._proxy)}")


class _Grpc:
    def __init__(self, address, model, version, timeout):
        try:
            import grpc
        except ImportError as error:
            raise ServingError(
                "UNAVAILABLE", f"gRPC needs the packages grpcio and protobuf ({error})"
            ) from error
        if "/" in address:
            raise ValueError(
                f"`address` must be host:port for gRPC. Received: address={address!r}."
            )
        self._grpc, self._model, self._version = grpc, model, version
        url = f"http://{address}"
        self._proxy = _proxy(url, "grpc", "https", "http")  # As gRPC looks for one.
        self._timeout, self._messages = timeout, _messages()
        options = [
            ("grpc.max_receive_message_length", _LARGEST),
            ("grpc.max_send_message_length", _LARGEST),
            ("grpc.enable_http_proxy", int(not _is_near(url))),
        ]
        channel = grpc.insecure_channel(address, options)

        def method(service, name, response):
            return channel.unary_unary(
                f"/tensorflow.serving.{service}/{name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=self._messages[response].FromString,
            )

        self._predict = method("PredictionService", "Predict", "PredictResponse")
        self._status = method("ModelService", "GetModelStatus", "GetModelStatusResponse")

    def translate(self, files):
        request = self._messages["PredictRequest"]()
        self._name(request.model_spec)
        tensor = request.inputs["image_bytes"]
        tensor.dtype = _DT_STRING
        tensor.tensor_shape.dim.add(size=len(files))
        tensor.string_val.extend(files)
        try:
            answer = self._predict(request, timeout=self._timeout)
        except self._grpc.RpcError as error:
            name = error.code().name
            failure = _Again if name == "UNAVAILABLE" else ServingError
            details = f"{error.details()}{_through(self._proxy)}"
            raise failure(name, details) from None
        return list(answer.outputs["image_bytes"].string_val)

    def is_ready(self, timeout):
        request = self._messages["GetModelStatusRequest"]()
        self._name(request.model_spec)
        try:
            answer = self._status(request, timeout=timeout)
        except self._grpc.RpcError as error:
            details = f"{error.details()}{_through(self._proxy)}"
            raise ServingError(error.code().name, details) from None
        return any(v.state == _AVAILABLE for v in answer.model_version_status)

    def _name(self, spec):
        spec.name = self._model
        if self._version is not None:
            spec.version.value = int(self._version)


# The fields that are used here of TF Serving's and TensorFlow's messages, with their
# numbers: on the wire a message is its numbers, so these are those messages. The package
# that has all of them, tensorflow-serving-api, needs the whole of TensorFlow.
_SCHEMA = {
    "Int64Value": "1 value int64",
    "ModelSpec": "1 name string, 2 version Int64Value, 3 signature_name string",
    "Dim": "1 size int64",
    "TensorShape": "2 dim Dim*",
    "Tensor": "1 dtype int32, 2 tensor_shape TensorShape, 8 string_val bytes*",
    "PredictRequest": "1 model_spec ModelSpec, 2 inputs map Tensor",
    "PredictResponse": "1 outputs map Tensor, 2 model_spec ModelSpec",
    "GetModelStatusRequest": "1 model_spec ModelSpec",
    "VersionStatus": "1 version int64, 2 state int32",
    "GetModelStatusResponse": "1 model_version_status VersionStatus*",
}


def _messages():
    """Classes of the messages of the schema, by name."""
    from google.protobuf import descriptor_pb2
    from google.protobuf import descriptor_pool
    from google.protobuf import message_factory

    package = "pan_tf_client"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(message, number, name, kind):
        field = message.field.add(name=name, number=int(number))
        repeated = kind.endswith("*")
        field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
        kind = kind.removesuffix("*")
        if kind[0].isupper():
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".{package}.{kind}"
        else:
            field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
        return field

    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, field, *kind in (text.split() for text in fields.split(", ")):
            if kind[0] != "map":
                add(message, number, field, kind[0])
                continue
            # A map is a list of pairs, of a type of its own.
            pair = message.nested_type.add(name=f"{field.capitalize()}Entry")
            pair.options.map_entry = True
            add(pair, 1, "key", "string")
            add(pair, 2, "value", kind[1])
            add(message, number, field, f"{name}.{pair.name}*")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{package}.{name}")
        )
        for name in _SCHEMA
    }


def _pairs(source, target):
    """(input, output) paths: of one file, or of every image of a folder."""
    if not source.is_dir():
        return [(source, target / f"{source.stem}.png" if target.is_dir() else target)]
    # A pipe would never end; what is hidden is no image of the user's.
    files = sorted(
        path
        for path in source.iterdir()
        if path.suffix.lower() in _ENDINGS
        and not path.name.startswith(".")
        and path.is_file()
    )
    if not files:
        sys.exit(f"{source} holds no {', '.join(_ENDINGS)} file.")
    stems = collections.Counter(path.stem for path in files)
    pairs = [
        (path, target / f"{path.stem if stems[path.stem] == 1 else path.name}.png")
        for path in files
    ]
    twice = collections.Counter(output for _, output in pairs).most_common(1)[0]
    if twice[1] > 1:
        sys.exit(f"Two files would both become {twice[0]}. Rename one.")
    return pairs


def main(argv=None, program=None):
    parser = argparse.ArgumentParser(program, description=__doc__.splitlines()[0])
    parser.add_argument("input", type=pathlib.Path, help="PNG or JPEG file, or a folder")
    parser.add_argument("output", type=pathlib.Path, help="PNG file, or a folder")
    parser.add_argument(
        "--address", help="host:port, or a URL for REST; default 127.0.0.1 and usual port"
    )
    parser.add_argument("--protocol", choices=("rest", "grpc"), default="rest")
    parser.add_argument("--model", default="aerial2map", help="name in models.config")
    parser.add_argument("--version", type=int, help="default: the newest")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds, an attempt")
    parser.add_argument("--retries", type=int, default=4)
    parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for it")
    parser.add_argument("--overwrite", action="store_true", help="replace outputs")
    options = parser.parse_args(argv)
    if not options.input.exists():
        sys.exit(f"{options.input} is not there.")
    is_folder = options.input.is_dir() or options.output.is_dir()
    if not is_folder and options.output.suffix.lower() != ".png":
        sys.exit(f"{options.output} must end in .png: that is what comes back.")
    if options.input.is_dir() and options.output.is_file():
        sys.exit(f"{options.output} must be a folder; it is a file.")
    pairs = _pairs(options.input, options.output)
    sources = {source.resolve() for source, _ in pairs}
    both = [target for _, target in pairs if target.resolve() in sources]
    if both:
        sys.exit(f"{both[0]} is an input: choose another place for the output.")
    there = [target for _, target in pairs if target.exists()]
    if there and not options.overwrite:
        sys.exit(f"{there[0]} is there already; --overwrite replaces it.")
    port = {"rest": 8501, "grpc": 8500}[options.protocol]
    try:
        client = Client(
            options.address or f"127.0.0.1:{port}",
            options.model,
            options.protocol,
            options.version,
            options.timeout,
            options.retries,
        )
        client.wait(options.wait)
    except (ServingError, ValueError) as error:
        sys.exit(str(error))
    failures = []
    for source, target in pairs:
        try:
            (output,) = client.translate([source.read_bytes()])
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(target.name + ".partial")
            try:
                partial.write_bytes(output)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)
        except (ServingError, OSError) as error:
            failures.append((source, error))
    print(f"{len(pairs)} in, {len(pairs) - len(failures)} out, {len(failures)} failed.")
    for source, error in failures:
        print(f"FAILED {source}: {error}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
