"""Translates image files with a served model; needs no TensorFlow.

The client itself is one file that needs nothing of pan_tf, serving/client.py, to be taken
to machines that have none.
"""

import importlib.util

from pan_tf import bundled
from pan_tf import calling


def main(argv):
    path = bundled.folder("serving") / "client.py"
    spec = importlib.util.spec_from_file_location("pan_tf_client", path)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    return client.main(argv, program=calling.command("client"))
