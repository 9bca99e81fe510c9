"""The exported model behind a server, seen by our client and by three others."""

import base64
import contextlib
import http.server
import io
import json
import math
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from pan_tf.inference import Translator
from serving import client as client_module
from serving.client import Client
from serving.client import ServingError
from tests import hostile
from tests.conftest import smooth_noise
from tests.hostile import encoded
from tests.serving import servers

ROOT = pathlib.Path(__file__).parents[2]
SIGNATURES = {"serving_default", "image", "float_image"}
PIXELS = smooth_noise(np.random.default_rng(0), 37, 53)


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """The stand-in, with `serving/models.config`, its folder put in, and a label."""
    models = tmp_path_factory.mktemp("models")
    for number in ("1", "2", "3"):
        shutil.copytree(exported[1], models / "aerial2map" / number)
    text = (ROOT / "serving" / "models.config").read_text()
    assert '"/models/aerial2map"' in text
    config = models / "models.config"
    label = '    version_labels { key: "stable" value: 2 }\n  }\n}\n'
    text = text.replace("/models/", f"{models}/").rstrip()
    config.write_text(text.removesuffix("}\n}").rstrip() + "\n" + label)
    with servers.running(config) as running:
        yield running


@pytest.fixture(scope="module")
def expected(exported, small_run):
    """uint8 `[37, 53, 3]`: what the run makes of `PIXELS`."""
    return Translator(small_run)(PIXELS)


@pytest.fixture(params=["rest", "grpc"])
def client(request, server):
    return Client(getattr(server, request.param), protocol=request.param, timeout=30)


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def assert_is(png, expected):
    assert np.abs(pixels_of(png).astype(int) - expected).max() <= 1


def test_warm_up_ran_for_the_newest_two_versions(server):
    assert server.warmed == {"aerial2map": {"2": 3, "3": 3}}


def test_a_photo_comes_back_as_the_run_translates_it(client, expected):
    client.wait(10)
    (png,) = client.translate([encoded(PIXELS)])
    assert_is(png, expected)


def test_files_of_several_sizes_go_in_one_request(client, expected):
    files = [encoded(PIXELS), encoded(PIXELS[:9, :7]), encoded(PIXELS, "JPEG")]
    outputs = client.translate(files)
    shapes = [pixels_of(png).shape for png in outputs]
    assert shapes == [(37, 53, 3), (9, 7, 3), (37, 53, 3)]
    assert_is(outputs[0], expected)


@pytest.mark.parametrize("name", ["nothing", "cut JPEG", "a gigabyte when decoded"])
def test_a_bad_image_is_an_error_at_once_and_in_a_sentence(client, name):
    contents, sentence = hostile.refused(PIXELS)[name]
    with pytest.raises(ServingError, match=sentence) as caught:
        client.translate([contents])
    assert caught.value.code in ("INVALID_ARGUMENT", "HTTP 400")


def test_another_model_or_version_is_not_found(server):
    for protocol in ("rest", "grpc"):
        address = getattr(server, protocol)
        for wrong in ({"model": "other"}, {"version": 1}):
            stranger = Client(address, protocol=protocol, **wrong)
            with pytest.raises(ServingError, match="Servable not found") as caught:
                stranger.translate([encoded(PIXELS)])
            assert caught.value.code in ("NOT_FOUND", "HTTP 404")
        older = Client(address, protocol=protocol, version=2)
        assert len(older.translate([encoded(PIXELS)])) == 1


def test_an_address_may_be_a_url(server):
    for address in (f"http://{server.rest}", f"http://{server.rest}/"):
        assert len(Client(address).translate([encoded(PIXELS)])) == 1


