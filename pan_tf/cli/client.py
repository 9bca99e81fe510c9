"""Translates image files with a served model; needs no TensorFlow.

The client itself is one file that needs nothing of pan_tf, serving/client.py, to be taken
to machines that have none.
"""

import runpy

from pan_tf import bundled
from pan_tf import calling


def main(argv):
    path = bundled.folder("serving") / "client.py"
    client = runpy.run_path(str(path), run_name="pan_tf_client")
    return client["main"](argv, program=calling.command("client"))
