"""A client that others wrote, with messages of its own: ovmsclient.

    python -I ovms_client.py GRPC_ADDRESS REST_ADDRESS MODEL VERSION FILE

A process of its own, since its messages have the names of tensorflow-serving-api's.
Prints the version's state and the answers, base64, as JSON.
"""

import base64
import json
import pathlib
import sys

import ovmsclient


def main(grpc_address, rest_address, model, version, file):
    contents = pathlib.Path(file).read_bytes()
    found = []
    for client in (
        ovmsclient.make_grpc_client(grpc_address),
        ovmsclient.make_http_client(rest_address),
    ):
        state = client.get_model_status(model, int(version))[int(version)]["state"]
        outputs = client.predict({"image_bytes": [contents]}, model, int(version))
        if isinstance(outputs, dict):
            (outputs,) = outputs.values()
        png = outputs[0]
        if isinstance(png, dict):  # JSON as it came.
            png = base64.b64decode(png["b64"])
        found.append([state, base64.b64encode(png).decode()])
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