@pytest.mark.parametrize(
    ("protocol", "address"), [("rest", "grpc://h:1"), ("grpc", "http://h:1")]
)
def test_another_scheme_is_refused(protocol, address):
    with pytest.raises(ValueError, match=f"host:port.* address='{address}'"):
        Client(address, protocol=protocol)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_proxy_is_not_asked_for_this_machine(server, protocol, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    near = Client(getattr(server, protocol), protocol=protocol)
    assert len(near.translate([encoded(PIXELS)])) == 1


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_failure_behind_a_proxy_names_it(protocol, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    far = Client("model.invalid:8501", protocol=protocol, retries=0, timeout=5)
    with pytest.raises(ServingError, match=r"through the proxy 127\.0\.0\.1:9;"):
        far.translate([b""])
    with pytest.raises(ServingError, match="through the proxy"):
        far.wait(0)
    monkeypatch.setenv("no_proxy", "model.invalid:8501")
    direct = Client("model.invalid:8501", protocol=protocol, retries=0, timeout=5)
    with pytest.raises(ServingError) as caught:
        direct.translate([b""])
    assert "proxy" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_server_that_is_not_there_is_tried_again(protocol, monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    absent = Client("127.0.0.1:9", protocol=protocol, timeout=5, retries=2)
    with pytest.raises(ServingError, match="UNAVAILABLE"):
        absent.translate([b""])
    assert len(pauses) == 2 and 0.1 <= pauses[0] <= 0.3 and 0.2 <= pauses[1] <= 0.6


def test_no_answer_in_time_is_an_error_and_is_not_tried_again(monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    with client_module.socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for protocol in ("rest", "grpc"):
            waiting = Client(address, protocol=protocol, timeout=0.3)
            with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
                waiting.translate([b""])
    assert not pauses


def test_a_request_of_10_mb_arrives(client):
    chunk = hostile.chunk(b"paDd", bytes(10**7))
    file = hostile.png(64, 64, bytes(64 * 193), extra=chunk)
    assert len(client.translate([file])) == 1


def test_an_answer_beyond_4_mib_arrives():
    """The default limit of gRPC's clients."""
    large = bytes(5 * 2**20)

    class Large(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            response = predict_pb2.PredictResponse()
            response.outputs["image_bytes"].CopyFrom(tf.make_tensor_proto([large]))
            return response

    limits = [("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(1), options=limits)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Large(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        ours = Client(f"127.0.0.1:{port}", protocol="grpc", timeout=30)
        assert ours.translate([b""]) == [large]
    finally:
        server.stop(None)


def test_malformed_tensors_are_refused_or_answered(server, expected):
    channel = grpc.insecure_channel(server.grpc)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    random, good, codes = np.random.default_rng(0), [encoded(PIXELS)], []
    for _ in range(150):
        signature, feeds, wanted = hostile.tensors(random, good)
        request = servers.request("aerial2map", signature, feeds, wanted)
        try:
            stub.Predict(request, timeout=30)
            codes.append("answered")
        except grpc.RpcError as error:
            codes.append(error.code().name)
    assert set(codes) == {"answered", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}
    assert_is(*Client(server.rest, timeout=30).translate(good), expected)


def test_malformed_json_is_refused_or_answered(server, expected):
    random, good, statuses = np.random.default_rng(0), [encoded(PIXELS)], []
    url = f"http://{server.rest}/v1/models/aerial2map:predict"
    for _ in range(150):
        try:
            with urllib.request.urlopen(url, hostile.body(random, good)) as response:
                statuses.append(response.status)
        except urllib.error.HTTPError as error:
            with error:
                assert json.load(error)["error"]
            statuses.append(error.code)
    assert set(statuses) <= {200, 400, 412} and 400 in statuses
    assert_is(*Client(server.rest, timeout=30).translate(good), expected)


def test_a_new_version_takes_over_while_clients_ask(exported, expected, tmp_path):
    versions = tmp_path / "m"
    shutil.copytree(exported[1], versions / "1")
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{versions}" '
        'model_platform: "tensorflow" } }'
    )
    with servers.running(config) as server:
        first = Client(server.rest, model="m", version=1, retries=0)
        second = Client(server.rest, model="m", version=2, retries=0)
        newest = Client(server.rest, model="m", retries=0)
        assert_is(*first.translate([encoded(PIXELS)]), expected)
        shutil.copytree(exported[1], versions / ".part")
        (versions / ".part").rename(versions / "2")
        while True:  # The limit of a test ends it.
            assert_is(*newest.translate([encoded(PIXELS)]), expected)
            with contextlib.suppress(ServingError):
                assert_is(*second.translate([encoded(PIXELS)]), expected)
                break
        with pytest.raises(ServingError, match="404"):
            first.translate([encoded(PIXELS)])


def test_our_messages_are_tensorflow_servings():
    ours = client_module._messages()["PredictRequest"]()
    ours.model_spec.name = "m"
    ours.model_spec.version.value = 7
    tensor = ours.inputs["image_bytes"]
    tensor.dtype = 7
    tensor.tensor_shape.dim.add(size=2)
    tensor.string_val.extend([b"a", b"bc"])
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.name == "m" and theirs.model_spec.version.value == 7
    values = tf.make_ndarray(theirs.inputs["image_bytes"])
    assert values.tolist() == [b"a", b"bc"]


def test_tensorflow_servings_own_stubs(server, small_run, expected):
    channel = grpc.insecure_channel(server.grpc)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(signature, name, value, label=None):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "aerial2map"
        request.model_spec.signature_name = signature
        if label:
            request.model_spec.version_label = label
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = stub.Predict(request, timeout=30)
        return tf.make_ndarray(response.outputs[name]), response.model_spec.version.value

    output, version = predict("image", "image", PIXELS[None])
    assert version == 3 and np.abs(output[0].astype(int) - expected).max() <= 1
    source = (PIXELS[None] / np.float32(127.5) - 1).astype(np.float32)
    output, version = predict("float_image", "image", source, label="stable")
    assert version == 2
    # T itself: images are not brought to the training's scale.
    native = Translator(small_run, scale="native")(PIXELS)
    assert np.abs((output[0] + 1) * 127.5 - native).max() <= 1
    output, _ = predict("serving_default", "image_bytes", [encoded(PIXELS)])
    assert_is(output[0], expected)
    with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
        predict("image", "pixels", PIXELS[None])

    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "aerial2map"
    request.metadata_field.append("signature_def")
    found = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) - {"__saved_model_init_op"} == SIGNATURES


def test_plain_http(server, expected):
    def call(path, body=None):
        body = None if body is None else json.dumps(body).encode()
        url = f"http://{server.rest}/v1/models/aerial2map{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    file = {"b64": base64.b64encode(encoded(PIXELS)).decode()}
    for body, key in (
        ({"instances": [file]}, "predictions"),
        ({"instances": [{"image_bytes": file}]}, "predictions"),
        ({"inputs": {"image_bytes": [file]}}, "outputs"),
        ({"inputs": [file]}, "outputs"),
    ):
        status, answer = call(":predict", body)
        assert status == 200
        assert_is(base64.b64decode(answer[key][0]["b64"]), expected)
    body = {"signature_name": "image", "instances": PIXELS[None].tolist()}
    status, answer = call("/labels/stable:predict", body)
    assert status == 200
    assert np.abs(np.array(answer["predictions"][0]) - expected).max() <= 1
    assert call("")[1]["model_version_status"][0]["state"] == "AVAILABLE"
    signatures = call("/metadata")[1]["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) - {"__saved_model_init_op"} == SIGNATURES
    for wrong in ({"instances": [{"b64": "!"}]}, {}, [], {"inputs": {"x": [file]}}):
        assert call(":predict", wrong)[0] == 400


def test_a_client_that_others_wrote(server, expected, tmp_path):
    (tmp_path / "photo.png").write_bytes(encoded(PIXELS))
    program = pathlib.Path(__file__).with_name("ovms_client.py")
    result = subprocess.run(
        [
            *(sys.executable, "-I", program, server.grpc, server.rest, "aerial2map", "3"),
            tmp_path / "photo.png",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for state, png in json.loads(result.stdout):
        assert state == "AVAILABLE"
        assert_is(base64.b64decode(png), expected)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_client_from_the_command_line(server, protocol, expected, tmp_path):
    """Without pan_tf and TensorFlow: neither can be imported."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(encoded(PIXELS))
    (tmp_path / "photos" / "b.jpg").write_bytes(b"broken")
    blocked = "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'pan_tf']));"
    program = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"

    def run(*arguments):
        path = str(ROOT / "serving" / "client.py")
        code = f"{blocked} sys.argv[:] = {[path, *map(str, arguments)]!r}; {program}"
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True
        )

    flags = (f"--protocol={protocol}", f"--address={getattr(server, protocol)}")
    result = run(tmp_path / "photos" / "a.png", tmp_path / "map.png", *flags)
    assert result.returncode == 0, result.stderr
    assert_is((tmp_path / "map.png").read_bytes(), expected)
    again = run(tmp_path / "photos" / "a.png", tmp_path / "map.png", *flags)
    assert again.returncode == 1 and "is there already" in again.stderr
    wrong = run(tmp_path / "photos" / "a.png", tmp_path / "map.jpg", *flags)
    assert wrong.returncode == 1 and "must end in .png" in wrong.stderr
    result = run(tmp_path / "photos", tmp_path / "maps", *flags)
    assert result.returncode == 1 and "2 in, 1 out, 1 failed." in result.stdout
    assert "b.jpg: " in result.stderr and "must be PNG or JPEG" in result.stderr
    assert os.listdir(tmp_path / "maps") == ["a.png"]


@pytest.mark.parametrize("output", ["photos", "photos/a.png", "link"])
def test_the_client_never_replaces_an_input(output, tmp_path):
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    photo.write_bytes(encoded(PIXELS))
    (tmp_path / "link").symlink_to("photos")
    source = photo.parent if output != "photos/a.png" else photo
    with pytest.raises(SystemExit, match="is an input"):
        client_module.main([str(source), str(tmp_path / output), "--overwrite"])
    assert photo.read_bytes() == encoded(PIXELS)


@pytest.mark.parametrize(
    "wrong", [{"retries": -1}, {"timeout": -1}, {"timeout": math.nan}]
)
def test_numbers_of_a_client_are_checked(wrong):
    with pytest.raises(ValueError, match="must be at least 0, and `timeout` above 0"):
        Client(**wrong)


@pytest.mark.parametrize("endless", [math.inf, 1e12])
def test_any_patience_is_borne(endless, server):
    own = Client(server.rest, timeout=endless, retries=0)
    own.wait(endless)
    assert own.translate([encoded(PIXELS)])
    with pytest.raises(ValueError, match="`seconds` must be a number"):
        own.wait(math.nan)


def test_version_0_is_a_version(server):
    for protocol in ("rest", "grpc"):
        own = Client(getattr(server, protocol), protocol=protocol, version=0, retries=0)
        with pytest.raises(ServingError):
            own.translate([encoded(PIXELS)])


def answering(contents):
    """A handler that says the same to everyone, over a bare connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(contents)
            # To close on what is not read would take back what has been sent.
            self.request.shutdown(socket.SHUT_WR)
            while self.request.recv(65536):
                pass

    return Handler


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"\x00\x00\x12\x04\x00", "UNAVAILABLE: .*BadStatusLine"),  # As gRPC's port.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "does not answer as a model server"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "does not answer as a model server"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"outputs": []}', "0 answers to 1 files"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000, "does not answer as a model"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 99\r\n\r\nx", "HTTP 503: Busy"),
        (b"HTTP/1.1 404 None\r\n\r\n" + b"[" * 200_000, r"HTTP 404: \["),
    ],
)
def test_what_is_no_model_server_is_an_error(contents, message):
    with socketserver.TCPServer(("127.0.0.1", 0), answering(contents)) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ours = Client(f"127.0.0.1:{other.server_address[1]}", retries=0, timeout=5)
        with pytest.raises(ServingError, match=message):
            ours.translate([b"x"])
        other.shutdown()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_waiting_in_vain_says_for_what_and_why(server, protocol):
    other = Client(getattr(server, protocol), "other", protocol)
    message = rf"other at .* \({protocol}\) is not ready after 0.1 .*Servable not found"
    with pytest.raises(ServingError, match=message):
        other.wait(0.1)


def test_models_config_is_what_its_proto_says():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((ROOT / "serving" / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert model.name == "aerial2map" and model.base_path == "/models/aerial2map"
    assert model.model_version_policy.latest.num_versions == 2


def test_a_server_does_not_load_what_a_warm_up_request_breaks(exported, tmp_path):
    shutil.copytree(exported[1], tmp_path / "m" / "1")
    request = predict_pb2.PredictRequest()
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"not an image"]))
    extra = tmp_path / "m" / "1" / "assets.extra" / "tf_serving_warmup_requests"
    log = prediction_log_pb2.PredictLog(request=request)
    with tf.io.TFRecordWriter(str(extra)) as writer:
        record = prediction_log_pb2.PredictionLog(predict_log=log)
        writer.write(record.SerializeToString())
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{tmp_path}/m" '
        'model_platform: "tensorflow" } }'
    )
    with pytest.raises(RuntimeError, match="must be PNG or JPEG"):
        with servers.running(config):
            pass


def test_a_busy_server_is_asked_again_and_a_wrong_request_is_not(monkeypatch):
    answers = [(503, {"error": "busy"}), (200, {"outputs": [{"b64": "cG5n"}]})]
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            status, answer = answers.pop(0)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    pauses = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        ours = Client(f"127.0.0.1:{busy.server_address[1]}", model="m", version=4)
        assert ours.translate([b"x"]) == [b"png"]
        assert asked == ["/v1/models/m/versions/4:predict"] * 2 and len(pauses) == 1
        answers[:] = [(400, {"error": "no"})]
        with pytest.raises(ServingError, match="HTTP 400: no"):
            ours.translate([b"x"])
        assert len(asked) == 3
        busy.shutdown()


def test_a_folder_is_sent_without_what_is_no_image_of_the_users(tmp_path):
    """A pipe would be waited for; archives of other systems hold hidden copies."""
    for name in ("a.png", "b.JPG", "._a.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    pairs = client_module._pairs(tmp_path, tmp_path / "out")
    assert [source.name for source, _ in pairs] == ["a.png", "b.JPG"]


@pytest.mark.parametrize(("status", "times"), [(429, 3), (502, 3), (503, 3), (500, 1)])
def test_which_statuses_are_asked_again(status, times, monkeypatch):
    asked = []

    def refuse(request, timeout):
        asked.append(request)
        raise urllib.error.HTTPError("u", status, "no", {}, io.BytesIO(b"{}"))

    monkeypatch.setattr(client_module.time, "sleep", lambda _: None)
    ours = Client("h:1", retries=2)
    ours._transport._open = refuse
    with pytest.raises(ServingError, match=f"HTTP {status}"):
        ours.translate([b"x"])
    assert len(asked) == times


def test_a_host_that_drops_packets_is_late(monkeypatch):
    def drop(request, timeout):
        raise urllib.error.URLError(TimeoutError("timed out"))

    ours = Client("h:1")
    ours._transport._open = drop
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        ours.translate([b"x"])


def test_outputs_have_names_of_their_own(tmp_path):
    for name in ("a.jpg", "a.png", "b.png"):
        (tmp_path / name).touch()
    pairs = client_module._pairs(tmp_path, tmp_path / "out")
    assert [o.name for _, o in pairs] == ["a.jpg.png", "a.png.png", "b.png"]
    (tmp_path / "a.jpg.png").touch()
    with pytest.raises(SystemExit, match=r"both become .*a\.jpg\.png"):
        client_module._pairs(tmp_path, tmp_path / "out")


def test_where_outputs_go_is_checked_before_the_server_is_asked(tmp_path):
    for name in ("photos/a.png", "file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    photos = tmp_path / "photos"
    with pytest.raises(SystemExit, match="must be a folder; it is a file"):
        client_module.main([str(photos), str(tmp_path / "file")])
    flags = ["--address=127.0.0.1:9", "--wait=0"]
    with pytest.raises(SystemExit, match="is not ready"):
        client_module.main([str(photos / "a.png"), str(tmp_path / "MAP.PNG"), *flags])
